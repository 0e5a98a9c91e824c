"""Two views of a scene, joined in one way or another: one run of the studies of lesson 05.

All parts before the fusion are frozen and kept in the store: the CNN's maps, CLIP's patches, what a
free-running decoder says (cross-fitted on the training scenes). So a run trains a fusion and its
heads, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hybridlab.ablation.runs import RunResult
from hybridlab.data.boxes import kinds_of, label_boxes
from hybridlab.evaluation.mixing import mixed
from hybridlab.evaluation.thresholds import global_threshold
from hybridlab.fusion.cost import cost_of
from hybridlab.part_keys import short_hash
from hybridlab.studies.small_world import RECIPE as SMALL_WORLD
from hybridlab.studies.small_world import workshop_of
from hybridlab.training.features import Tensors, cached
from hybridlab.training.held import Held
from hybridlab.training.independent_heads import HEADS, fit_heads, head_probs
from hybridlab.training.recipes import DecoderRecipe
from hybridlab.training.sources import training_code
from hybridlab.workshop import Workshop

METHODS = ("fused", "cnn_rnn", "looking_cnn", "looking_clip", "with_scores", "two_fused")
METRICS = ("mean_ap", "of1", "cf1", "exact_match")
RECIPE: dict[str, Any] = {
    **{name: value for name, value in SMALL_WORLD.items()
       if name not in ("linear_epochs", "linear_rates", "tune_epochs", "vision_lr")},
    "method": "fused", "order": "pla", "read": "gelu", "decoder_epochs": 20, "head_epochs": 30,
}
_OWN = ("method", "head_epochs")


def run(config: Mapping[str, Any], seed: int, store: Path) -> RunResult:
    """Train and test one way to join the views, or one view alone.

    One threshold for all labels, fitted on the validation scenes, whatever the method; the CNN-RNN
    has its own sets.

    Args:
        config: `RECIPE` with some values changed. "method": "fused", the fusion and its label head;
            "with_scores", its probabilities mixed with the decoder's, by a weight that validation
            chooses; "two_fused", the same with a second fusion of another seed, which tells what
            mixing alone brings; "cnn_rnn", the decoder alone; "looking_cnn" and "looking_clip",
            independent heads that look at the tokens of one encoder.
        seed: of decoder, fusion and batches.
        store: folder that runs share.

    Raises:
        ValueError: an unknown setting or value.
    """
    if strange := set(config) ^ set(RECIPE):
        raise ValueError(f"unknown or missing settings {sorted(strange)}; see RECIPE")
    method = config["method"]
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; choose one of {', '.join(METHODS)}")
    shop = pipeline_of(config, seed, store)
    targets = {split: shop.targets[split].numpy() for split in ("val", "test")}
    extra: dict[str, Any] = {}
    decisions = None
    if method == "cnn_rnn":
        val, test = (shop.decoded(split).probs.numpy() for split in ("val", "test"))
        decisions = shop.decoded("test").chosen.numpy()
        parameters = _count(shop.decoder)
    elif method.startswith("looking_"):
        val, test, parameters = _looking(shop, config, seed, store)
    else:
        val, test = _fused(shop)
        parameters = _count(shop.fused.model.joint_modules())
        if method == "with_scores":
            decoded = [shop.decoded(split).probs.numpy() for split in ("val", "test")]
            (val, test), extra["weight"] = mixed(
                (val, test), (decoded[0], decoded[1]), targets["val"]
            )
        elif method == "two_fused":
            (val, test), extra["weight"] = mixed(
                (val, test), _fused(pipeline_of(config, seed + 1000, store)), targets["val"]
            )
            parameters *= 2
        extra |= fusion_cost(shop)
    if decisions is None:
        decisions = test >= global_threshold(val, targets["val"])
    return RunResult(
        test.astype(np.float32), decisions, targets["test"].astype(np.int8),
        np.arange(len(test)), parameters=parameters, extra=extra,
    )


def fusion_cost(shop: Workshop) -> dict[str, int]:
    """The fusion's own parameters and the operations of one image, counted on the module."""
    model = shop.fused.model
    rows = torch.arange(min(2, len(shop.splits["test"])))
    views = model.scaled(*(view.rows(rows) for view in shop.views("test")))
    cost = cost_of(model.fusion, *views)
    return {"fusion_parameters": cost.parameters, "fusion_flop": cost.flop}


def groups_of(shop: Workshop) -> dict[str, np.ndarray]:
    """Labels (N, L) of the test scenes by what is seen of them; see `data.boxes.kinds_of`."""
    boxes = label_boxes(shop.splits["test"], shop.text_emb.shape[0])
    return kinds_of(boxes, shop.targets["test"].numpy() > 0)


def pipeline_of(config: Mapping[str, Any], seed: int, store: Path) -> Workshop:
    """Only what the pipeline knows; the study's own settings are left out."""
    known = {name: value for name, value in config.items() if name not in _OWN}
    return workshop_of({**known, "tune_epochs": 0}, seed, store)


def _fused(shop: Workshop) -> tuple[np.ndarray, np.ndarray]:
    fused = shop.fused
    return torch.sigmoid(fused.val).numpy(), torch.sigmoid(fused.test).numpy()


def _looking(
    shop: Workshop, config: Mapping[str, Any], seed: int, store: Path
) -> tuple[np.ndarray, np.ndarray, int]:
    """Probabilities "val" and "test" of independent heads on one encoder's tokens."""
    kind = config["method"].removeprefix("looking_")
    features = {"cnn": shop.cnn_features, "clip": shop.clip_features}[kind]
    recipe = DecoderRecipe(
        dim=config["dim"], epochs=config["head_epochs"], batch_size=config["batch_size"],
        lr=config["lr"],
    )

    def tokens(split: str) -> Tensor:
        return features(split)["tokens"]

    def compute() -> Tensors:
        held = Held((tokens("val"),), shop.targets["val"])
        head = fit_heads(tokens("train"), shop.targets["train"], held, recipe, seed, "look")
        return {split: head_probs(head, tokens(split)) for split in ("val", "test")}

    keys = [shop.key(f"{kind} {split}") for split in ("train", "val", "test")]
    key = short_hash("\n".join(["looking", *keys, repr(recipe), str(seed), training_code()]))
    found = cached(store, key, compute)
    width, n_labels = tokens("test").shape[2], shop.text_emb.shape[0]
    return (found["val"].numpy(), found["test"].numpy(),
            _count(HEADS["look"](width, n_labels, config["dim"])))


def _count(module: torch.nn.Module) -> int:
    return sum(each.numel() for each in module.parameters())
