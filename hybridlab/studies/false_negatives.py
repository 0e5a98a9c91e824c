"""When do false negatives cost something? The fewer things there are, the more twins a batch has.

    hybridlab reproduce 03

Trained and tested as in `hybridlab.studies.contrast`, with 10 emoji in place of 100. Of 64 pictures
some three quarters then have twins, that is others that show the same: three each on average, in
place of 0.4.
"""

from __future__ import annotations

from hybridlab.ablation.study import Study
from hybridlab.studies.contrast import RECIPE

# Hypotheses were written after `contrast`, where false negatives cost 1.4 points of mAP, not shown,
# and before the first run of this study.
STUDY = Study(
    name="false_negatives",
    question="What do false negatives cost where a batch is full of them?",
    run="hybridlab.studies.contrast:run",
    recipe={**RECIPE, "emoji": 10},
    variants={
        "several positives": {}, "same emoji as negatives": {"same": "negatives"},
        "same emoji left out": {"same": "left out"},
    },
    reference="several positives",
    seeds=range(5),
    metrics=("mean_ap", "one_error"),
    hypotheses={
        "same emoji as negatives": "Worse, by more than with 100 emoji.",
        "same emoji left out": "No difference.",
    },
)
