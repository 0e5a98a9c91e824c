"""What label dependency adds to good heads at a co-occurrence of 0; see `evidence`.

    hybridlab reproduce 02
"""

from hybridlab.studies.evidence import evidence_study

STUDY = evidence_study(0.0, {
    "stacked heads": "No gain: what others say is noise here.",
    "told the other labels": "No gain: there is nothing to be told.",
})
