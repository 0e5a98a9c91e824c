"""Labels that are not annotated, found through the hybrid's contrastive head (seed 000, 3.2).

    hybridlab reproduce 05

The annotations of 16 labels are hidden from all training: decoder, fusion, heads and threshold. The
things themselves are in the pictures, as they are in any collection whose labels came later; and
CLIP has read the words (lesson 04). The contrastive head compares the fused vector with label
texts, and so can be asked for labels without an example, if its loss (beta) has taught it where
texts lie. The label head can say nothing of them: its weights for these labels are never moved.

`fused_seen` judges the same trained models on the 64 labels that are annotated.
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

METHODS = ("contrastive", "label_head", "best_patch", "whole_picture")
LABELS = ("unseen", "seen")
RECIPE: dict[str, Any] = {**FUSING, "beta": 0.1, "method": "contrastive", "labels": "unseen"}
SPLIT = split_labels(WORLD.names, HELD_OUT)
# Written before the first run.
HYPOTHESES = {
    "contrastive head, beta 0": "At the level of chance: nothing ever told it where texts lie.",
    "contrastive head, beta 1": "Better: more weight on what texts teach.",
    "contrastive head, CLIP alone": "Better: CLIP's view lies where its texts lie, and the "
    "decoder's opinions are of annotated labels only.",
    "contrastive head, sigmoid": "As beta 0.1 within an image, better across images: a softmax "
    "over texts leaves it open how sure one image is beside another. (Written after the others had "
    "been run, and a trial with another seed on validation scenes.)",
    "label head": "At the level of chance.",
    "CLIP's cosines, best patch": "Better: the head was fitted to 64 texts, and the others it can "
    "only reach as far as texts are alike; CLIP has read the words.",
    "CLIP's cosines, whole picture": "Better, for the same reason, and less so than by the best "
    "patch.",
}


def run(config: Mapping[str, Any], seed: int, store: Path) -> RunResult:
    """Score the test scenes for one group of labels.

    One threshold for all labels. Whichever group is judged, it comes from the validation scenes'
    annotated labels: of the others there is nothing to fit it on.

    Args:
        config: `RECIPE` with some values changed. "method": "contrastive", the hybrid's
            similarities with the texts; "label_head", its label head; "best_patch" and
            "whole_picture", CLIP's own cosines, which nothing was trained for. "labels": those
            judged, the "unseen" 16 (not annotated) or the "seen" 64.
        seed: of decoder, fusion and batches.
        store: folder that runs share; what is trained without the 16 has a folder of its own in it.

    Raises:
        ValueError: an unknown setting or value.
    """
    check_settings(config, RECIPE, method=METHODS, labels=LABELS)
    whole = pipeline_of({name: config[name] for name in FUSING}, seed, store)
    shop = without_annotations(whole, Path(store))
    probs = {split: each.numpy() for split, each in _probs(shop, config["method"]).items()}
    truth = {split: whole.targets[split].numpy() for split in ("val", "test")}
    known, judged = list(SPLIT.seen), list(getattr(SPLIT, config["labels"]))
    threshold = global_threshold(probs["val"][:, known], truth["val"][:, known])
    test = probs["test"][:, judged]
    return RunResult(
        test.astype(np.float32), test >= threshold, truth["test"][:, judged].astype(np.int8),
        np.arange(len(test)),
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
    if method in ("best_patch", "whole_picture"):
        cosines = shop.zero_shot({"best_patch": "patch", "whole_picture": "global"}[method])
        return {split: ((each + 1) / 2).clamp(0, 1) for split, each in cosines.items()}
    model = shop.fused.model
    return {
        split: torch.sigmoid(
            fused_logits(model, *shop.views(split), contrastive=method == "contrastive")
        )
        for split in ("val", "test")
    }


def hidden_study(name: str, question: str, labels: str, hypotheses: Mapping[str, str]) -> Study:
    """The models that were trained without the 16 labels' annotations, judged on one group."""
    return Study(
        name=name,
        question=question,
        run="hybridlab.studies.fused_unseen:run",
        recipe={**RECIPE, "labels": labels},
        variants={
            "contrastive head, beta 0.1": {},
            "contrastive head, beta 0": {"beta": 0.0},
            "contrastive head, beta 1": {"beta": 1.0},
            "contrastive head, CLIP alone": {"without": "cnn_rnn"},
            "contrastive head, sigmoid": {"alignment": "sigmoid"},
            "contrastive head, sigmoid, CLIP alone": {
                "alignment": "sigmoid", "without": "cnn_rnn"},
            "label head": {"method": "label_head"},
            "CLIP's cosines, best patch": {"method": "best_patch"},
            "CLIP's cosines, whole picture": {"method": "whole_picture"},
        },
        reference="contrastive head, beta 0.1",
        seeds=range(5),
        metrics=("mean_ap", "map@10", "of1"),  # across images, within each, and yes or no
        hypotheses=hypotheses,
    )


STUDY = hidden_study(
    "fused_unseen",
    "Does the hybrid find labels that were never annotated, and what does beta do?",
    "unseen", HYPOTHESES,
)
