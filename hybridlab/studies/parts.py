"""Which part earned its place? Twelve variants at a small size, as lesson 08 runs them.

    hybridlab reproduce 08
"""

from hybridlab.ablation.study import Study
from hybridlab.studies.small_world import RECIPE
from hybridlab.studies.views import STUDY as VIEWS

STUDY = Study(
    name="parts",
    question="Which part of the hybrid earns its place when data are few?",
    run=VIEWS.run,
    recipe={
        **RECIPE, "train": 800, "val": 300, "test": 500, "cnn_size": 128, "decoder_epochs": 12,
        "linear_epochs": 40, "fusion_epochs": 20,
    },
    variants=VIEWS.variants,
    reference="hybrid, frozen",
    seeds=range(5),
)
