"""Losses of the course, with their reductions written down (traps 13 and 14)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def multi_positive_contrastive(
    logits: Tensor, positives: Tensor, known: Tensor | None = None
) -> Tensor:
    """Softmax contrastive loss in which a row may have several positives (trap 13).

    Each positive competes with the row's negatives only, never with the other positives: a picture
    of a cow *and* an egg must not choose between them. With one positive per row this is the
    ordinary InfoNCE of CLIP (seeds 003 and 004).

    Args:
        logits: scaled similarities (B, U).
        positives: bool (B, U), which columns belong to which row.
        known: bool (B, U); where False, the pair is left out: neither positive nor negative.

    Returns:
        Scalar: mean over rows that have a positive, of the mean over the row's positives, of
        -log(e^s_pos / (e^s_pos + sum_neg e^s_neg)). 0 (with a gradient of 0) if no row has one.

    Raises:
        ValueError: shapes differ, or positives or known is not bool.
    """
    positives = check_positives(logits, positives, known)
    # a row may have no negative; the lowest finite value keeps its loss at 0 without special cases
    lowest = torch.finfo(logits.dtype).min
    left_out = positives if known is None else positives | ~known
    negatives = torch.logsumexp(logits.masked_fill(left_out, lowest), dim=1, keepdim=True)
    each = F.softplus(negatives - logits).masked_fill(~positives, 0.0)
    count = positives.sum(dim=1)
    per_row = each.sum(dim=1) / count.clamp(min=1)
    return per_row.sum() / (count > 0).sum().clamp(min=1)


def check_positives(logits: Tensor, positives: Tensor, known: Tensor | None) -> Tensor:
    """The positives among the texts that are known.

    Raises:
        ValueError: shapes that differ, or what is not bool.
    """
    if logits.shape != positives.shape or logits.dim() != 2:
        raise ValueError(
            f"logits {tuple(logits.shape)} and positives {tuple(positives.shape)} must both be "
            "(B, U); build positives from the same rows and columns"
        )
    if positives.dtype != torch.bool:
        raise ValueError(f"positives has dtype {positives.dtype}; compare first: targets > 0")
    if known is None:
        return positives
    if known.shape != positives.shape or known.dtype != torch.bool:
        raise ValueError(
            f"known is {known.dtype} {tuple(known.shape)}; give bool {tuple(positives.shape)}: "
            "targets >= 0"
        )
    return positives & known


def symmetric_contrastive(logits: Tensor, positives: Tensor) -> Tensor:
    """Mean of `multi_positive_contrastive` over rows and over columns (images and texts)."""
    return 0.5 * (
        multi_positive_contrastive(logits, positives)
        + multi_positive_contrastive(logits.T, positives.T)
    )


def masked_bce(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy, mean over all annotated entries of the batch (not over B alone: the
    two differ by a factor of L, trap 14).

    Shape:
        logits (B, L), targets (B, L) in {0, 1} or -1 for not annotated -> scalar; 0 if nothing is
        annotated.
    """
    _check_pair(logits, targets)
    truth = targets.to(logits.dtype).clamp(min=0)
    each = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return _annotated_mean(each, targets)


def weighted_bce(
    logits: Tensor, targets: Tensor, pos_weight: Tensor, neg_weight: Tensor | None = None
) -> Tensor:
    """Binary cross-entropy in which a label's positives count `pos_weight` times, and its
    negatives `neg_weight` times (seed 002).

    Args:
        pos_weight: (L,) 0 or more; see `positive_weights`. All 1 is `masked_bce`.
        neg_weight: (L,) 0 or more; 1 if None.

    Shape:
        logits (B, L), targets (B, L) in {0, 1} or -1 -> scalar: mean over annotated entries.

    Raises:
        ValueError: shapes differ, or a weight is negative.
    """
    _check_pair(logits, targets)
    _check_weights("pos_weight", pos_weight, logits)
    truth = targets.to(logits.dtype).clamp(min=0)
    each = F.binary_cross_entropy_with_logits(
        logits, truth, pos_weight=pos_weight, reduction="none"
    )
    if neg_weight is not None:
        _check_weights("neg_weight", neg_weight, logits)
        each = torch.where(truth > 0, each, neg_weight * each)
    return _annotated_mean(each, targets)


def positive_weights(targets: Tensor, most: float = 100.0) -> Tensor:
    """Negatives per positive of each label, (N, L) -> (L,): with it, both weigh the same in sum.

    A label without a positive, or without a negative, counts as if it had one.

    Args:
        targets: of the training split, in {0, 1} or -1.
        most: the largest weight; its inverse is the least.
    """
    positives, negatives = ((targets == value).sum(dim=0).clamp(min=1) for value in (1, 0))
    return (negatives / positives).clamp(min=1 / most, max=most)


