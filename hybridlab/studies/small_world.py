"""One method of the hybrid pipeline on the small world, as a run of a study.

Runs share a store: the features, decoders and fusions that two configurations have in common are
made once (`hybridlab.workshop`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hybridlab.ablation.runs import RunResult
from hybridlab.configs import DemoConfig
from hybridlab.data.world import SceneConfig
from hybridlab.evaluation.thresholds import global_threshold, per_label_thresholds
from hybridlab.training.feature_cache import Tensors
from hybridlab.workshop import Workshop

# The recipe that a study of the small world begins with. `world_seed` is that of the scenes: runs
# differ in the seed of training only, and meet the same test scenes.
RECIPE: dict[str, Any] = {
    "method": "hybrid",
    "world_seed": 0,
    "cooccurrence": SceneConfig().cooccurrence,
    **{name: list(value) if isinstance(value, tuple) else value
       for name, value in DemoConfig().to_dict().items() if name not in ("seed", "resamples")},
}
METHODS = (
    "linear_cnn", "linear_clip", "cnn_rnn", "zero_shot_patch", "zero_shot_global",
    "hybrid_frozen", "hybrid",
)


def run(config: Mapping[str, Any], seed: int, store: Path) -> RunResult:
    """Train and test one method.

    Decisions rest on thresholds for each label, fitted on the validation scenes, whatever the
    method: else a calibrated method would be compared with others that are not. The CNN-RNN keeps
    its own sets, and a zero-shot method has one threshold for all labels.

    Args:
        config: `RECIPE` with some values changed; "method" is one of `METHODS`.
        seed: of the weights and of the order of the batches.
        store: folder that runs share.

    Raises:
        ValueError: an unknown method or setting.
    """
    method = config.get("method")
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; choose one of {', '.join(METHODS)}")
    shop = workshop_of(config, seed, store)
    scores, decisions = _judged(shop, method)
    targets = shop.targets["test"].numpy().astype(np.int8)
    return RunResult(
        scores.astype(np.float32), decisions, targets, np.arange(len(targets)),
        parameters=_parameters(shop, method), seconds=_seconds(shop, method),
    )


def workshop_of(config: Mapping[str, Any], seed: int, store: Path | None) -> Workshop:
    """The experiment that a configuration describes.

    Raises:
        ValueError: a key that is neither a setting of the pipeline nor one of the study's own.
    """
    known = {field.name for field in fields(DemoConfig)} - {"seed"}
    settings = {name: value for name, value in config.items() if name in known}
    strange = set(config) - known - {"method", "world_seed", "cooccurrence"}
    if strange:
        raise ValueError(f"unknown settings {sorted(strange)}; see hybridlab.configs.DemoConfig")
    if "linear_rates" in settings:
        settings["linear_rates"] = tuple(settings["linear_rates"])
    scenes = SceneConfig(
        seed=config.get("world_seed", 0),
        cooccurrence=config.get("cooccurrence", SceneConfig().cooccurrence),
    )
    return Workshop(DemoConfig(**settings, seed=seed), scenes, cache=store, store=store)


def _judged(shop: Workshop, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Scores (N, L) and decisions (N, L) on the test scenes."""
    if method == "cnn_rnn":
        _, probs, chosen = shop.decoded("test")
        return probs.numpy(), chosen.numpy()
    val_targets = shop.targets["val"].numpy()
    if method.startswith("zero_shot_"):
        cosines = shop.zero_shot(method.removeprefix("zero_shot_"))
        val, test = (((cosines[split].numpy() + 1) / 2).clip(0, 1) for split in ("val", "test"))
        return test, test >= global_threshold(val, val_targets)
    val, test = (torch.sigmoid(logits).numpy() for logits in _LOGITS[method](shop))
    return test, test >= per_label_thresholds(val, val_targets).values


def _two(tensors: Tensors) -> tuple[torch.Tensor, torch.Tensor]:
    return tensors["val"], tensors["test"]


_LOGITS: dict[str, Callable[[Workshop], tuple[torch.Tensor, torch.Tensor]]] = {
    "linear_cnn": lambda shop: _two(shop.linear("cnn")),
    "linear_clip": lambda shop: _two(shop.linear("clip")),
    "hybrid_frozen": lambda shop: (shop.fused.val, shop.fused.test),
    "hybrid": lambda shop: (shop.tuned.val, shop.tuned.test),
}


def _seconds(shop: Workshop, method: str) -> dict[str, float]:
    """What it would take to come here from nothing, whatever was found in the store."""
    parts = {
        "linear_cnn": ("linear cnn",),
        "linear_clip": ("linear clip",),
        "cnn_rnn": ("decoded test",),
        "hybrid_frozen": ("fusion",),
        "hybrid": ("tuned",),
    }.get(method, ("clip val", "clip test"))
    return {name: cost for part in parts for name, cost in shop.seconds(part).items()}


def _parameters(shop: Workshop, method: str) -> int:
    """How many numbers were trained for this method; pretrained encoders do not count."""
    if method.startswith("zero_shot_"):
        return 0
    if method == "linear_cnn":
        return (shop.cnn_features("test")["pooled"].shape[1] + 1) * shop.text_emb.shape[0]
    if method == "linear_clip":
        return (shop.text_emb.shape[1] + 1) * shop.text_emb.shape[0]
    heard = method == "cnn_rnn" or shop.config.hears_decoder
    decoder = sum(each.numel() for each in shop.decoder.parameters()) if heard else 0
    if method == "cnn_rnn":
        return decoder
    model = (shop.tuned if method == "hybrid" else shop.fused).model
    count = decoder + sum(each.numel() for each in model.joint_modules().parameters())
    if method == "hybrid" and shop.config.tune_epochs:
        count += sum(each.numel() for each in model.clip.vision.parameters())
    return count
