"""Where label dependency pays: hidden objects, at a co-occurrence of 0.75; see `decoding`.

    hybridlab reproduce 02
"""

from hybridlab.studies.decoding import CONTROL as CONTROL
from hybridlab.studies.decoding import against_heads

STUDY = against_heads(
    "regime_hidden",
    "Does label dependency pay for objects that others hide?",
    {
        "CNN-RNN, its own sets": "A larger gain than on objects in full view.",
    },
    cooccurrence=0.75,
    clutter=1.0,  # many objects: of those at 0.5 one in a hundred is hidden
    among="hidden",
)
