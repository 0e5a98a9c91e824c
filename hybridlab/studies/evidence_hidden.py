"""What label dependency adds to good heads: objects that others hide; see `evidence`.

    hybridlab reproduce 02
"""

from hybridlab.studies.evidence import evidence_study

STUDY = evidence_study(
    0.75,
    {
        "stacked heads": "A larger gain than on all objects.",
        "told the other labels": "A larger gain than on all objects.",
    },
    regime="hidden",
    clutter=1.0,  # as in `regime_hidden`
    among="hidden",
)
