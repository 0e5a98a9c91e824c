"""From which stage of the CNN should labels be decoded? See `decoding` (seed 001, question 2).

    hybridlab reproduce 02

Maps of more than 12 x 12 places are averaged down to that.
"""

from hybridlab.ablation.study import Study
from hybridlab.studies.decoding import METRICS, RECIPE

# Hypotheses were written before the first run.
STUDY = Study(
    name="cnn_stages",
    question="Which stage of a frozen CNN gives the best features to decode labels from?",
    run="hybridlab.studies.decoding:run",
    recipe=RECIPE,
    variants={
        "stage 3, heads": {"cnn_stage": "stage3", "method": "heads"},
        "stage 4, heads": {"cnn_stage": "stage4", "method": "heads"},
        "stage 5, heads": {"method": "heads"},
        "stage 3": {"cnn_stage": "stage3"},
        "stage 4": {"cnn_stage": "stage4"},
        "stage 5": {},
    },
    reference="stage 5",
    seeds=range(3),
    metrics=METRICS,
    hypotheses={
        "stage 3": "Far worse: edges and textures, no things.",
        "stage 4": "About as good as stage 5: four times the places, half the meaning.",
    },
)
