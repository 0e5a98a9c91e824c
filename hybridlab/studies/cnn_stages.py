"""From which stage of the CNN should labels be decoded? See `decoding` (seed 001, question 2).

    hybridlab reproduce 02

All maps are averaged down to the 6 x 6 places of stage 5, so that stages differ in what a place
says and not in how many there are; one variant looks at all 12 x 12 places of stage 4.
"""

from hybridlab.ablation.study import Study
from hybridlab.studies.decoding import METRICS, RECIPE

ALSO_AGAINST = ("stage 5, heads",)  # what the stages bring to heads

# Hypotheses were written before the first run on 6 x 6 places; none on 12 x 12 was looked at.
STUDY = Study(
    name="cnn_stages",
    question="Which stage of a frozen CNN gives the best features to decode labels from?",
    run="hybridlab.studies.decoding:run",
    recipe=RECIPE,
    variants={
        "stage 3, heads": {"cnn_stage": "stage3", "method": "heads"},
        "stage 4, heads": {"cnn_stage": "stage4", "method": "heads"},
        "stage 4, 12 x 12 places, heads": {"cnn_stage": "stage4", "places": 12, "method": "heads"},
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
        "stage 4": "Worse: half the meaning in as many places.",
        "stage 4, 12 x 12 places, heads": "About as good as heads at stage 5: four times the "
        "places, half the meaning.",
    },
)
