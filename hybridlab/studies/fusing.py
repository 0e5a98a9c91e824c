"""Two views of a scene, joined in one way or another: one run of the studies of lesson 05.

All parts before the fusion are frozen and kept in the store: the CNN's maps, CLIP's patches, what a
free-running decoder says (cross-fitted on the training scenes). So a run trains a fusion and its
heads, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hybridlab.ablation.runs import RunResult
from hybridlab.data.boxes import kinds_of, label_boxes
from hybridlab.data.scenes import SPLITS
from hybridlab.evaluation.metrics import mean_ap
from hybridlab.evaluation.mixing import mixed
from hybridlab.evaluation.thresholds import global_threshold
from hybridlab.fusion.cost import cost_of
from hybridlab.fusion.view import View
from hybridlab.fusion.views import evidence
from hybridlab.model import HybridClassifier
from hybridlab.part_keys import short_hash
from hybridlab.studies.settings import check_settings
from hybridlab.studies.small_world import RECIPE as SMALL_WORLD
from hybridlab.studies.small_world import workshop_of
from hybridlab.training.feature_cache import Tensors, cached
from hybridlab.training.held import Held
from hybridlab.training.independent_heads import HEADS, cross_fitted_heads, fit_heads, head_probs
from hybridlab.training.recipes import DecoderRecipe
from hybridlab.training.sources import training_code
from hybridlab.training.stages import fused_logits, train_fusion
from hybridlab.workshop import Workshop

METHODS = ("fused", "cnn_rnn", "cnn_rnn_sets", "looking_cnn", "looking_clip", "with_scores",
           "two_fused", "looking_both", "looking_twice")
OPINIONS = ("decoder", "heads", "both", "two_heads")
METRICS = ("mean_ap", "of1", "cf1", "exact_match")
RECIPE: dict[str, Any] = {
    **{name: value for name, value in SMALL_WORLD.items()
       if name not in ("linear_epochs", "linear_rates", "tune_epochs", "vision_lr")},
    "method": "fused", "order": "pla", "read": "gelu", "decoder_epochs": 20, "head_epochs": 30,
    "opinions": "decoder", "split": "test",
    "beta": 0.0,  # the contrastive head has studies of its own: `fused_unseen`
}
_OWN = ("method", "head_epochs", "opinions", "split")
_SPLITS = ("test", "val")
Both = tuple[np.ndarray, np.ndarray]  # probabilities (N, L) on validation and test scenes


def run(config: Mapping[str, Any], seed: int, store: Path) -> RunResult:
    """Train and test one way to join the views, or one view alone.

    One threshold for all labels, fitted on the validation scenes, whatever the method; only
    "cnn_rnn_sets" has the decoder's own sets.

    Args:
        config: `RECIPE` with some values changed. "method": "fused", the fusion and its label head;
            "with_scores", its probabilities mixed with the decoder's, by a weight that validation
            chooses; "two_fused", mixed with those of a second one of other seeds, decoder and all,
            which tells what mixing alone brings; "cnn_rnn", the decoder alone; "looking_cnn" and
            "looking_clip", independent heads that look at the tokens of one encoder;
            "looking_both", a mix of the two; "looking_twice", of two on the CNN. "opinions": what
            stands in the place of the CNN-RNN's evidence: the "decoder"'s own; "heads", those of
            heads that look at the same map; "both", the mean of these two; "two_heads", the mean of
            two such heads. All are cross-fitted in the same number of folds.
            "split": the scenes that are judged; "val" is for choosing a setting, never for a claim.
        seed: of decoder, heads, fusion and batches.
        store: folder that runs share.

    Raises:
        ValueError: an unknown setting or value.
    """
    check_settings(config, RECIPE, method=METHODS, opinions=OPINIONS, split=_SPLITS)
    shop = pipeline_of(config, seed, store)
    targets = {split: shop.targets[split].numpy() for split in ("val", "test")}
    extra: dict[str, Any] = {}
    (val, test), parameters = _probs(shop, config, seed, store, extra)
    split = config["split"]
    judged = {"val": val, "test": test}[split]
    if config["method"] == "cnn_rnn_sets":
        decisions = shop.decoded(split).chosen.numpy()
    else:
        decisions = judged >= global_threshold(val, targets["val"])
    extra["val_mean_ap"] = float(mean_ap(val, targets["val"]).value)
    return RunResult(
        judged.astype(np.float32), decisions, targets[split].astype(np.int8),
        np.arange(len(judged)), parameters=parameters, extra=extra,
    )


def _probs(
    shop: Workshop, config: Mapping[str, Any], seed: int, store: Path, extra: dict[str, Any]
) -> tuple[Both, int]:
    """Probabilities by the method, and how many numbers were trained for them."""
    method, truth = config["method"], shop.targets["val"].numpy()
    if method.startswith("cnn_rnn"):
        return _decoded(shop), _count(shop.decoder)
    if method.startswith("looking_"):
        kind = method.removeprefix("looking_")
        first = "cnn" if kind in ("both", "twice") else kind
        probs, count = _looking(shop, config, seed, store, first)
        if kind in ("both", "twice"):
            other, more = (_looking(shop, config, seed, store, "clip") if kind == "both" else
                           _looking(shop, config, seed + 1000, store, "cnn"))
            probs, extra["weight"] = mixed(probs, other, truth)
            count += more
        return probs, count
    probs, count = _fused(shop, config, seed, store, extra)
    if method == "with_scores":
        probs, extra["weight"] = mixed(probs, _decoded(shop), truth)
        if not (shop.config.hears_decoder and config["opinions"] in ("decoder", "both")):
            count += _count(shop.decoder)  # which the fusion does without
    elif method == "two_fused":
        again = pipeline_of(config, seed + 1000, store)
        other, more = _fused(again, config, seed + 1000, store, {})
        probs, extra["weight"] = mixed(probs, other, truth)
        count += more
    return probs, count


def fusion_cost(model: HybridClassifier, rnn: View, clip: View) -> dict[str, int]:
    """Parameters and operations of one image from the two views to the logits, counted on the
    modules: the fusion, the head that goes with it, and the way past both. A view that is left out
    leaves its part of the fusion in place, and in the count."""
    views = model.scaled(*(each.rows(torch.arange(1)) for each in (rnn, clip)))
    cost = cost_of(model.fusion, *views)
    heads = torch.nn.ModuleList([model.label_head, *([] if model.own is None else [model.own])])
    products = sum(each.numel() for each in heads.parameters() if each.dim() == 2)
    return {"fusion_parameters": cost.parameters + _count(heads),
            "fusion_flop": cost.flop + 2 * products}


def groups_of(shop: Workshop) -> dict[str, np.ndarray]:
    """Labels (N, L) of the test scenes by what is seen of them; see `data.boxes.kinds_of`."""
    boxes = label_boxes(shop.splits["test"], shop.text_emb.shape[0])
    return kinds_of(boxes, shop.targets["test"].numpy() > 0)


def pipeline_of(config: Mapping[str, Any], seed: int, store: Path | None) -> Workshop:
    """Only what the pipeline knows; the study's own settings are left out."""
    known = {name: value for name, value in config.items() if name not in _OWN}
    return workshop_of({**known, "tune_epochs": 0}, seed, store)


