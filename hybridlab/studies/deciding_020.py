"""Rules for thresholds where a label has 20 positives to choose by; see `deciding`.

    hybridlab reproduce 07
"""

from hybridlab.studies.deciding import TUNED, deciding_study

# Written before the first run.
STUDY = deciding_study(
    20,
    {
        "best F1 of each label": "Behind in OF1; no difference in macro-F1, which it aims at.",
        "best F1 of each label, shrunk": "No difference in OF1, ahead in macro-F1.",
        "half of the best F1, calibrated": "Ahead in macro-F1.",
        "best OF1 of all combinations": "Behind in OF1.",
        "adjusted by CLIP": "No difference: what CLIP likes is in the logits already.",
        TUNED: "Ahead of all, and worth nothing.",
    },
)
