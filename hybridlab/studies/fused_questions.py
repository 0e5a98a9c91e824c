"""What a sceptic asked about `fusions`: is each gain what we say it is?

    hybridlab reproduce 05

Does cross-fitting pay? Do label queries gain what class attention gains from a softmax for each
view? How much of the hybrid's lead over one view is the second view, if the one view hears the
decoder, too?
"""

from hybridlab.studies.fusions import BEST, CONTROL, VARIANTS, family, fusion_study

PAST = f"{BEST}, opinions also past"
QUERIES = "label queries, both maps"
ASKED = {
    **{name: VARIANTS[name] for name in (
        CONTROL, PAST, QUERIES, "concat", "concat, opinions not cross-fitted",
        f"{BEST}: the CNN's alone",
    )},
    f"{PAST}, not cross-fitted": family(BEST, own_opinion=True, folds=1),
    f"{BEST}: the CNN's alone, opinions also past": family(
        BEST, own_opinion=True, without="clip"),
    "label queries, a softmax for each view": {
        **VARIANTS[QUERIES],
        "fusion_options": {**VARIANTS[QUERIES].get("fusion_options", {}), "apart": True}},
    "label queries, a softmax for each view, twice as wide": {
        **VARIANTS[QUERIES],
        "fusion_options": {**VARIANTS[QUERIES].get("fusion_options", {}), "apart": True,
                           "width": 256}},
}
# Written before the first run, and after `fusions`, in which "concat, opinions not cross-fitted"
# was half a point ahead of concat where it had been expected behind.
STUDY = fusion_study(
    "fused_questions",
    "Are the gains of the best fusion what we say they are?",
    ASKED,
    {
        f"{PAST}, not cross-fitted": "Behind opinions that are cross-fitted: past the fusion "
        "nothing softens a decoder that knows the scene.",
        f"{BEST}: the CNN's alone, opinions also past": "As without opinions: the decoder reads "
        "the map that the labels look at.",
        "label queries, a softmax for each view": "Ahead of one softmax by 3 mAP or more, and "
        "behind class attention.",
        "label queries, a softmax for each view, twice as wide": "No difference to half the width.",
    },
    CONTROL,
)
ALSO_AGAINST = (PAST, "concat", f"{BEST}: the CNN's alone", QUERIES,
                "label queries, a softmax for each view")
