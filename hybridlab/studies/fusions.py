"""How should two views be joined? Ten fusions, each view alone, and controls; see `fusing`.

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
# A block for each of 80 labels: narrow, and for fewer epochs.
_ASK = {"fusion": "label_query", "fusion_options": {"width": 128}, "fusion_epochs": 12,
        "fusion_lr": 1e-3}
_ATTEND = {"fusion_epochs": 12, "fusion_lr": 1e-3}
VARIANTS: dict[str, dict[str, Any]] = {
    "CLIP alone": {"without": "cnn_rnn"},
    "CNN-RNN alone": {"without": "clip"},
    "CLIP and the mean of the CNN's map": {"view": "map"},
    "concat": {},
    "concat, the decoder's hidden state": {"view": "state"},
    "gate": {"fusion": "gate"},
    "late": {"fusion": "late"},
    "element-wise": {"fusion": "elementwise"},
    "bilinear": {"fusion": "bilinear"},
    "factorised bilinear": {"fusion": "factorised"},
    "compact bilinear": {"fusion": "compact"},
    "compact bilinear with the views themselves": {
        "fusion": "compact", "fusion_options": {"one": True},
    },
    "cross-attention": {"fusion": "cross_attention", **_ATTEND},
    "co-attention": {"fusion": "co_attention", **_ATTEND},
    "label queries, steps and patches": dict(_ASK),
    "label queries, both maps": {**_ASK, **_MAPS},
    "label queries, both maps, no decoder": {**_ASK, **_MAPS, "view": "map"},
    "label queries, the CNN's map alone": {**_ASK, **_MAPS, "view": "map", "without": "clip"},
    "label queries, CLIP's patches alone": {**_ASK, **_MAPS, "without": "cnn_rnn"},
    "label queries, both maps, and the decoder's scores": {
        **_ASK, **_MAPS, "method": "with_scores",
    },
    "label queries, both maps, two of them": {**_ASK, **_MAPS, "method": "two_fused"},
    "heads that look at the CNN's map": {"method": "looking_cnn"},
    "heads that look at CLIP's patches": {"method": "looking_clip"},
}


def fusion_study(name: str, question: str, variants: dict[str, dict[str, Any]],
                 hypotheses: dict[str, str], **changes: Any) -> Study:
    """Some ways to join the views, with some settings changed for all."""
    return Study(
        name=name,
        question=question,
        run="hybridlab.studies.fusing:run",
        recipe={**RECIPE, **changes},
        variants=variants,
        reference="concat",
        seeds=range(5),
        metrics=METRICS,
        hypotheses=hypotheses,
    )


def further(records: Sequence[RunRecord]) -> dict[str, Any]:
    """What each way finds of which objects, by its decisions, as means over seeds.

    Returns:
        "recall": variant -> group -> recall; "found": group -> shares of the labels that are there
        found by both, the CNN-RNN, CLIP, or neither, and their number. Groups without a label are
        left out.
    """
    from collections import defaultdict

    import numpy as np

    from hybridlab.evaluation.complementarity import complementarity
    from hybridlab.studies.fusing import groups_of, pipeline_of

    shop = pipeline_of(dict(records[0].config), 0, None)
    groups = {"all": shop.targets["test"].numpy() > 0, **groups_of(shop)}
    groups = {name: which for name, which in groups.items() if which.any()}
    said: dict[str, dict[int, np.ndarray]] = defaultdict(dict)
    for record in records:
        said[record.variant][record.seed] = record.predictions().decisions > 0
    recall = {
        variant: {
            name: round(float(np.mean([yes[which].mean() for yes in by_seed.values()])), 4)
            for name, which in groups.items()
        }
        for variant, by_seed in said.items()
    }
    first, second = said["CNN-RNN alone"], said["CLIP alone"]
    shares: dict[str, list[list[float]]] = defaultdict(list)
    truth = shop.targets["test"].numpy()
    for seed in sorted(first):
        for each in complementarity(first[seed], second[seed], truth, groups):
            shares[each.group].append([each.both, each.first, each.second, each.neither])
    found = {
        name: {"count": int(groups[name].sum()), **{
            part: round(float(value), 4) for part, value in zip(
                ("both", "first", "second", "neither"), np.mean(rows, axis=0), strict=True)
        }}
        for name, rows in shares.items()
    }
    return {"recall": recall, "found": found}
