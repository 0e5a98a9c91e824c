"""What label dependency brings at a co-occurrence of 0; see `decoding`.

    hybridlab reproduce 02
"""

from hybridlab.studies.decoding import CONTROL as CONTROL
from hybridlab.studies.decoding import against_heads

STUDY = against_heads(
    "dial_000",
    "Does a label decoder gain on independent heads at a co-occurrence of 0?",
    {
        "CNN-RNN, its own sets": "Behind in all: there is nothing to learn from other labels.",
        "heads and CNN-RNN, mixed": "No more than two heads bring.",
    },
    cooccurrence=0.0,
)
