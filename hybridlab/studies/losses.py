"""Four losses for the honest baseline of lesson 01, a linear head on the frozen CNN.

    hybridlab reproduce 01

Each study is a world: balanced, or with a long tail, where it is also asked how the rarest third of
the labels fare. `decide` tells what the loss did to the ranking from what it did to the scale:
decisions at a probability of 0.5, or at thresholds for each label from the validation scenes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hybridlab.ablation.runs import RunResult
from hybridlab.ablation.study import Study
from hybridlab.configs import DemoConfig
from hybridlab.data.world import SceneConfig
from hybridlab.evaluation.thresholds import per_label_thresholds
from hybridlab.losses import (
    asymmetric_loss,
    focal_loss,
    masked_bce,
    positive_weights,
    weighted_bce,
)
from hybridlab.part_keys import short_hash
from hybridlab.part_store import SECONDS
from hybridlab.training.feature_cache import Tensors, cached
from hybridlab.training.held import Held
from hybridlab.training.probe import Loss, train_linear
from hybridlab.training.sources import training_code
from hybridlab.workshop import Workshop

RECIPE: dict[str, Any] = {
    "loss": "BCE", "decide": "at 0.5", "imbalance": 1.0, "labels": "all", "world_seed": 0,
    "train": 3000, "val": 600, "test": 1500, "linear_epochs": 60,
}
LOSSES: dict[str, Callable[[torch.Tensor], Loss]] = {
    "BCE": lambda targets: masked_bce,
    "weighted BCE": lambda targets: partial(weighted_bce, pos_weight=positive_weights(targets)),
    "focal": lambda targets: focal_loss,
    "ASL": lambda targets: asymmetric_loss,
}
DECIDE = ("at 0.5", "at fitted thresholds")


def run(config: Mapping[str, Any], seed: int, store: Path) -> RunResult:
    """Train one head and measure it on the test scenes.

    Raises:
        ValueError: an unknown loss, way to decide, or choice of labels.
    """
    for name, known in (("loss", LOSSES), ("decide", DECIDE), ("labels", ("all", "rare"))):
        if config[name] not in known:
            raise ValueError(f"{name} is {config[name]!r}; choose one of {', '.join(known)}")
    shop = Workshop(
        DemoConfig(seed=seed, **{name: config[name] for name in
                                 ("train", "val", "test", "linear_epochs")}),
        SceneConfig(seed=config["world_seed"], imbalance=config["imbalance"]),
        cache=store, store=store,
    )
    probs, seconds = _probs(shop, config["loss"], store)
    val_targets, targets = (shop.targets[split].numpy() for split in ("val", "test"))
    cut = 0.5 if config["decide"] == DECIDE[0] else (
        per_label_thresholds(probs["val"], val_targets).values
    )
    decisions = probs["test"] >= cut
    columns = labels_of(shop, config["labels"])
    return RunResult(
        probs["test"][:, columns], decisions[:, columns],
        targets[:, columns].astype(np.int8), np.arange(len(targets)),
        seconds=seconds,
        parameters=(shop.cnn_features("test")["pooled"].shape[1] + 1) * targets.shape[1],
    )


def labels_of(shop: Workshop, which: str) -> np.ndarray:
    """Columns of "all" labels, or of the third that is rarest in the training scenes."""
    count = (shop.targets["train"] > 0).sum(dim=0).numpy()
    order = np.argsort(count, kind="stable")
    return np.sort(order[: len(order) // 3]) if which == "rare" else np.arange(len(order))


def _probs(
    shop: Workshop, loss: str, store: Path
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Probabilities (N, L) of the head that was trained with a loss, on "val" and "test".

    And the seconds of each stage, as they were when it was computed, whoever did that.
    """
    splits = ("train", "val", "test")

    def compute() -> Tensors:
        seen = {split: shop.cnn_features(split)["pooled"] for split in splits}
        begun = time.perf_counter()
        targets = shop.targets["train"]
        held = Held((seen["val"],), shop.targets["val"])
        probe = train_linear(
            f"linear head, {loss}", seen["train"], targets, held, shop.config,
            loss=LOSSES[loss](targets),
        )
        with torch.no_grad():
            probs = {split: torch.sigmoid(probe(seen[split])) for split in splits[1:]}
        return {**probs, SECONDS: torch.tensor([time.perf_counter() - begun])}

    here = Path(__file__).read_bytes().replace(b"\r\n", b"\n").decode()
    facts = [loss, shop.config.to_dict(), *(shop.key(f"cnn {split}") for split in splits),
             training_code(), here, torch.__version__]
    kept = cached(store, short_hash(json.dumps(facts)), compute)
    seconds = {name: cost for split in splits
               for name, cost in shop.seconds(f"cnn {split}").items()}
    seconds["head"] = float(kept[SECONDS])
    return {split: kept[split].numpy() for split in splits[1:]}, seconds


def losses_study(name: str, question: str, hypotheses: Mapping[str, str], **world: Any) -> Study:
    """A study of every loss and both ways to decide, in one world.

    Args:
        hypotheses: variant -> what is expected of it, written before the first run.
        world: values of `RECIPE` that are others here.
    """
    return Study.factorial(
        name=name,
        question=question,
        run="hybridlab.studies.losses:run",
        recipe={**RECIPE, **world},
        factors={"loss": list(LOSSES), "decide": list(DECIDE)},
        seeds=range(5),
        metrics=("mean_ap", "cf1", "of1", "macro_f1"),
        hypotheses=hypotheses,
    )


# Written before the first run.
_AT_HALF = {
    "loss=weighted BCE, decide=at 0.5": "mAP: no gain, as ranking within a label does not ask for "
    "its scale. CF1 at 0.5: better, as rare labels get a yes at all.",
    "loss=focal, decide=at 0.5": "No gain: its probabilities move towards 0.5, not the ranking.",
    "loss=ASL, decide=at 0.5": "CF1 at 0.5: better, like weighted BCE and for the same reason.",
}
_FITTED = {
    "loss=weighted BCE, decide=at fitted thresholds": "With fitted thresholds the gain is gone.",
    "loss=ASL, decide=at fitted thresholds": "With fitted thresholds the gain is gone.",
}

STUDY = losses_study(
    "losses",
    "Does a loss for imbalance rank labels better, or only move where 0.5 lies?",
    {**_AT_HALF, **_FITTED},
)
