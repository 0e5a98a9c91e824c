"""The order in which a training split's labels are written, by its name in a recipe."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hybridlab.data.boxes import LabelBoxes
from hybridlab.decoder.matching import minimal_loss_alignment, predicted_label_alignment
from hybridlab.decoder.orders import by_size, frequent_first, rare_first
from hybridlab.decoder.orders import reading_order as in_reading_order
from hybridlab.training.recipes import DecoderRecipe, truth_share

BY_BOX = ("size", "reading")
_ALIGN = {"pla": predicted_label_alignment, "mla": minimal_loss_alignment}


class TooManyLabelsError(ValueError):
    """An image has more labels than the decoder may write."""


def standing_ranks(order: str, targets: Tensor, boxes: LabelBoxes | None) -> Tensor:
    """Ranks (L,), or (N, L) by boxes, of an order that stays the same.

    An order that is found in training begins with any: it only tells how many labels there are.

    Args:
        order: of a recipe, but "random".
        targets: (N, L) of the training split.

    Raises:
        ValueError: an order by boxes without boxes, or boxes of other images.
    """
    if order not in BY_BOX:
        return rare_first(targets) if order == "rare" else frequent_first(targets)
    if boxes is None or boxes.areas.shape != tuple(targets.shape):
        has = "none were given" if boxes is None else f"they are of shape {boxes.areas.shape}"
        raise ValueError(
            f"order {order!r} needs the boxes of all {tuple(targets.shape)} labels, but {has}; "
            "see data.boxes.label_boxes"
        )
    if order == "size":
        return by_size(torch.from_numpy(boxes.areas))
    return in_reading_order(torch.from_numpy(boxes.centres), boxes.height)


def random_ranks(rows: Tensor, n_labels: int, seed: int, epoch: int) -> Tensor:
    """An order (b, L) of its own for each row and epoch, whatever the company."""
    draws = [np.random.default_rng([seed, epoch, row]).random(n_labels) for row in rows.tolist()]
    return torch.from_numpy(np.stack(draws)) if draws else torch.empty(0, n_labels)


def aligned(order: str, step_logits: Tensor, targets: Tensor) -> Tensor:
    """The label sequences (B, T) that an order found in training, "pla" or "mla", gives."""
    return _ALIGN[order](step_logits, targets)


def steps_needed(targets: Tensor, recipe: DecoderRecipe) -> int:
    """T of free-running decoding.

    Raises:
        TooManyLabelsError: an image has more labels than `recipe.max_steps` lets be written.
    """
    counts = (targets > 0).sum(dim=1)
    most = int(counts.max()) if len(counts) else 0
    if recipe.max_steps == 0:
        return most + 2
    if most + 1 > recipe.max_steps:
        row = int(counts.argmax())
        raise TooManyLabelsError(
            f"image {row} has {most} labels, which takes {most + 1} steps with STOP, but "
            f"max_steps is {recipe.max_steps}; raise it, or give 0 for one that fits"
        )
    return recipe.max_steps


def share_of_truth(recipe: DecoderRecipe, progress: float) -> float:
    """How often a step of training is told the truth, at a progress from 0 to 1."""
    if recipe.feeding == "scheduled":
        return truth_share(min(1.0, progress), recipe.least_truth)
    return 1.0 if recipe.feeding == "teacher" else 0.0
