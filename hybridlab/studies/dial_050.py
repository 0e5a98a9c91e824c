"""What label dependency brings at a co-occurrence of 0.5; see `decoding`.

    hybridlab reproduce 02
"""

from hybridlab.studies.decoding import CONTROL as CONTROL
from hybridlab.studies.decoding import against_heads

STUDY = against_heads(
    "dial_050",
    "Does a label decoder gain on independent heads at a co-occurrence of 0.5?",
    {
        "CNN-RNN, its own sets": "Behind by ten points of mAP and five of OF1; nearer in exact "
        "match.",
        "heads and CNN-RNN, mixed": "A little ahead of two heads.",
    },
    cooccurrence=0.5,
)
