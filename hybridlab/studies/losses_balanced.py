"""The runs of `losses` in a world whose labels are equally frequent."""

from hybridlab.studies.losses import losses_study

STUDY = losses_study(
    "losses_balanced",
    "And where labels are equally frequent?",
    {"loss=weighted BCE, decide=at 0.5": "CF1 at 0.5 gains here too: every label is there in few "
     "scenes only, so imbalance within a label is the rule of multi-label data."},
    imbalance=0.0,
)
