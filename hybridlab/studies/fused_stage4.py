"""The best ways to join two views where a place of the CNN's map sees less; see `fusions`.

    hybridlab reproduce 05

The CNN is cut at stage 4, and its map averaged to as many places as stage 5 has. In lesson 02 that
is where a decoder had something to tell, for a place does not see its neighbours' company.
"""

from hybridlab.studies.fusions import BEST, few_study

# Written before the first run, after trials of the views on validation scenes with another seed.
STUDY = few_study(
    "fused_stage4",
    "What do fusion and decoder add where a place of the CNN's map sees less of the picture?",
    {
        "heads that look at the CNN's map": "Behind the fusion by less than at stage 5: the CNN is "
        "much the better view now.",
        f"{BEST}: the CNN's alone": "As these heads.",
        f"{BEST}, opinions also past": "Ahead of no opinions: what a place does not see of its "
        "neighbours, a sequence of labels tells.",
        f"{BEST}, opinions of heads, also past": "Behind the decoder's.",
        "concat": "Behind the CNN's heads: one vector cannot hold what 36 places say.",
    },
    cnn_stage="stage4", cnn_places=6,
)
