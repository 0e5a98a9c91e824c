"""Losses of the course, with their reductions written down (TRAPS 13 and 14)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def multi_positive_contrastive(
    logits: Tensor, positives: Tensor, known: Tensor | None = None
) -> Tensor:
    """Softmax contrastive loss in which a row may have several positives (TRAPS 13).

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
        ValueError: the two shapes differ, or positives is not bool.
    """
    if logits.shape != positives.shape or logits.dim() != 2:
        raise ValueError(
            f"logits {tuple(logits.shape)} and positives {tuple(positives.shape)} must both be "
            "(B, U); build positives from the same rows and columns"
        )
    if positives.dtype != torch.bool:
        raise ValueError(f"positives has dtype {positives.dtype}; compare first: targets > 0")
    # -inf would give NaN gradients where a row has no negative; the lowest finite value does not
    lowest = torch.finfo(logits.dtype).min
    left_out = positives if known is None else positives | ~known
    negatives = torch.logsumexp(logits.masked_fill(left_out, lowest), dim=1, keepdim=True)
    each = F.softplus(negatives - logits).masked_fill(~positives, 0.0)
    count = positives.sum(dim=1)
    per_row = each.sum(dim=1) / count.clamp(min=1)
    return per_row.sum() / (count > 0).sum().clamp(min=1)


def symmetric_contrastive(logits: Tensor, positives: Tensor) -> Tensor:
    """Mean of `multi_positive_contrastive` over rows and over columns (images and texts)."""
    return 0.5 * (
        multi_positive_contrastive(logits, positives)
        + multi_positive_contrastive(logits.T, positives.T)
    )


def masked_bce(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy, mean over all annotated entries of the batch (not over B alone: the
    two differ by a factor of L, TRAPS 14).

    Shape:
        logits (B, L), targets (B, L) in {0, 1} or -1 for not annotated -> scalar; 0 if nothing is
        annotated.
    """
    if logits.shape != targets.shape:
        raise ValueError(
            f"logits {tuple(logits.shape)} and targets {tuple(targets.shape)} must both be (B, L)"
        )
    known = targets >= 0
    each = F.binary_cross_entropy_with_logits(logits, targets.clamp(min=0), reduction="none")
    return (each * known).sum() / known.sum().clamp(min=1)


def hybrid_loss(
    logits: Tensor,
    contrastive_logits: Tensor,
    targets: Tensor,
    alpha: float = 1.0,
    beta: float = 0.1,
) -> Tensor:
    """alpha * BCE + beta * contrastive (seed 000, section 4).

    BCE is the mean over annotated entries (`masked_bce`). The contrastive part is the
    multi-positive softmax over the L label texts, mean over the images that have a positive. Labels
    that are not annotated are left out of both.

    Args:
        logits: (B, L) of the label head.
        contrastive_logits: (B, L), scaled similarities of the fused vector and the label texts.
        targets: (B, L) in {0, 1} or -1.

    Raises:
        ValueError: alpha or beta is negative, or shapes differ.
    """
    if alpha < 0 or beta < 0:
        raise ValueError(f"alpha is {alpha} and beta {beta}; weights of a loss are 0 or more")
    loss = alpha * masked_bce(logits, targets)
    if beta > 0:
        contrastive = multi_positive_contrastive(contrastive_logits, targets > 0, targets >= 0)
        loss = loss + beta * contrastive
    return loss
