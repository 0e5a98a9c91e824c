"""How should two views be joined? Eleven fusions, each view alone, and controls; see `fusing`.

    hybridlab reproduce 05
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hybridlab.ablation.study import Study
from hybridlab.studies.fusing import METRICS, RECIPE

if TYPE_CHECKING:
    from hybridlab.ablation.records import RunRecord

_MAPS = {"tokens": "map"}
# A block for each of 80 labels: narrower, or it would cost far more than the others.
_ASK = {"fusion": "label_query", "fusion_options": {"width": 128}, **_MAPS}
_LOOK = {"fusion": "class_attention", **_MAPS}
# Ways to join the views. They differ in nothing else but the rate that suits each.
FAMILIES: dict[str, dict[str, Any]] = {
    "concat": {},
    "gate": {"fusion": "gate"},
    "late": {"fusion": "late"},
    "element-wise": {"fusion": "elementwise"},
    "bilinear": {"fusion": "bilinear"},
    "factorised bilinear": {"fusion": "factorised"},
    "compact bilinear": {"fusion": "compact"},
    "compact bilinear with the views themselves": {
        "fusion": "compact", "fusion_options": {"one": True},
    },
    "cross-attention of two vectors": {
        "fusion": "cross_attention", "fusion_options": {"single_vector": True},
    },
    "cross-attention, steps and patches": {"fusion": "cross_attention"},
    "cross-attention, both maps": {"fusion": "cross_attention", **_MAPS},
    "co-attention, steps and patches": {"fusion": "co_attention"},
    "label queries, both maps": _ASK,
    "class attention, both maps": _LOOK,
    "class attention, one softmax": {**_LOOK, "fusion_options": {"apart": False}},
}
EPOCHS = 20  # of every family; the best epoch on validation scenes is kept
# The best rate of each family in `fusion_rates`; a test compares them with its recorded file.
RATES = {
    "concat": 0.001,
    "gate": 0.003,
    "late": 0.003,
    "element-wise": 0.001,
    "bilinear": 0.0001,
    "factorised bilinear": 0.01,
    "compact bilinear": 0.0003,
    "compact bilinear with the views themselves": 0.0003,
    "cross-attention of two vectors": 0.0003,
    "cross-attention, steps and patches": 0.0003,
    "cross-attention, both maps": 0.0003,
    "co-attention, steps and patches": 0.001,
    "label queries, both maps": 0.001,
    "class attention, both maps": 0.003,
    "class attention, one softmax": 0.003,
}


def family(name: str, **changes: Any) -> dict[str, Any]:
    """A family at its rate, with some settings changed."""
    return {**FAMILIES[name], "fusion_epochs": EPOCHS, "fusion_lr": RATES[name], **changes}


BEST = "class attention, both maps"
VARIANTS: dict[str, dict[str, Any]] = {
    **{name: family(name) for name in FAMILIES},
    # One view alone, by the same fusion, head and recipe; and without fusion.
    "CLIP alone": family("concat", without="cnn_rnn"),
    "CNN-RNN alone": family("concat", without="clip"),
    f"{BEST}: the CNN's alone": family(BEST, view="map", without="clip"),
    f"{BEST}: CLIP's alone": family(BEST, without="cnn_rnn"),
    "CNN-RNN as it is": {"method": "cnn_rnn"},
    "heads that look at the CNN's map": {"method": "looking_cnn"},
    "heads that look at CLIP's patches": {"method": "looking_clip"},
    "both heads, mixed": {"method": "looking_both"},
    "two heads on the CNN's map, mixed": {"method": "looking_twice"},
    # What the CNN-RNN brings to a plain fusion, and how.
    "concat, the decoder's hidden state": family("concat", view="state"),
    "concat, the mean of the CNN's map": family("concat", view="map"),
    "concat, opinions not cross-fitted": family("concat", folds=1),
    "concat, opinions also past the fusion": family("concat", own_opinion=True),
    "concat, opinions of heads, also past": family("concat", own_opinion=True, opinions="heads"),
    "concat, beta 0.1": family("concat", beta=0.1),
    "concat, ASL": family("concat", classification="asl"),
    # What the decoder brings to the best fusion, beside who might bring it, too.
    f"{BEST}, no opinions": family(BEST, view="map"),
    f"{BEST}, opinions also past": family(BEST, own_opinion=True),
    f"{BEST}, opinions of heads, also past": family(BEST, own_opinion=True, opinions="heads"),
    f"{BEST}, opinions of both, also past": family(BEST, own_opinion=True, opinions="both"),
    f"{BEST}, opinions of two heads, also past": family(
        BEST, own_opinion=True, opinions="two_heads"),
    f"{BEST}, no opinions, mixed with the decoder": family(
        BEST, method="with_scores", view="map"),
    f"{BEST}, no opinions, two of them, mixed": family(BEST, method="two_fused", view="map"),
    f"{BEST}, beta 0.1": family(BEST, beta=0.1),
}


def fusion_study(
    name: str, question: str, variants: dict[str, dict[str, Any]], hypotheses: dict[str, str],
    reference: str = "concat", **changes: Any,
) -> Study:
    """Some ways to join the views, with some settings changed for all."""
    return Study(
        name=name,
        question=question,
        run="hybridlab.studies.fusing:run",
        recipe={**RECIPE, **changes},
        variants=variants,
        reference=reference,
        seeds=range(5),
        metrics=METRICS,
        hypotheses=hypotheses,
    )


# The hybrid without its decoder: what the decoder adds is told against it.
CONTROL = f"{BEST}, no opinions"
# The best three on the validation scenes of `fusion_rates`, and the plainest.
BEST_THREE = (BEST, "cross-attention, both maps", "class attention, one softmax")
FEW = (
    CONTROL, *BEST_THREE, "concat", f"{BEST}: the CNN's alone", f"{BEST}: CLIP's alone",
    "CNN-RNN as it is", "heads that look at the CNN's map", f"{BEST}, opinions also past",
    f"{BEST}, opinions of heads, also past",
)


def few_study(name: str, question: str, hypotheses: dict[str, str], **changes: Any) -> Study:
    """Some of the ways to join the views, with some settings changed for all."""
    return fusion_study(
        name, question, {each: VARIANTS[each] for each in FEW}, hypotheses, CONTROL, **changes
    )


STUDY = fusion_study(
    "fusions",
    "How should two views be joined, and what does each of them add?",
    VARIANTS,
    # Written before the first run, after trials on validation scenes with a seed of their own.
    {
        "late": "Behind concat: a vote cannot learn what two weak hints say together.",
        "bilinear": "Behind concat: products alone lose what a view says by itself.",
        "compact bilinear with the views themselves": "As concat: products of two views that look "
        "at the same things are little news.",
        "cross-attention of two vectors": "As concat: over one key it is no attention.",
        "cross-attention, both maps": "Ahead of concat by little: it still makes one vector.",
        "label queries, both maps": "Behind heads that look at one map: one softmax over two views "
        "lets a label settle on one of them.",
        "class attention, both maps": "Ahead of all: each label looks at both, and must.",
        "class attention, one softmax": "Behind by 5 mAP.",
        "concat, opinions also past the fusion": "Ahead of concat by 3 mAP: it need not learn anew "
        "what the decoder says.",
        "concat, opinions of heads, also past": "No less than with the decoder's: what counts is "
        "that the map was looked at.",
        "concat, opinions not cross-fitted": "Behind: it trusts opinions that know the scene.",
        f"{BEST}, opinions also past": "Ahead of no opinions by 1 mAP.",
        f"{BEST}, opinions of heads, also past": "No less than with the decoder's.",
    },
)
# CONTROL in every metric; the other questions in mAP.
ALSO_AGAINST = (
    "heads that look at the CNN's map", "CNN-RNN as it is", f"{BEST}: the CNN's alone",
    "concat, the mean of the CNN's map", BEST, f"{BEST}, opinions of two heads, also past",
    f"{BEST}, opinions of heads, also past",
    f"{BEST}, no opinions, two of them, mixed",
)


def further(records: Sequence[RunRecord]) -> dict[str, Any]:
    """What each way finds of which objects, as means over seeds.

    Returns:
        "recall": variant -> group -> recall, by the variant's own decisions. "found": group ->
        shares of the labels that are there found by both, the CNN-RNN, CLIP, or neither, and their
        number; "found_twice": the same of the CNN-RNN and the CNN-RNN of another seed, for even two
        of a kind differ. "found_by_label": label -> as "found". In all three, each says yes as
        often as there are labels. Groups without a label are left out.
    """
    from collections import defaultdict

    import numpy as np

    from hybridlab.evaluation.complementarity import as_many, complementarity
    from hybridlab.studies.fusing import groups_of, pipeline_of

    shop = pipeline_of(dict(records[0].config), 0, None)
    truth = shop.targets["test"].numpy()
    groups = {"all": truth > 0, **groups_of(shop)}
    groups = {name: which for name, which in groups.items() if which.any()}
    said: dict[str, dict[int, np.ndarray]] = defaultdict(dict)
    scores: dict[str, dict[int, np.ndarray]] = defaultdict(dict)
    for record in records:
        found = record.predictions()
        said[record.variant][record.seed] = found.decisions > 0
        scores[record.variant][record.seed] = as_many(found.scores, int((truth > 0).sum()))
    recall = {
        variant: {
            name: round(float(np.mean([yes[which].mean() for yes in by_seed.values()])), 4)
            for name, which in groups.items()
        }
        for variant, by_seed in said.items()
    }
    first, second = scores["CNN-RNN alone"], scores["CLIP alone"]
    names = shop.splits["test"].vocabulary.names
    by_label = {name: there for at, name in enumerate(names)
                if (there := groups["all"] & (np.arange(len(names)) == at)).any()}
    again = dict(zip(first, [*list(first.values())[1:], *list(first.values())[:1]], strict=True))

    def shares(
        other: dict[int, np.ndarray], among: dict[str, np.ndarray]
    ) -> dict[str, dict[str, float]]:
        rows: dict[str, list[list[float]]] = defaultdict(list)
        for seed, yes in first.items():
            for each in complementarity(yes, other[seed], truth, among):
                rows[each.group].append([each.both, each.first, each.second, each.neither])
        parts = ("both", "first", "second", "neither")
        return {
            name: {"count": int(among[name].sum()), **{
                part: round(float(value), 4)
                for part, value in zip(parts, np.mean(each, axis=0), strict=True)}}
            for name, each in rows.items()
        }

    return {"recall": recall, "found": shares(second, groups),
            "found_twice": shares(again, groups), "found_by_label": shares(second, by_label)}
