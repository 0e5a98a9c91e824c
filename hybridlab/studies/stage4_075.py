"""Whether label dependency pays where single looks see more: stage 4; see `decoding`.

    hybridlab reproduce 02

As `dial_075`, but for the features: `cnn_stages` found heads at stage 4 ten points ahead of
heads at stage 5, from as many places. Hypotheses were written after both and before the first run.
"""

from hybridlab.studies.decoding import CONTROL as CONTROL
from hybridlab.studies.decoding import against_heads

STUDY = against_heads(
    "stage4_075",
    "Does label dependency pay at stage 4, at a co-occurrence of 0.75?",
    {
        "CNN-RNN, its own sets": "Further behind: what one look tells, company need not.",
        "heads and CNN-RNN, mixed": "A gain on two heads, but less than the 1.8 points of stage 5.",
    },
    cooccurrence=0.75,
    cnn_stage="stage4",
)
