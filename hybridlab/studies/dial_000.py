"""What label dependency brings at a co-occurrence of 0; see `decoding`.

    hybridlab reproduce 02
"""

from hybridlab.studies.decoding import against_heads

# Hypotheses were written before the first run.
STUDY = against_heads(
    "dial_000",
    "Does a label decoder gain on independent heads at a co-occurrence of 0?",
    {
        "CNN-RNN, its own sets": "Worse in mAP: labels tell nothing of each other, and the decoder "
        "must learn that.",
        "heads and CNN-RNN, mixed": "No more than two heads bring.",
    },
    cooccurrence=0.0,
)
