"""The runs of `together`, measured on the 64 labels whose annotations the heads were given."""

from hybridlab.studies.checkpoints import ALL, WITHOUT
from hybridlab.studies.together import ANNOTATED, STACKED, WORDS, together_study, variant

# Written before the first run.
STUDY = together_study(
    "together_others",
    "And what do the labels with annotations pay for it?",
    "seen",
    {
        variant(WORDS, ALL): "Worse: heads were trained for these labels.",
        variant(STACKED, ALL): "Worse: what is taken off them costs them places, though less than "
        "the other 16 gain, so that the harmonic mean rises.",
        variant(ANNOTATED, ALL): "Worse by a little: 16 more labels with good heads compete.",
        variant(STACKED, WITHOUT): "Worse, and for nothing: the harmonic mean stays near 0.",
    },
)
