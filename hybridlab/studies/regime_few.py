"""Where label dependency pays: few examples, at a co-occurrence of 0.75; see `decoding`.

    hybridlab reproduce 02
"""

from hybridlab.studies.decoding import CONTROL as CONTROL
from hybridlab.studies.decoding import against_heads

STUDY = against_heads(
    "regime_few",
    "Does label dependency pay where there are 300 training scenes?",
    {
        "CNN-RNN, its own sets": "Less far behind than with 3000 scenes: what "
        "labels say of each other needs fewer examples than what pixels say.",
    },
    cooccurrence=0.75,
    train=300,
    epochs=80,  # of five batches each; the best by validation is kept
    head_epochs=150,
)
