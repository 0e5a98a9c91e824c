"""The annotated labels beside those that are not: the same models as in `fused_unseen`.

    hybridlab reproduce 05
"""

from hybridlab.studies.fused_unseen import hidden_study

# Written before the first run.
STUDY = hidden_study(
    "fused_seen",
    "How good are the same heads at the labels that were annotated?",
    "seen",
    {
        "contrastive head, beta 1": "A little better: the loss on texts is a loss on labels, too.",
        "label head": "Better: its only task is to find these labels.",
        "CLIP's cosines, best patch": "Far worse: no scene was ever shown to it.",
    },
)
