"""Labels that the hybrid never saw annotated, found through its contrastive head (seed 000, 3.2).

    hybridlab reproduce 05

The annotations of 16 labels are hidden from all training: decoder, fusion and heads. The
contrastive head compares the fused vector with label texts, and so can be asked for labels without
a training example, if its loss (beta) has taught it where texts lie. The label head can say nothing
of them: its weights for these labels have never been moved.
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
from hybridlab.data.world import HELD_OUT, WORLD
from hybridlab.evaluation.thresholds import global_threshold
from hybridlab.studies.fusing import RECIPE as FUSING
from hybridlab.studies.fusing import pipeline_of
from hybridlab.studies.settings import check_settings
from hybridlab.training.stages import fused_logits
from hybridlab.workshop import Workshop
from hybridlab.zeroshot.splits import split_labels

METHODS = ("contrastive", "label_head", "zero_shot")
LABELS = ("unseen", "seen")
RECIPE: dict[str, Any] = {**FUSING, "method": "contrastive", "labels": "unseen"}
SPLIT = split_labels(WORLD.names, HELD_OUT)


def run(config: Mapping[str, Any], seed: int, store: Path) -> RunResult:
    """Score the test scenes for one group of labels; one threshold, from validation scenes.

    Args:
        config: `RECIPE` with some values changed. "method": "contrastive", the hybrid's
            similarities with the texts; "label_head", its label head; "zero_shot", CLIP's own
            cosines by the best patch, which nothing was trained for. "labels": those judged, the
            "unseen" 16 or the "seen" 64.
        seed: of decoder, fusion and batches.
        store: folder that runs share; what is trained without the 16 has a folder of its own in it.

    Raises:
        ValueError: an unknown setting or value.
    """
    check_settings(config, RECIPE, method=METHODS, labels=LABELS)
    whole = pipeline_of({name: config[name] for name in FUSING}, seed, store)
    shop = without_annotations(whole, Path(store))
    probs = _probs(shop, config["method"])
    columns = list(getattr(SPLIT, config["labels"]))
    truth = {split: whole.targets[split].numpy()[:, columns] for split in ("val", "test")}
    val, test = (probs[split].numpy()[:, columns] for split in ("val", "test"))
    return RunResult(
        test.astype(np.float32), test >= global_threshold(val, truth["val"]),
        truth["test"].astype(np.int8), np.arange(len(test)),
    )


def without_annotations(whole: Workshop, store: Path) -> Workshop:
    """The same experiment, where the 16 labels are not annotated in the training and validation
    scenes; what is trained there is kept apart."""
    shop = Workshop(
        whole.config, whole.scenes, cache=whole.cache, store=store / "without-16", say=whole.say,
        report=whole.report,
    )
    hidden = list(SPLIT.unseen)
    shop.targets = {split: rows.clone() for split, rows in whole.targets.items()}
    for split in ("train", "val"):
        shop.targets[split][:, hidden] = -1
    return shop


def _probs(shop: Workshop, method: str) -> dict[str, Tensor]:
    if method == "zero_shot":
        cosines = shop.zero_shot("patch")
        return {split: ((each + 1) / 2).clamp(0, 1) for split, each in cosines.items()}
    model = shop.fused.model
    return {
        split: torch.sigmoid(
            fused_logits(model, *shop.views(split), contrastive=method == "contrastive")
        )
        for split in ("val", "test")
    }


# Written before the first run.
STUDY = Study(
    name="fused_unseen",
    question="Does the hybrid find labels that it never saw annotated, and what does beta do?",
    run="hybridlab.studies.fused_unseen:run",
    recipe=RECIPE,
    variants={
        "contrastive head, beta 0.1": {},
        "contrastive head, beta 0": {"beta": 0.0},
        "contrastive head, beta 1": {"beta": 1.0},
        "label head": {"method": "label_head"},
        "CLIP's own cosines": {"method": "zero_shot"},
    },
    reference="contrastive head, beta 0.1",
    seeds=range(5),
    metrics=("mean_ap", "of1"),
    hypotheses={
        "contrastive head, beta 0": "At the level of chance: nothing ever told it where texts lie.",
        "contrastive head, beta 1": "Better: more weight on what texts teach.",
        "label head": "At the level of chance.",
        "CLIP's own cosines": "Better: the head was fitted to 64 texts, and the others it can only "
        "reach as far as texts are alike; CLIP has read the words.",
    },
)
