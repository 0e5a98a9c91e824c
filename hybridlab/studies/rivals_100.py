"""Fair rivals of the mix at a co-occurrence of 1.0, on features of stage 4; see `rivals`.

    hybridlab reproduce 02
"""

from hybridlab.studies.rivals import SETS, rivals

# Written after `stage4_100`, whose models these are, and after one trial at stage 5 (one seed, a
# co-occurrence of 1: a second kind of head gained no more than a second seed).
STUDY = rivals(
    "rivals_100",
    "Does any second kind of eye gain as much as a CNN-RNN, at a co-occurrence of 1.0?",
    {
        "heads and heads on the mean, mixed": "No more than two heads: other errors, but far more.",
        "independent heads" + SETS: "Ahead of two heads in exact match: it is what they aim at.",
    },
    cooccurrence=1.0,
    cnn_stage="stage4",
)
ALSO_AGAINST = ("heads and heads on the mean, mixed", "two heads, mixed" + SETS)
