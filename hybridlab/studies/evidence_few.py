"""What label dependency adds to good heads: few examples: 300 training scenes; see `evidence`.

    hybridlab reproduce 02
"""

from hybridlab.studies.evidence import evidence_study

STUDY = evidence_study(
    0.75,
    {
        "stacked heads": "No gain: 300 scenes show few pairs of labels.",
        "told the other labels": "A larger gain than with 3000 scenes: the heads are weaker.",
    },
    regime="few",
    train=300,
    head_epochs=150,
    stack_epochs=120,
)
