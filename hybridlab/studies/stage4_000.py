"""Whether label dependency pays where single looks see more: stage 4; see `decoding`.

    hybridlab reproduce 02

As `dial_000`, but for the features: `cnn_stages` found heads at stage 4 ten points ahead of
heads at stage 5, from as many places. Hypotheses were written after both and after `stage4_075`
(the mix 2.5 points ahead of two heads), and before the first run of this one.
"""

from hybridlab.studies.decoding import CONTROL as CONTROL
from hybridlab.studies.decoding import against_heads

STUDY = against_heads(
    "stage4_000",
    "Does label dependency pay at stage 4, at a co-occurrence of 0?",
    {
        "CNN-RNN, its own sets": "Further behind: nothing is to be known from company.",
        "heads and CNN-RNN, mixed": "No gain on two heads; else that at 0.75 is not of company.",
    },
    cooccurrence=0.0,
    cnn_stage="stage4",
)
