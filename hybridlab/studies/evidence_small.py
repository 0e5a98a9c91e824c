"""What label dependency adds to good heads: small objects; see `evidence`.

    hybridlab reproduce 02
"""

from hybridlab.studies.evidence import evidence_study

STUDY = evidence_study(
    0.75,
    {
        "stacked heads": "A larger gain than on all objects: where a thing is too small to see, "
        "its company helps.",
        "told the other labels": "A larger gain than on all objects.",
    },
    regime="small",
    among="small",
)