def _decoded(shop: Workshop) -> Both:
    return shop.decoded("val").probs.numpy(), shop.decoded("test").probs.numpy()


def _fused(
    shop: Workshop, config: Mapping[str, Any], seed: int, store: Path, extra: dict[str, Any]
) -> tuple[Both, int]:
    """Probabilities of the hybrid, with the opinions asked for in the place of the decoder's."""
    model = shop.new_model(shop.clip)
    views = {split: shop.views(split) for split in SPLITS}
    counted = _count(shop.decoder) if shop.config.hears_decoder else 0
    if config["opinions"] == "decoder":
        val, test = shop.fused.val, shop.fused.test
    else:
        opinions, counted = _opinions(shop, config, seed, store)
        views = {split: (replace(rnn, pooled=opinions[split]), clip)
                 for split, (rnn, clip) in views.items()}

        def compute() -> Tensors:
            held = Held(views["val"], shop.targets["val"])
            train_fusion(model, *views["train"], shop.targets["train"], held, shop.config)
            return {split: fused_logits(model.eval(), *views[split]) for split in ("val", "test")}

        facts = [shop.key("fusion"), config["opinions"], repr(_heads_recipe(config)), str(seed)]
        found = cached(store, short_hash("\n".join(["opinions", *facts])), compute)
        val, test = found["val"], found["test"]
    extra |= fusion_cost(model, *views["test"])
    probs = torch.sigmoid(val).numpy(), torch.sigmoid(test).numpy()
    joint = dict(model.joint_modules().items())
    if shop.config.beta == 0:
        del joint["contrastive_head"]  # nothing trains it
    return probs, counted + sum(map(_count, joint.values()))


