"""The whole hybrid, end to end, on the small world: data, features, stages, calibration.

`build_hybrid` is what `hybridlab demo` and `hybridlab ship` run; it writes nothing but the feature
cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hybridlab.configs import DemoConfig
from hybridlab.data.scenes import SPLITS, SceneDataset
from hybridlab.data.world import WORLD, SceneConfig, with_article
from hybridlab.encoders.base import freeze
from hybridlab.encoders.clip import ClipEncoder, build_tiny_clip
from hybridlab.encoders.cnn import CNNEncoder, build_cnn
from hybridlab.encoders.zero_shot import global_scores, label_embeddings, patch_scores
from hybridlab.evaluation.metrics import threshold_metrics
from hybridlab.evaluation.thresholds import Thresholds, global_threshold, per_label_thresholds
from hybridlab.model import HybridClassifier
from hybridlab.training.features import (
    cached,
    clip_features,
    cnn_features,
    feature_key,
    scene_images,
)
from hybridlab.training.loop import Report, silent
from hybridlab.training.stages import (
    Held,
    decode_all,
    seeded,
    train_decoder,
    train_fusion,
    train_linear,
    tune_vision,
)

Say = Callable[[str], None]
BACKBONE = "efficientnet_lite0"


@dataclass(frozen=True)
class Scored:
    """One method on the test scenes: scores (N, L) rank labels, decisions (N, L) say yes or no."""

    scores: np.ndarray
    decisions: np.ndarray


@dataclass(frozen=True)
class Built:
    """A trained hybrid with everything that was measured on the way.

    Attributes:
        model, thresholds: what goes into a bundle.
        rows: name -> `Scored`, all on the same test scenes.
        targets: (N, L) of the test scenes.
        test: the test scenes themselves.
        decoder_on_train: OF1 of the decoder's sets on the scenes it was fitted on. Above its OF1 on
            test scenes by its optimism: the fusion learns from views that are better than those it
            will meet (TRAPS 6).
    """

    model: HybridClassifier
    thresholds: Thresholds
    rows: dict[str, Scored]
    targets: np.ndarray
    test: SceneDataset
    decoder_on_train: float


@dataclass(frozen=True)
class _Split:
    images: Tensor
    targets: Tensor
    tokens: Tensor  # CNN, (N, P, C) half
    image_emb: Tensor  # CLIP, (N, D)
    clip_tokens: Tensor  # CLIP, (N, P, D) half


def _encode(
    dataset: SceneDataset, cnn: CNNEncoder, clip: ClipEncoder, cache: Path | None
) -> _Split:
    images, targets = scene_images(dataset)
    local = cached(cache, feature_key(cnn, dataset), lambda: cnn_features(cnn, images))
    world = cached(cache, feature_key(clip, dataset), lambda: clip_features(clip, images))
    return _Split(images, targets, local["tokens"], world["image_emb"], world["tokens"])


def build_hybrid(
    config: DemoConfig,
    scenes: SceneConfig | None = None,
    cache: Path | None = None,
    say: Say = lambda line: None,
    report: Report = silent,
) -> Built:
    """Train the two views, the baselines and the hybrid, and calibrate it on the validation split.

    Args:
        config: sizes, epochs, rates, seed.
        scenes: the dials of the world; the defaults with the configuration's seed when None.
        cache: folder of the feature cache; None keeps features in memory only.
        say: called with one line at the start of each part.
        report: called after each training step.
    """
    scenes = scenes or SceneConfig(seed=config.seed)
    splits = {
        split: SceneDataset(size, split, scenes)
        for split, size in zip(SPLITS, (config.train, config.val, config.test), strict=True)
    }
    cnn = freeze(build_cnn(BACKBONE, image_size=config.cnn_size))
    cnn.to(memory_format=torch.channels_last)
    clip = freeze(build_tiny_clip()).to(memory_format=torch.channels_last)
    text_emb = label_embeddings(clip, [with_article(name) for name in WORLD])

    data: dict[str, _Split] = {}
    for split, dataset in splits.items():
        say(f"drawing {len(dataset)} {split} scenes and encoding them with the frozen CNN and CLIP")
        data[split] = _encode(dataset, cnn, clip, cache)
    train, val, test = (data[split] for split in SPLITS)
    rows: dict[str, Scored] = {}

    say("baseline: a linear head on the frozen CNN")
    held = Held((_pooled(val),), val.targets)
    probe = train_linear("linear CNN", _pooled(train), train.targets, held, config, report)
    rows["linear_cnn"] = _at_half(probe(_pooled(test)))

    say("phase 0: the CNN-RNN learns to write labels one by one")
    held = Held((val.tokens,), val.targets)
    decoder = train_decoder(train.tokens, train.targets, held, config, report)
    views = {split: decode_all(decoder, data[split].tokens) for split in SPLITS}
    h_rnn = {split: views[split][0] for split in SPLITS}
    rows["cnn_rnn"] = Scored(views["test"][1].numpy(), views["test"][2].numpy())
    fitted = Scored(views["train"][1].numpy(), views["train"][2].numpy())

    say("CLIP zero-shot: words alone, by the best patch and by the whole picture")
    for name, score in (("clip_zero_shot", patch_scores), ("clip_zero_shot_global", global_scores)):
        rows[name] = _zero_shot(score, val, test, text_emb)

    say("baseline: a linear head on frozen CLIP")
    held = Held((val.image_emb,), val.targets)
    probe = train_linear("linear CLIP", train.image_emb, train.targets, held, config, report)
    rows["linear_clip"] = _at_half(probe(test.image_emb))

    say("phase 1: fusion and heads on the two frozen views")
    model = seeded(
        config.seed, lambda: HybridClassifier(cnn, decoder, clip, text_emb, dim=config.dim)
    )
    assert isinstance(model, HybridClassifier)
    held = Held((h_rnn["val"], val.image_emb), val.targets)
    train_fusion(model, h_rnn["train"], train.image_emb, train.targets, held, config, report)
    rows["hybrid_phase1"] = _at_half(_logits(model, h_rnn["test"], test.image_emb))

    if config.tune_epochs:
        say("phase 2: CLIP's vision tower joins, at a lower rate")
        held = Held((h_rnn["val"], val.images), val.targets)
        tune_vision(model, h_rnn["train"], train.images, train.targets, held, config, report)
    val_emb, test_emb = (clip_features(clip, part.images)["image_emb"] for part in (val, test))

    say("calibration: one threshold per label, from the validation scenes")
    val_probs = torch.sigmoid(_logits(model, h_rnn["val"], val_emb)).numpy()
    thresholds = per_label_thresholds(val_probs, val.targets.numpy())
    logits = _logits(model, h_rnn["test"], test_emb)
    rows["hybrid"] = _at_half(logits)
    probs = torch.sigmoid(logits).numpy()
    rows["hybrid_calibrated"] = Scored(probs, probs >= thresholds.values)
    return Built(
        model.eval(), thresholds, rows, test.targets.numpy(), splits["test"],
        decoder_on_train=threshold_metrics(fitted.decisions, train.targets.numpy()).of1,
    )


def _pooled(split: _Split) -> Tensor:
    return split.tokens.float().mean(dim=1)


def _at_half(logits: Tensor) -> Scored:
    probs = torch.sigmoid(logits.detach()).numpy()
    return Scored(probs, probs >= 0.5)


@torch.no_grad()
def _logits(model: HybridClassifier, h_rnn: Tensor, image_emb: Tensor) -> Tensor:
    return model.eval().fuse(h_rnn, image_emb).logits


def _zero_shot(score: Callable[..., Tensor], val: _Split, test: _Split, text_emb: Tensor) -> Scored:
    """A similarity has no natural threshold; one for all labels comes from the validation split."""
    from hybridlab.encoders.clip import ImageFeatures

    val_scores, test_scores = (
        score(ImageFeatures(part.image_emb, part.clip_tokens.float(), (0, 0)), text_emb)
        for part in (val, test)
    )
    # cosines lie in [-1, 1]; thresholds want [0, 1]
    low, high = (val_scores.numpy() + 1) / 2, (test_scores.numpy() + 1) / 2
    return Scored(high, high >= global_threshold(low.clip(0, 1), val.targets.numpy()))
