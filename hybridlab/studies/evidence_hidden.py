"""What label dependency adds to good heads: objects that others hide; see `evidence`.

    hybridlab reproduce 02
"""

from hybridlab.studies.evidence import evidence_study

# Hypotheses were written before the first run of any study of this kind.
STUDY = evidence_study(
    0.75,
    {
        "stacked heads": "Ahead by more than on all objects.",
        "decoder on opinions, its own sets": "Ahead in exact match.",
    },
    regime="hidden",
    clutter=1.0,  # as in `regime_hidden`
    among="hidden",
)
