"""What label dependency adds to good heads: 60 % of the training annotations missing; see
`evidence`.

    hybridlab reproduce 02
"""

from hybridlab.studies.evidence import evidence_study

# Hypotheses were written before the first run of any study of this kind.
STUDY = evidence_study(
    0.75,
    {
        "stacked heads": "Ahead: it is trained on what is annotated.",
        "decoder on opinions, its own sets": "Behind: it takes what is missing for absent.",
    },
    regime="missing",
    missing=0.6,
)
