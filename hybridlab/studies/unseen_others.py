"""The runs of `unseen`, measured on the 64 labels that every checkpoint was shown."""

from hybridlab.studies.checkpoints import SECOND, SHIPPED, WITHOUT
from hybridlab.studies.unseen import unseen_study, variant

# Written before the first run.
STUDY = unseen_study(
    "unseen_others",
    "And on the 64 labels that were shown either way?",
    "seen",
    {
        variant("best patch", WITHOUT): "No difference: one picture in thirty-five shows another "
        "emoji, the rest are the same.",
        variant("best patch", SHIPPED): "Better: twice the steps.",
        variant("best patch", SECOND): "Better than the short schedule by as much as the shipped.",
    },
)
ALSO_AGAINST = (variant("best patch", SHIPPED),)
