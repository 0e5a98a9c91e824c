"""Rules for thresholds where a label has 5 positives to choose by; see `deciding`.

    hybridlab reproduce 07
"""

from hybridlab.studies.deciding import TUNED, deciding_study

# Written before the first run.
STUDY = deciding_study(
    5,
    {
        "0.5": "Behind in OF1: a head that was trained to be honest rarely dares.",
        "three labels for each scene": "Behind in OF1: scenes have one to six labels.",
        "as many labels as there are": "No difference.",
        "best F1 of each label": "Behind in all three: five positives choose a cut by chance.",
        "best F1 of each label, or one threshold below 5 positives": "Behind, by less than without "
        "the fall-back.",
        "best F1 of each label, shrunk": "No difference.",
        "half of the best F1, calibrated": "Ahead of the best F1 of each label: two numbers for a "
        "label where the other looks at every cut.",
        "best OF1 of all combinations": "Furthest behind of all that aim at OF1, and the one that "
        "flatters itself most.",
        "climbed for CF1": "Behind, in CF1 too.",
        "precision of 0.8 or more": "Behind: most labels reach it on their few scenes by chance.",
        "adjusted by CLIP": "No difference.",
        TUNED: "Ahead of all, and worth nothing.",
    },
)
