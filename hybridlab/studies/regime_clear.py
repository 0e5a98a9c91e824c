"""Where label dependency pays: objects in full view, at a co-occurrence of 0.75; see `decoding`.

    hybridlab reproduce 02
"""

from hybridlab.studies.decoding import CONTROL as CONTROL
from hybridlab.studies.decoding import against_heads

STUDY = against_heads(
    "regime_clear",
    "Does label dependency pay for objects in full view?",
    {
        "CNN-RNN, its own sets": "A smaller gain than on hidden objects.",
    },
    cooccurrence=0.75,
    clutter=1.0,  # many objects: of those at 0.5 one in a hundred is hidden
    among="clear",
)
