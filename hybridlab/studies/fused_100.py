"""The best ways to join two views where labels keep the strongest company; see `fusions`.

    hybridlab reproduce 05
"""

from hybridlab.studies.fusions import BEST, few_study

# Written before the first run.
STUDY = few_study(
    "fused_100",
    "What do fusion and decoder add at a co-occurrence of 1?",
    {
        f"{BEST}, opinions also past": "Ahead of no opinions by more than at 0.75.",
        f"{BEST}, opinions of heads, also past": "Behind the decoder's: here the decoder is at "
        "least as good as heads that look.",
        "CNN-RNN as it is": "As good as heads that look, as in lesson 02.",
        "concat": "Nearer to class attention than at 0.75.",
    },
    cooccurrence=1.0,
)
ALSO_AGAINST = (
    BEST, f"{BEST}, opinions of heads, also past", "heads that look at the CNN's map",
)
