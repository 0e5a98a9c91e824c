"""Fair rivals of a mix of heads and CNN-RNN: one run of the studies `rivals_...` of lesson 02.

`decoding` compares the mix with one of two heads of a kind. Two objections are left, and met here.
Heads on the map's mean are another kind of eye: perhaps any second kind gains as much. And one
threshold that is fitted for OF1 is not the best for exact match. The models are those of
`decoding`, and found in the store where its studies have left them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hybridlab.ablation.runs import RunResult
from hybridlab.ablation.study import Study
from hybridlab.evaluation.mixing import mixed
from hybridlab.evaluation.thresholds import exact_match_threshold, global_threshold
from hybridlab.studies.decoding import BEST_ORDER, CONTROL, _decoded, _heads, _Scenes
from hybridlab.studies.decoding import RECIPE as DECODING
from hybridlab.studies.settings import check_settings

METHODS = ("heads", "mean_heads", "decoder", "two_heads", "heads_and_mean", "heads_and_decoder")
AIMS = {"of1": global_threshold, "exact_match": exact_match_threshold}
METRICS = ("mean_ap", "of1", "cf1", "exact_match")
RECIPE: dict[str, Any] = {**DECODING, "method": "heads", "aim": "of1"}
SETS = ", for exact match"
VARIANTS: dict[str, dict[str, Any]] = {
    "independent heads": {},
    CONTROL: {"method": "two_heads"},
    "heads and heads on the mean, mixed": {"method": "heads_and_mean"},
    "CNN-RNN": {"method": "decoder"},
    "heads and CNN-RNN, mixed": {"method": "heads_and_decoder"},
}
VARIANTS |= {name + SETS: {**change, "aim": "exact_match"} for name, change in VARIANTS.items()}


def run(config: Mapping[str, Any], seed: int, store: Path) -> RunResult:
    """Train and test one model, or a mix of two whose weight validation chooses.

    Args:
        config: `RECIPE` with some values changed. "aim": what the threshold, one for all labels, is
            best for on the validation scenes.
        seed: of the weights and batches.
        store: folder for features and trained parts.

    Raises:
        ValueError: an unknown setting or value.
    """
    check_settings(config, RECIPE, method=METHODS, aim=tuple(AIMS))
    shop = _Scenes({name: config[name] for name in DECODING}, store)
    truth, method = {split: shop.targets(split) for split in ("val", "test")}, config["method"]
    extra: dict[str, Any] = {}
    if method in ("mean_heads", "decoder"):
        val, test = _second(shop, method.removesuffix("_heads"), seed)
    else:
        val, test = _heads(shop, seed)
    if method in ("two_heads", "heads_and_mean", "heads_and_decoder"):
        other = method.removeprefix("heads_and_")
        (val, test), extra["weight"] = mixed((val, test), _second(shop, other, seed), truth["val"])
    decisions = test >= AIMS[config["aim"]](val, truth["val"])
    return RunResult(
        test.astype(np.float32), decisions, truth["test"].astype(np.int8), np.arange(len(test)),
        extra=extra,
    )


def _second(shop: _Scenes, name: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    if name == "two_heads":
        return _heads(shop, seed + 1000)
    if name == "mean":
        return _heads(shop, seed, "mean")
    found = _decoded(shop, seed)
    return found["val probs"].numpy(), found["test probs"].numpy()


def rivals(name: str, question: str, hypotheses: Mapping[str, str], **changes: Any) -> Study:
    """A study of `VARIANTS` with some settings changed for all."""
    return Study(
        name=name,
        question=question,
        run="hybridlab.studies.rivals:run",
        recipe={**RECIPE, **BEST_ORDER, **changes},
        variants=VARIANTS,
        reference=CONTROL,
        seeds=range(5),
        metrics=METRICS,
        hypotheses=hypotheses,
    )
