"""Where label dependency pays: missing labels, at a co-occurrence of 0.75; see `decoding`.

    hybridlab reproduce 02
"""

from hybridlab.studies.decoding import CONTROL as CONTROL
from hybridlab.studies.decoding import against_heads

STUDY = against_heads(
    "regime_missing",
    "Does label dependency pay where 60 % of the training annotations are missing?",
    {
        "CNN-RNN, its own sets": "Behind in all: the decoder takes what is missing for absent, and "
        "learns to stop too soon; heads pass it by.",
    },
    cooccurrence=0.75,
    missing=0.6,
)
