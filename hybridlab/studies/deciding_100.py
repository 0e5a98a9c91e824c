"""Rules for thresholds where a label has 100 positives to choose by; see `deciding`.

    hybridlab reproduce 07
"""

from hybridlab.studies.deciding import TUNED, deciding_study

# Written before the first run.
STUDY = deciding_study(
    100,
    {
        "best F1 of each label": "Ahead in CF1 and macro-F1.",
        "best F1 of each label, shrunk": "Ahead in CF1 and macro-F1, by as much as without.",
        "half of the best F1, calibrated": "Ahead in macro-F1, by as much as the best F1 of each "
        "label.",
        "best OF1 of all combinations": "Ahead in OF1.",
        "climbed for CF1": "CF1 highest of all honest rules, macro-F1 far behind.",
        "adjusted by CLIP": "No difference.",
        TUNED: "Ahead of the best F1 of each label by 2 points of macro-F1 or more, and worth "
        "nothing.",
    },
)
