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
    # Written after `views` was seen, and before this study was run.
    hypotheses={
        "linear head on the CNN": "Worse: ImageNet features alone know these drawings least.",
        "CNN-RNN alone": "Worse, and by more than with 3,000 scenes: a decoder needs data.",
        "CLIP zero-shot, whole picture": "Worse.",
        "CLIP zero-shot, best patch": "No worse: words need no data, and here there are few.",
        "linear head on CLIP": "Worse, but by less than with 3,000 scenes.",
        "CLIP alone through the fusion, frozen": "Worse: the decoder adds even when data are few.",
        "CLIP alone through the fusion, tuned": "Better: tuning adds more than a weak decoder.",
        "hybrid, decoder's state, frozen": "Worse, as with 3,000 scenes.",
        "hybrid without cross-fitting, frozen": "Worse: the fewer scenes, the better a decoder "
        "knows them by heart.",
        "hybrid without the contrastive loss, frozen": "No difference.",
        "hybrid, tuned": "Better.",
    },
)
