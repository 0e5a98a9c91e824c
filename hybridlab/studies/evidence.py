"""What label dependency adds to the opinions of good heads: one run of the studies `evidence_*`.

A decoder that reads the CNN's map differs from independent heads in two ways: it writes labels one
by one, and it looks otherwise. Here nothing is read but the heads' opinions of the image, L log-
odds, so that what is gained on them is label dependency. "stacked" corrects each opinion by those
of all labels; "told" corrects it by the true other labels, which nobody has: a bound on what label
dependency can add.

Opinions of the training scenes are cross-fitted in two folds (trap 6): each comes from heads that
were fitted without the scene.

A first form of these studies let a `LabelDecoder`, and a network without a way around it, read the
opinions. Both lost ten points of mAP on the heads themselves, for they had to learn anew what the
heads said; so they measured reading, and no dependency.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hybridlab.ablation.runs import RunResult
from hybridlab.ablation.study import Study
from hybridlab.evaluation.thresholds import global_threshold
from hybridlab.studies.decoding import AMONG, METRICS, _heads, _only, _Scenes
from hybridlab.studies.decoding import RECIPE as DECODING
from hybridlab.studies.settings import check_settings
from hybridlab.training.feature_cache import Tensors, cached
from hybridlab.training.held import Held
from hybridlab.training.independent_heads import cross_fitted_heads
from hybridlab.training.stacking import KINDS, fit_stacking

METHODS = ("heads", *KINDS)
# There is no decoder here: of its settings only those of the heads count.
_OF_HEADS = ("dim", "dropout", "batch_size", "lr", "weight_decay", "head_epochs")
_OF_SCENES = ("world_seed", "cooccurrence", "clutter", "imbalance", "missing", "train", "val",
              "test", "cnn_size", "cnn_stage", "places", "among")
RECIPE: dict[str, Any] = {
    **{name: DECODING[name] for name in (*_OF_SCENES, *_OF_HEADS)},
    "method": "stacked", "stack_epochs": 30, "folds": 2,
}


def run(config: Mapping[str, Any], seed: int, store: Path) -> RunResult:
    """Train and test one method on the heads' opinions; one threshold, from validation scenes.

    Args:
        config: `RECIPE` with some values changed; "among" as in `decoding`.
        seed: of the weights, the batches and the folds.
        store: folder for features and trained parts.

    Raises:
        ValueError: an unknown setting or value, or fewer than two folds.
    """
    check_settings(config, RECIPE, method=METHODS, among=AMONG)
    shop = _Scenes({name: config.get(name, value) for name, value in DECODING.items()}, store)
    targets = {split: shop.targets(split) for split in ("train", "val", "test")}
    val, test = _heads(shop, seed)
    if config["method"] != "heads":
        truth = {split: torch.from_numpy(each) for split, each in targets.items()}
        opinions = {"train": _cross_fitted(shop, seed, config["folds"]), "val": _odds(val),
                    "test": _odds(test)}
        model = fit_stacking(
            config["method"], opinions["train"], truth["train"],
            Held((opinions["val"],), truth["val"]), seed, epochs=config["stack_epochs"],
            batch_size=config["batch_size"], weight_decay=config["weight_decay"],
        )
        with torch.no_grad():
            val, test = (torch.sigmoid(model(opinions[split], truth[split])).numpy()
                         for split in ("val", "test"))
    decisions = test >= global_threshold(val, targets["val"])
    judged = _only(config["among"], targets["test"], shop)
    return RunResult(
        test.astype(np.float32), decisions, judged.astype(np.int8), np.arange(len(judged)),
        extra={"labels": float(decisions.sum(axis=1).mean())},
    )


def _odds(probs: np.ndarray) -> Tensor:
    """Opinions (N, L) as log-odds."""
    return torch.logit(torch.from_numpy(probs).clamp(1e-6, 1 - 1e-6))


def _cross_fitted(shop: _Scenes, seed: int, folds: int) -> Tensor:
    """Opinions (N, L) of the training scenes as log-odds, each from heads that have not seen the
    scene."""
    recipe = shop.head_recipe("look")

    def compute() -> Tensors:
        targets = torch.from_numpy(shop.targets("train"))
        held = Held((shop.tokens("val"),), torch.from_numpy(shop.targets("val")))
        return {"probs": cross_fitted_heads(
            shop.tokens("train"), targets, held, recipe, seed, folds
        )}

    kept = cached(shop.store, shop.key("opinions", seed, folds, repr(recipe)), compute)
    return _odds(kept["probs"].numpy())


def evidence_study(
    dial: float, hypotheses: Mapping[str, str], regime: str = "", **changes: Any
) -> Study:
    """The study at one co-occurrence; of a regime, with some settings changed for all.

    Hypotheses were written after a trial of one seed at a co-occurrence of 0.75: "stacked" gained
    0.9 points of mAP, "told" 5.8.
    """
    return Study(
        name=f"evidence_{regime or f'{round(100 * dial):03d}'}",
        question="What does label dependency add to the opinions of good heads, at a "
        f"co-occurrence of {dial:g}{f' ({regime})' if regime else ''}?",
        run="hybridlab.studies.evidence:run",
        recipe={**RECIPE, "cooccurrence": dial, **changes},
        variants={
            "independent heads": {"method": "heads"},
            "stacked heads": {},
            "told the other labels": {"method": "told"},
        },
        reference="independent heads",
        seeds=range(5),
        metrics=METRICS,
        hypotheses=hypotheses,
    )
