"""What label dependency brings at a co-occurrence of 0.25; see `decoding`.

    hybridlab reproduce 02
"""

from hybridlab.studies.decoding import CONTROL as CONTROL
from hybridlab.studies.decoding import against_heads

STUDY = against_heads(
    "dial_025",
    "Does a label decoder gain on independent heads at a co-occurrence of 0.25?",
    {},
    cooccurrence=0.25,
)
