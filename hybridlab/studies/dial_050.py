"""What label dependency brings at a co-occurrence of 0.5; see `decoding`.

    hybridlab reproduce 02
"""

from hybridlab.studies.decoding import against_heads

# Hypotheses were written before the first run.
STUDY = against_heads(
    "dial_050",
    "Does a label decoder gain on independent heads at a co-occurrence of 0.5?",
    {
        "CNN-RNN, its own sets": "Behind in mAP, no difference in OF1.",
    },
    cooccurrence=0.5,
)
