"""What the switches of a stage bring, at equal steps: augmentation, curriculum, average, schedule.

    hybridlab reproduce 06
"""

from hybridlab.studies.stages import stage_study

# Written before the first run.
STUDY = stage_study(
    "stage_switches",
    "Which switch of a stage earns its place?",
    {
        "gently, averaged weights": {"ema": 0.98},
        "gently, augmented": {"augment": "clip"},
        "gently, cropped": {"augment": "crop"},
        "gently, few labels first": {"curriculum": "labels"},
        "gently, little clutter first": {"curriculum": "clutter"},
        "gently, one cycle": {"schedule": "one_cycle"},
    },
    {
        "gently, averaged weights": "No difference: the schedule ends at a rate of 0.",
        "gently, augmented": "Ahead: 800 scenes are few for four million weights.",
        "gently, cropped": "Ahead by less than with colours and blur besides.",
        "gently, few labels first": "No difference.",
        "gently, little clutter first": "No difference.",
        "gently, one cycle": "No difference.",
    },
)
