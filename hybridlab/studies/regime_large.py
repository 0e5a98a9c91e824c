"""Where label dependency pays: large objects, at a co-occurrence of 0.75; see `decoding`.

    hybridlab reproduce 02
"""

from hybridlab.studies.decoding import CONTROL as CONTROL
from hybridlab.studies.decoding import against_heads

STUDY = against_heads(
    "regime_large",
    "Does label dependency pay for large objects?",
    {
        "CNN-RNN, its own sets": "A smaller gain than on small objects.",
    },
    cooccurrence=0.75,
    among="large",
)
