"""The whole hybrid, end to end, on the small world: data, features, stages, calibration.

`build_hybrid` is what `hybridlab demo` and `hybridlab ship` run; it writes nothing but the feature
cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hybridlab.configs import DemoConfig
from hybridlab.data.scenes import SceneDataset
from hybridlab.data.world import SceneConfig
from hybridlab.evaluation.metrics import threshold_metrics
from hybridlab.evaluation.thresholds import Thresholds, global_threshold, per_label_thresholds
from hybridlab.model import HybridClassifier
from hybridlab.training.loop import Report, silent
from hybridlab.workshop import Say, Workshop


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
            test scenes by its optimism: a fusion that learnt from those views would trust the
            decoder too much (trap 6), so it learns from cross-fitted ones.
    """

    model: HybridClassifier
    thresholds: Thresholds
    rows: dict[str, Scored]
    targets: np.ndarray
    test: SceneDataset
    decoder_on_train: float


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
    shop = Workshop(config, scenes, cache=cache, say=say, report=report)
    rows = {"linear_cnn": linear_row(shop, "cnn"), "cnn_rnn": decoder_row(shop)}
    rows["clip_zero_shot"] = zero_shot_row(shop, "patch")
    rows["clip_zero_shot_global"] = zero_shot_row(shop, "global")
    rows["linear_clip"] = linear_row(shop, "clip")
    rows["hybrid_clip_only"] = at_half(shop.variant(view="none").fused.test)
    rows["hybrid_state"] = at_half(shop.variant(view="state").fused.test)
    rows["hybrid_phase1"] = at_half(shop.fused.test)
    tuned = shop.tuned
    rows["hybrid"] = at_half(tuned.test)
    say("calibration: one threshold per label, from the validation scenes")
    thresholds = per_label_thresholds(_probs(tuned.val), shop.targets["val"].numpy())
    rows["hybrid_calibrated"] = calibrated(tuned.test, thresholds)
    fitted = shop.decoded("train").chosen.numpy()
    return Built(
        tuned.model, thresholds, rows, shop.targets["test"].numpy(), shop.splits["test"],
        decoder_on_train=threshold_metrics(fitted, shop.targets["train"].numpy()).of1,
    )


def linear_row(shop: Workshop, view: str) -> Scored:
    """A linear head on the frozen "cnn" or "clip", at a threshold of 0.5."""
    return at_half(shop.linear(view)["test"])


def decoder_row(shop: Workshop) -> Scored:
    """The CNN-RNN alone: its probabilities, and the sets that it wrote."""
    _, probs, chosen = shop.decoded("test")
    return Scored(probs.numpy(), chosen.numpy())


def zero_shot_row(shop: Workshop, score: str) -> Scored:
    """CLIP with words alone, by the best "patch" or by the "global" embedding.

    A similarity has no natural threshold; one for all labels comes from the validation split.
    """
    shop.say(f"CLIP zero-shot: words alone, {score} scores")
    cosines = shop.zero_shot(score)
    # cosines lie in [-1, 1]; thresholds want [0, 1]
    low, high = ((cosines[split].numpy() + 1) / 2 for split in ("val", "test"))
    return Scored(high, high >= global_threshold(low.clip(0, 1), shop.targets["val"].numpy()))


def at_half(logits: Tensor) -> Scored:
    """Probabilities, and yes from 0.5 up."""
    probs = _probs(logits)
    return Scored(probs, probs >= 0.5)


def calibrated(logits: Tensor, thresholds: Thresholds) -> Scored:
    """Probabilities, and yes from each label's own threshold up."""
    probs = _probs(logits)
    return Scored(probs, probs >= thresholds.values)


def _probs(logits: Tensor) -> np.ndarray:
    return torch.sigmoid(logits.detach()).numpy()
