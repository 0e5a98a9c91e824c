"""The runs of `losses`, measured on the rarest third of the labels only."""

from hybridlab.studies.losses import losses_study

STUDY = losses_study(
    "losses_rare",
    "Do the rarest labels gain from a loss for imbalance?",
    {"loss=weighted BCE, decide=at 0.5": "mAP of rare labels: better than BCE."},
    labels="rare",
)
