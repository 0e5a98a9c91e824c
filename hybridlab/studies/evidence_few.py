"""What label dependency adds to good heads: few examples: 300 training scenes; see `evidence`.

    hybridlab reproduce 02
"""

from hybridlab.studies.evidence import evidence_study

# Hypotheses were written before the first run of any study of this kind.
STUDY = evidence_study(
    0.75,
    {
        "stacked heads": "Ahead by more than with 3000 scenes: the heads are weaker.",
        "decoder on opinions, its own sets": "No gain: 300 scenes show few pairs of labels.",
    },
    regime="few",
    train=300,
    epochs=120,  # of five batches each; the best by validation is kept
    head_epochs=150,
)
