"""What label dependency adds to good heads: 60 % of the annotations missing; see `evidence`.

    hybridlab reproduce 02
"""

from hybridlab.studies.evidence import evidence_study

STUDY = evidence_study(
    0.75,
    {
        "stacked heads": "No gain: the pairs are missing, too.",
        "told the other labels": "A smaller gain: in training most others are not known.",
    },
    regime="missing",
    missing=0.6,
)
