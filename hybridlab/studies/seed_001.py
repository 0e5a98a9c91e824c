"""Seed 001's ablations, one run: how the CNN's map is read, by which backbone, and fused or not.

The seed asks two questions, each with a study of its own: which component matters
(`seed_001_components`), and which choice among its kinds (`seed_001_architecture`). Both begin with
the same reference, and share all parts in the store.

A reader of the CNN's map gives an opinion of each label: a label decoder (an RNN that looks at the
map anew for each label), or independent heads in its place. Its opinions of the training scenes are
cross-fitted (trap 6), and enter a fusion with CLIP; or they are the answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hybridlab.ablation.runs import RunResult
from hybridlab.ablation.study import Study
from hybridlab.data.scenes import SPLITS
from hybridlab.decoder.cnn_rnn import LabelDecoder
from hybridlab.encoders.base import freeze
from hybridlab.encoders.cnn import CNNEncoder, build_cnn
from hybridlab.evaluation.thresholds import global_threshold
from hybridlab.frozen import drawn
from hybridlab.fusion.view import View
from hybridlab.fusion.views import evidence
from hybridlab.model import HybridClassifier
from hybridlab.part_keys import short_hash
from hybridlab.studies.fusions import RATES
from hybridlab.studies.settings import check_settings
from hybridlab.studies.small_world import RECIPE as SMALL_WORLD
from hybridlab.studies.small_world import workshop_of
from hybridlab.training.decoding import decode_all, fit_decoder
from hybridlab.training.feature_cache import Tensors, cached, feature_key
from hybridlab.training.features import chunks
from hybridlab.training.held import Held, seeded
from hybridlab.training.independent_heads import fit_heads, head_probs
from hybridlab.training.recipes import DecoderRecipe
from hybridlab.training.sources import training_code
from hybridlab.training.stages import fused_logits, train_fusion
from hybridlab.workshop import Workshop

BACKBONES = tuple(f"efficientnet_lite{number}" for number in range(3))  # all without a network
READERS = ("rnn", "mean", "look")  # the last two: independent heads
FEATURES = ("map", "global")
_RNN = ("cell", "look", "layers", "order", "feeding")
_OWN = ("backbone", "features", "reader", "fused", "head_epochs", *_RNN)
RECIPE: dict[str, Any] = {
    **{name: value for name, value in SMALL_WORLD.items()
       if name not in ("method", "linear_epochs", "linear_rates", "tune_epochs", "vision_lr",
                       "view", "order", "without", "own_opinion", "resamples")},
    "train": 800, "val": 300, "test": 500, "cnn_size": 128, "cnn_places": 6,
    "backbone": BACKBONES[0], "features": "map",
    "reader": "rnn", "cell": "gru", "look": "attention", "layers": 2, "read": "gelu",
    "order": "pla", "feeding": "free", "decoder_epochs": 15, "head_epochs": 30,
    "fused": True, "fusion": "concat", "fusion_lr": RATES["concat"], "tokens": "map",
    "fusion_epochs": 20, "beta": 0.0,
}
METRICS = ("mean_ap", "of1", "exact_match")
REFERENCE = "GRU with attention, fused with CLIP"


def run(config: Mapping[str, Any], seed: int, store: Path) -> RunResult:
    """Train a reader, fuse its opinions with CLIP (or not), and test.

    One threshold for all labels, fitted on the validation scenes.

    Args:
        config: `RECIPE` with some values changed. "features": the CNN's "map", or its mean
            ("global"); "reader": "rnn", or independent heads on the map's "mean" or that "look" at
            it; "fused": whether CLIP joins.
        seed: of readers, fusion and batches.
        store: folder that runs share.

    Raises:
        ValueError: an unknown setting or value.
        MissingWeightsError: the backbone's weights are not installed.
    """
    check_settings(config, RECIPE, backbone=BACKBONES, features=FEATURES, reader=READERS)
    shop = workshop_of({
        **{name: value for name, value in config.items() if name not in _OWN}, "tune_epochs": 0,
    }, seed, store)
    read, count = _read(shop, config, seed, store)
    if config["fused"]:
        val, test, more = _fused(shop, config, seed, store, read)
        count += more
    else:
        val, test = read["val"].numpy(), read["test"].numpy()
    truth = {split: shop.targets[split].numpy() for split in ("val", "test")}
    return RunResult(
        test.astype(np.float32), test >= global_threshold(val, truth["val"]),
        truth["test"].astype(np.int8), np.arange(len(test)), parameters=count,
    )


@lru_cache(maxsize=3)
def _backbone(name: str, size: int, stage: str, places: int) -> tuple[CNNEncoder, str]:
    """A frozen CNN with ImageNet weights, and their hash."""
    cnn = freeze(build_cnn(name, image_size=size, stage=stage, places=places))
    return cnn, cnn.weights_hash()


def _asked(config: Mapping[str, Any]) -> tuple[str, int, str, int]:
    return (config["backbone"], config["cnn_size"], config["cnn_stage"], config["cnn_places"])


def _tokens(shop: Workshop, config: Mapping[str, Any], store: Path, split: str) -> Tensor:
    """(N, P, C), half precision; P is 1 for global features."""
    cnn, weights = _backbone(*_asked(config))

    def compute() -> Tensors:
        found = []
        with torch.inference_mode():
            for few in chunks(drawn(shop.splits[split])):
                seen = cnn(cnn.preprocessing(few)).feature_map
                side = min(seen.shape[-1], config["cnn_places"])
                seen = F.adaptive_avg_pool2d(seen, side)
                found.append(seen.flatten(2).transpose(1, 2).half())
        return {"tokens": torch.cat(found)}

    key = feature_key(cnn, shop.splits[split], weights)
    whole = cached(store, f"seed-001-{config['cnn_places']}-{key}", compute)["tokens"]
    if config["features"] == "map":
        return whole
    return whole.float().mean(dim=1, keepdim=True).half()


def _read(
    shop: Workshop, config: Mapping[str, Any], seed: int, store: Path
) -> tuple[Tensors, int]:
    """Probabilities (N, L) of a reader of the map, on all splits (cross-fitted on "train"), and how
    many numbers it has learnt."""
    recipe = DecoderRecipe(
        **{name: config[name] for name in _RNN}, read=config["read"], dim=config["dim"],
        epochs=config["decoder_epochs" if config["reader"] == "rnn" else "head_epochs"],
        batch_size=config["batch_size"], lr=config["lr"],
    )

    def fit(rows: Tensor) -> Callable[[Tensor], Tensor]:
        tokens, targets = at("train")[rows], shop.targets["train"][rows]
        held = Held((at("val"),), shop.targets["val"])
        if config["reader"] == "rnn":
            decoder = fit_decoder(tokens, targets, held, recipe, seed)
            count.append(sum(each.numel() for each in decoder.parameters()))
            return lambda new: decode_all(decoder, new).probs
        head = fit_heads(tokens, targets, held, recipe, seed, config["reader"])
        count.append(sum(each.numel() for each in head.parameters()))
        return lambda new: head_probs(head, new)

    def at(split: str) -> Tensor:
        return _tokens(shop, config, store, split)

    def compute() -> Tensors:
        size = len(shop.splits["train"])
        whole = fit(torch.arange(size))
        found = {split: whole(at(split)) for split in ("val", "test")}
        train = torch.empty(size, found["val"].shape[1])
        order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
        for unseen in order.tensor_split(config["folds"]):
            seen = torch.ones(size, dtype=torch.bool)
            seen[unseen] = False
            train[unseen] = fit(seen.nonzero()[:, 0])(at("train")[unseen])
        return {**found, "train": train, "count": torch.tensor(count[0])}

    count: list[int] = []
    facts = [config["reader"], config["features"], repr(recipe), config["folds"], seed,
             _asked(config), _backbone(*_asked(config))[1]]
    found = cached(store, _key("read", shop, facts), compute)
    return found, int(found["count"])


def _fused(
    shop: Workshop, config: Mapping[str, Any], seed: int, store: Path, read: Tensors
) -> tuple[np.ndarray, np.ndarray, int]:
    """Probabilities on validation and test scenes of a fusion of the reader's opinions with CLIP,
    and how many numbers it has learnt."""
    cnn, weights = _backbone(*_asked(config))
    width, labels = cnn.channels, shop.text_emb.shape[0]
    model = seeded(seed, lambda: HybridClassifier(
        # the decoder stands for its place only: its opinions come from the reader
        cnn, LabelDecoder(width, labels, dim=config["dim"], read=config["read"]), shop.clip,
        shop.text_emb, dim=config["dim"], fusion=config["fusion"], dropout=config["dropout"],
        tokens="map", options=config["fusion_options"],
    ))

    def view(split: str) -> tuple[View, View]:
        seen = shop.clip_view(split)
        tokens = None if seen.tokens is None else _tokens(shop, config, store, split).float()
        return View(evidence(read[split]), tokens), seen

    def compute() -> Tensors:
        views = {split: view(split) for split in SPLITS}
        held = Held(views["val"], shop.targets["val"])
        train_fusion(model, *views["train"], shop.targets["train"], held, shop.config)
        return {split: fused_logits(model.eval(), *views[split]) for split in ("val", "test")}

    told = [repr(sorted((name, repr(value)) for name, value in config.items())), weights, seed]
    found = cached(store, _key("fused", shop, told), compute)
    val, test = (torch.sigmoid(found[split]).numpy() for split in ("val", "test"))
    joint = dict(model.joint_modules().items())
    if config["beta"] == 0:
        del joint["contrastive_head"]  # nothing trains it
    return val, test, sum(each.numel() for part in joint.values() for each in part.parameters())


def _key(what: str, shop: Workshop, facts: list[Any]) -> str:
    here = Path(__file__).read_bytes().replace(b"\r\n", b"\n").decode()
    data = [shop.splits[split].fingerprint() for split in SPLITS]
    whole = [what, data, facts, training_code(), here, torch.__version__]
    return f"seed-001-{what}-{short_hash(json.dumps(whole))}"


def seed_001_study(
    name: str, question: str, variants: Mapping[str, Mapping[str, Any]],
    hypotheses: Mapping[str, str],
) -> Study:
    """Some variants of the one reference."""
    return Study(
        name=name, question=question, run="hybridlab.studies.seed_001:run", recipe=RECIPE,
        variants={REFERENCE: {}, **variants}, reference=REFERENCE, seeds=range(5), metrics=METRICS,
        hypotheses=hypotheses,
    )
