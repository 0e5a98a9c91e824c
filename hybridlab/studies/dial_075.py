"""What label dependency brings at a co-occurrence of 0.75; see `decoding`.

    hybridlab reproduce 02
"""

from hybridlab.studies.decoding import CONTROL as CONTROL
from hybridlab.studies.decoding import against_heads

STUDY = against_heads(
    "dial_075",
    "Does a label decoder gain on independent heads at a co-occurrence of 0.75?",
    {
        "CNN-RNN, its own sets": "Nearer than at 0.5, and level in exact match.",
        "heads and CNN-RNN, mixed": "Ahead of two heads in mAP and OF1.",
    },
    cooccurrence=0.75,
)