def _opinions(
    shop: Workshop, config: Mapping[str, Any], seed: int, store: Path
) -> tuple[Tensors, int]:
    """Log-odds (N, L) on all splits, cross-fitted on the training split; and the parameters of who
    has them."""
    seeds = (seed, seed + 1000) if config["opinions"] == "two_heads" else (seed,)
    said, count = [], 0
    for each in seeds:
        (val, test), own = _looking(shop, config, each, store, "cnn")
        train = _looking_cross_fitted(shop, config, each, store)
        said.append({"train": evidence(train), "val": evidence(torch.from_numpy(val)),
                     "test": evidence(torch.from_numpy(test))})
        count += own
    if config["opinions"] == "both":
        said.append({split: shop.views(split)[0].pooled for split in SPLITS})
        count += _count(shop.decoder)
    return {split: torch.stack([one[split] for one in said]).mean(dim=0) for split in SPLITS}, count


def _heads_recipe(config: Mapping[str, Any]) -> DecoderRecipe:
    return DecoderRecipe(
        dim=config["dim"], epochs=config["head_epochs"], batch_size=config["batch_size"],
        lr=config["lr"],
    )


def _looking_cross_fitted(
    shop: Workshop, config: Mapping[str, Any], seed: int, store: Path
) -> Tensor:
    recipe = _heads_recipe(config)

    def compute() -> Tensors:
        tokens, held = _tokens(shop, "cnn"), Held(
            (_tokens(shop, "cnn")("val"),), shop.targets["val"])
        return {"probs": cross_fitted_heads(
            tokens("train"), shop.targets["train"], held, recipe, seed, config["folds"]
        )}

    key = _heads_key(shop, "cross-fitted", "cnn", recipe, seed, str(config["folds"]))
    return cached(store, key, compute)["probs"]


def _tokens(shop: Workshop, kind: str) -> Callable[[str], Tensor]:
    features = {"cnn": shop.cnn_features, "clip": shop.clip_features}[kind]
    return lambda split: features(split)["tokens"]


def _heads_key(
    shop: Workshop, what: str, kind: str, recipe: DecoderRecipe, seed: int, more: str = ""
) -> str:
    keys = [shop.key(f"{kind} {split}") for split in SPLITS]
    return short_hash("\n".join([what, *keys, repr(recipe), str(seed), more, training_code()]))


def _looking(
    shop: Workshop, config: Mapping[str, Any], seed: int, store: Path, kind: str
) -> tuple[Both, int]:
    """Probabilities of independent heads that look at one encoder's tokens."""
    tokens, recipe = _tokens(shop, kind), _heads_recipe(config)

    def compute() -> Tensors:
        held = Held((tokens("val"),), shop.targets["val"])
        head = fit_heads(tokens("train"), shop.targets["train"], held, recipe, seed, "look")
        return {split: head_probs(head, tokens(split)) for split in ("val", "test")}

    found = cached(store, _heads_key(shop, "looking", kind, recipe, seed), compute)
    width, n_labels = tokens("test").shape[2], shop.text_emb.shape[0]
    count = _count(HEADS["look"](width, n_labels, config["dim"]))
    return (found["val"].numpy(), found["test"].numpy()), count


def _count(module: torch.nn.Module) -> int:
    return sum(each.numel() for each in module.parameters())
