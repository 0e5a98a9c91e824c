"""Where label dependency pays: small objects, at a co-occurrence of 0.75; see `decoding`.

    hybridlab reproduce 02
"""

from hybridlab.studies.decoding import CONTROL as CONTROL
from hybridlab.studies.decoding import against_heads

STUDY = against_heads(
    "regime_small",
    "Does label dependency pay for small objects?",
    {
        "CNN-RNN, its own sets": "A larger gain than on all objects: what is hard to see is "
        "guessed from its company.",
    },
    cooccurrence=0.75,
    among="small",
)
