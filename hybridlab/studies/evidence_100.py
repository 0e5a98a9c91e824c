"""What label dependency adds to good heads at a co-occurrence of 1; see `evidence`.

    hybridlab reproduce 02
"""

from hybridlab.studies.evidence import evidence_study

STUDY = evidence_study(1.0, {
    "stacked heads": "Ahead in mAP by three points or more.",
    "decoder on opinions, its own sets": "Ahead in exact match by more than at any other dial; "
    "behind stacked heads in mAP.",
})
