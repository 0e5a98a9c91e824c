"""Whether label dependency pays where single looks see more: stage 4; see `decoding`.

    hybridlab reproduce 02

As `dial_100`, but for the features: `cnn_stages` found heads at stage 4 ten points ahead of
heads at stage 5, from as many places. Hypotheses were written after both and before the first run.
"""

from hybridlab.studies.decoding import CONTROL as CONTROL
from hybridlab.studies.decoding import against_heads

STUDY = against_heads(
    "stage4_100",
    "Does label dependency pay at stage 4, at a co-occurrence of 1.0?",
    {
        "CNN-RNN, its own sets": "Behind: better looks gain more than company does.",
        "heads and CNN-RNN, mixed": "A gain on two heads, but less than the 3.1 points of stage 5.",
    },
    cooccurrence=1.0,
    cnn_stage="stage4",
)
