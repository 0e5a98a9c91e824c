"""The end of a staged training: probabilities, thresholds, figures, and a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hybridlab.bundle import save_bundle
from hybridlab.encoders.clip import ClipEncoder
from hybridlab.evaluation.metrics import mean_ap, threshold_metrics
from hybridlab.evaluation.thresholds import per_label_thresholds
from hybridlab.files import write_json
from hybridlab.model import HybridClassifier
from hybridlab.picture_source import PictureSource
from hybridlab.training.hybrid_data import HybridData
from hybridlab.training.hybrid_task import HybridTask
from hybridlab.training.stage import Stage
from hybridlab.zeroshot.naming import naming, other_names


@dataclass(frozen=True)
class Trained:
    """A hybrid after all stages.

    Attributes:
        model: on its device.
        probs: "val" and "test" -> probabilities (N, L).
        known: "zero_shot_mean_ap", of the test pictures with words alone, and of scenes "naming",
            of things that no scene shows: each "before" and "after" the joint stages, by CLIP's
            image tower.
    """

    model: HybridClassifier
    probs: dict[str, np.ndarray]
    known: dict[str, dict[str, float]]


class Knowledge:
    """What CLIP's image tower knows by words alone, asked before the joint stages and after.

    Args:
        clip: as it is before, with its text tower.
        texts: (L, D) of the labels.
    """

    def __init__(self, source: PictureSource, clip: ClipEncoder, texts: Tensor):
        self.texts, self.truth = texts, source.targets["test"].numpy()
        self.names = other_names(clip) if source.scenes else None

    def of(self, clip: ClipEncoder, image_emb: Tensor) -> dict[str, float]:
        """Of the test pictures (N, D), and, beside scenes, of other things."""
        found = {"zero_shot_mean_ap": mean_ap((image_emb @ self.texts.T).numpy(), self.truth).value}
        return found if self.names is None else {**found, "naming": naming(clip, self.names)}


@torch.no_grad()
def probs_of(model: HybridClassifier, data: HybridData, stage: Stage) -> np.ndarray:
    """Probabilities (N, L) of a split, seen as a stage sees it."""
    logits = HybridTask(data, data).predict(model, torch.arange(len(data)), stage)
    return torch.sigmoid(logits.float()).cpu().numpy()


def write_results(
    folder: Path, trained: Trained, source: PictureSource, facts: dict[str, Any],
    measured: dict[str, Any], *, first: bool,
) -> dict[str, Any]:
    """Bundle and `metrics.json`, where they are not there yet.

    Args:
        facts: of the making, for both.
        measured: for `metrics.json` alone.
        first: this process writes.

    Returns:
        what `metrics.json` holds.
    """
    truth = {split: source.targets[split].numpy() for split in ("val", "test")}
    limits = per_label_thresholds(trained.probs["val"], truth["val"])
    cut = threshold_metrics(trained.probs["test"] >= limits.values, truth["test"])
    metrics = {
        "mean_ap": mean_ap(trained.probs["test"], truth["test"]).value,
        "of1": cut.of1, "cf1": cut.cf1, **trained.known, **measured, **facts,
    }
    if not source.scenes:
        metrics["shared_threshold"] = [source.vocabulary.names[at] for at in limits.fell_back]
    if first:
        if not (folder / "metrics.json").exists():
            write_json(folder / "metrics.json", metrics)
        if not (folder / "bundle").exists():
            save_bundle(folder / "bundle", trained.model.cpu(), source.vocabulary, limits.values,
                        info={"made_by": "hybridlab train", **facts})
    return metrics
