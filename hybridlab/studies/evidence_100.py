"""What label dependency adds to good heads at a co-occurrence of 1; see `evidence`.

    hybridlab reproduce 02
"""

from hybridlab.studies.evidence import evidence_study

STUDY = evidence_study(1.0, {
    "stacked heads": "Ahead in mAP by two points or more.",
    "told the other labels": "The largest gain of all dials.",
})
