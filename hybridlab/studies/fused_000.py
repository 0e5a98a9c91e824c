"""The best ways to join two views where labels keep no company; see `fusions`.

    hybridlab reproduce 05
"""

from hybridlab.studies.fusions import BEST, few_study

# Written before the first run.
STUDY = few_study(
    "fused_000",
    "What do fusion and decoder add at a co-occurrence of 0?",
    {
        f"{BEST}, opinions also past": "No more than without: there is nothing in a sequence of "
        "labels that the map does not show.",
        f"{BEST}, opinions of heads, also past": "No more than without.",
        "CNN-RNN as it is": "Far behind heads that look at its map, as in lesson 02.",
        "concat": "Further behind class attention than at 0.75: here it is places that tell.",
    },
    cooccurrence=0.0,
)
ALSO_AGAINST = (
    BEST, f"{BEST}, opinions of heads, also past", "heads that look at the CNN's map",
)
