"""What label dependency adds to good heads: small objects; see `evidence`.

    hybridlab reproduce 02
"""

from hybridlab.studies.evidence import evidence_study

# Hypotheses were written before the first run of any study of this kind.
STUDY = evidence_study(
    0.75,
    {
        "stacked heads": "Ahead by more than on all objects: where a thing is too small to see, "
        "its company helps.",
        "decoder on opinions, its own sets": "Ahead in exact match.",
    },
    regime="small",
    among="small",
)