def focal_loss(
    logits: Tensor, targets: Tensor, gamma: float = 2.0, alpha: float | None = None
) -> Tensor:
    """Focal loss (Lin et al. 2017, arXiv 1708.02002): entries that are right already count little.

    Each entry's cross-entropy is multiplied by (1 - p_t)^gamma, p_t the probability of the truth.
    gamma = 0 without alpha is `masked_bce`.

    Args:
        gamma: focus, 0 or more.
        alpha: weight of positives, 1 - alpha of negatives, in [0, 1]; None weighs both 1.

    Shape:
        logits (B, L), targets (B, L) in {0, 1} or -1 -> scalar: mean over annotated entries.

    Raises:
        ValueError: shapes differ, gamma is negative, or alpha is outside [0, 1].
    """
    _check_pair(logits, targets)
    if not gamma >= 0 or (alpha is not None and not 0 <= alpha <= 1):
        raise ValueError(
            f"gamma is {gamma} and alpha {alpha}; give gamma of 0 or more, and alpha from 0 to 1 "
            "or None"
        )
    signed = torch.where(targets > 0, logits, -logits)  # its sigmoid is p_t
    each = -_power(torch.sigmoid(-signed), gamma) * F.logsigmoid(signed)
    if alpha is not None:
        each = each * torch.where(targets > 0, alpha, 1 - alpha)
    return _annotated_mean(each, targets)


def asymmetric_loss(
    logits: Tensor,
    targets: Tensor,
    gamma_neg: float = 4.0,
    gamma_pos: float = 1.0,
    clip: float = 0.05,
) -> Tensor:
    """ASL (Ridnik et al. 2021, arXiv 2009.14119): focus negatives more than positives, and forget
    those that are easy.

        positive: (1 - p)^gamma_pos log p        negative: p_m^gamma_neg log(1 - p_m)
        p_m = max(p - clip, 0)

    The paper's code adds over the batch; here it is the mean over annotated entries (trap 14). The
    focusing weights carry gradients, as the formula is written.

    Args:
        gamma_neg, gamma_pos: focus, 0 or more.
        clip: probability below which a negative counts nothing, in [0, 1).

    Shape:
        logits (B, L), targets (B, L) in {0, 1} or -1 -> scalar.

    Raises:
        ValueError: shapes differ, a gamma is negative, or clip is outside [0, 1).
    """
    _check_pair(logits, targets)
    if not (gamma_neg >= 0 and gamma_pos >= 0 and 0 <= clip < 1):
        raise ValueError(
            f"gamma_neg is {gamma_neg}, gamma_pos {gamma_pos} and clip {clip}; give gammas of 0 or "
            "more, and clip from 0 and below 1"
        )
    shifted = (torch.sigmoid(logits) - clip).clamp(min=0)  # p_m
    log_negative = F.logsigmoid(-logits)  # from the logits: 1 - p itself can be 0
    if clip:  # 1 - p_m = min(1 - p + clip, 1)
        log_clip = torch.full_like(logits, math.log(clip))
        log_negative = torch.logaddexp(log_negative, log_clip).clamp(max=0)
    positive = _power(torch.sigmoid(-logits), gamma_pos) * F.logsigmoid(logits)
    negative = _power(shifted, gamma_neg) * log_negative
    return _annotated_mean(-torch.where(targets > 0, positive, negative), targets)


def _power(base: Tensor, exponent: float) -> Tensor:
    """base ** exponent for a base of 0 or more, with a gradient that is finite at 0."""
    return base.clamp(min=torch.finfo(base.dtype).tiny) ** exponent


def _check_pair(logits: Tensor, targets: Tensor) -> None:
    if logits.shape != targets.shape:
        raise ValueError(
            f"logits {tuple(logits.shape)} and targets {tuple(targets.shape)} must both be (B, L)"
        )


def _check_weights(name: str, weights: Tensor, logits: Tensor) -> None:
    if weights.shape != logits.shape[1:] or not bool((weights >= 0).all()):
        raise ValueError(
            f"{name} has shape {tuple(weights.shape)} and its least is "
            f"{float(weights.min()) if weights.numel() else None}; give a weight of 0 or "
            f"more for each of the {logits.shape[1]} labels"
        )


def _annotated_mean(each: Tensor, targets: Tensor) -> Tensor:
    known = targets >= 0
    return (each * known).sum() / known.sum().clamp(min=1)
