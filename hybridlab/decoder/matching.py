"""Which step learns which label, when no order is given: MLA and PLA.

"Orderless Recurrent Models for Multi-label Classification" (Yazici et al. 2020, arXiv 1911.09996).
Both look at what a free-running decoder says at each step and give each true label a step; STOP
stays last (trap 4). MLA, minimal loss alignment, takes the assignment whose loss is least. PLA,
predicted label alignment, keeps each label that was predicted, and is true, at the step that
predicted it first, and assigns the others so that their loss is least.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from hybridlab.decoder.sequences import PAD, check_targets


def minimal_loss_alignment(step_logits: Tensor, targets: Tensor) -> Tensor:
    """MLA: the order of each image's labels whose cross-entropy is least.

    Args:
        step_logits: (B, T, L + 1) of a free-running pass, T at least 1 + the most labels of a row.
        targets: (B, L); -1 (not annotated) counts as absent.

    Returns:
        label_seq (B, T): the labels in that order, STOP, PAD.

    Raises:
        ValueError: shapes disagree, T is too small, a logit is NaN or infinite, or targets holds
            anything but 1, 0 and -1.
    """
    return _aligned(step_logits, targets, keep=False)


def predicted_label_alignment(step_logits: Tensor, targets: Tensor) -> Tensor:
    """PLA: true labels that a step predicts stay there (the first such step), and the others are
    matched to the steps that are left. Arguments and errors as `minimal_loss_alignment`.

    A step predicts its best label; STOP is no label, and steps after the image's last label predict
    nothing.
    """
    return _aligned(step_logits, targets, keep=True)


def _aligned(step_logits: Tensor, targets: Tensor, keep: bool) -> Tensor:
    present = targets > 0
    counts = present.sum(dim=1)
    _check(step_logits, targets, counts)
    batch, steps, symbols = step_logits.shape
    label_seq = np.full((batch, steps), PAD)
    if not batch:
        return torch.from_numpy(label_seq).to(targets.device)
    # the costs of all images in one go: what stays in Python is a few labels each
    costs = -step_logits.detach().float().log_softmax(dim=-1)
    most = int(counts.max())
    columns = (~present).long().argsort(dim=1, stable=True)[:, :most]  # true labels first
    asked = costs[:, :most].gather(2, columns[:, None].expand(-1, most, -1))  # (B, M, M)
    said = step_logits[:, :most, : symbols - 1].argmax(dim=-1)
    tables, labels, predicted = (each.cpu().numpy() for each in (asked, columns, said))
    for row, count in enumerate(counts.tolist()):
        own = labels[row, :count]
        order = _order(tables[row, :count, :count], own, predicted[row, :count] if keep else None)
        label_seq[row, :count] = own[order]
        label_seq[row, count] = symbols - 1
    return torch.from_numpy(label_seq).to(targets.device)


def _order(costs: np.ndarray, labels: np.ndarray, predicted: np.ndarray | None) -> np.ndarray:
    """For each of n steps, which of n labels: (n,), from costs (steps, labels)."""
    chosen = np.full(len(labels), -1)
    if predicted is not None:
        place = {int(label): at for at, label in enumerate(labels)}
        for step, label in enumerate(predicted.tolist()):
            at = place.pop(label, -1)  # a label that was said before is no longer there
            chosen[step] = at
    steps = np.flatnonzero(chosen < 0)
    if len(steps) == 1:  # nothing to choose
        chosen[steps] = next(iter(set(range(len(labels))) - set(chosen.tolist())))
    elif len(steps):
        left = np.setdiff1d(np.arange(len(labels)), chosen)
        at, which = linear_sum_assignment(costs[np.ix_(steps, left)])
        chosen[steps[at]] = left[which]
    return chosen


def _check(step_logits: Tensor, targets: Tensor, counts: Tensor) -> None:
    if (
        step_logits.dim() != 3 or targets.dim() != 2 or len(step_logits) != len(targets)
        or step_logits.shape[2] != targets.shape[1] + 1
    ):
        raise ValueError(
            f"step_logits {tuple(step_logits.shape)} must be (B, T, L + 1) and targets "
            f"{tuple(targets.shape)} (B, L); the last logit is STOP's"
        )
    check_targets(targets)
    needed = 1 + (int(counts.max()) if len(counts) else 0)
    if step_logits.shape[1] < needed:
        raise ValueError(
            f"an image has {needed - 1} labels, which takes {needed} steps with STOP, but there "
            f"are logits of {step_logits.shape[1]} steps; decode longer"
        )
    if not bool(step_logits.isfinite().all()):
        raise ValueError("step_logits holds NaN or infinity; look at the decoder or lower its rate")
