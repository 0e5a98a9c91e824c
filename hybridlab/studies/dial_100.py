"""What label dependency brings at a co-occurrence of 1; see `decoding`.

    hybridlab reproduce 02
"""

from hybridlab.studies.decoding import CONTROL as CONTROL
from hybridlab.studies.decoding import against_heads

STUDY = against_heads(
    "dial_100",
    "Does a label decoder gain on independent heads at a co-occurrence of 1?",
    {
        "CNN-RNN, its own sets": "Ahead in exact match, still behind in mAP.",
        "heads and CNN-RNN, mixed": "Ahead of two heads, by more than at any other dial.",
    },
    cooccurrence=1.0,
)
