"""How wide should the search be, and how should lengths be weighed? See `decoding`.

    hybridlab reproduce 02

All variants decode with the same trained decoders.
"""

from hybridlab.ablation.study import Study
from hybridlab.studies.decoding import METRICS, RECIPE

_BEAMS = {"marginal": "sum_over_beams"}

# Hypotheses were written before the first run.
STUDY = Study(
    name="beams",
    question="Does a wider search find better sets, and what does length normalisation do?",
    run="hybridlab.studies.decoding:run",
    recipe=RECIPE,
    variants={
        "greedy": {},
        "2 beams": {**_BEAMS, "beams": 2},
        "4 beams": {**_BEAMS, "beams": 4},
        "8 beams": {**_BEAMS, "beams": 8},
        "16 beams": {**_BEAMS, "beams": 16},
        "4 beams, max over steps": {"beams": 4},
        "4 beams, length power 0.5": {**_BEAMS, "beams": 4, "length_power": 0.5},
        "4 beams, length power 1": {**_BEAMS, "beams": 4, "length_power": 1.0},
    },
    reference="greedy",
    seeds=range(5),
    metrics=METRICS,
    hypotheses={
        "4 beams": "Ahead in exact match: the likeliest set is what is asked for. Shorter sets, so "
        "less recall.",
        "16 beams": "As 4 beams in sets; better in mAP, as more labels are in some beam.",
        "4 beams, length power 1": "Longer sets: more recall, less precision, worse exact match.",
    },
)
