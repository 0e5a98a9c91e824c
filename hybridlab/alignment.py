"""Losses that align an image with the texts of its labels, where it has several (trap 13).

All take scaled similarities with U texts, (B, U), and say what happens between the positives of one
image, which is where they differ:

| name | the positives of an image | least value |
|---|---|---|
| infonce | each against the negatives alone | 0 |
| supcon | each against all others, positives too | log of how many there are |
| softmax | their probabilities add up; one may do all the work | 0 |
| sigmoid | every text is a question of its own | 0 |
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from hybridlab.losses import check_positives, multi_positive_contrastive


def supcon(logits: Tensor, positives: Tensor, known: Tensor | None = None) -> Tensor:
    """Mean over the positives of -log of their softmax share (SupCon's L_out, Khosla et al. 2020,
    arXiv 2004.11362).

    At its best all positives have the same share, 1 / |P|; so the loss ends at log |P|, not at 0,
    and a positive that is too sure is pulled down.

    Args, shape, errors and what an image without positives gives: as in
    `losses.multi_positive_contrastive`.
    """
    positives = check_positives(logits, positives, known)
    share = _masked(logits, known).log_softmax(dim=1)
    each = -share.masked_fill(~positives, 0.0)
    return _mean(each.sum(dim=1) / positives.sum(dim=1).clamp(min=1), positives)


def softmax_over_texts(logits: Tensor, positives: Tensor, known: Tensor | None = None) -> Tensor:
    """-log of the share that all positives have together.

    It asks that one of the labels be found, not all of them: a second one earns little. Beside the
    others it shows what "several positives" must mean.

    Args, shape, errors: as in `losses.multi_positive_contrastive`.
    """
    positives = check_positives(logits, positives, known)
    whole = torch.logsumexp(_masked(logits, known), dim=1)
    found = torch.logsumexp(_masked(logits, positives), dim=1)
    return _mean((whole - found).masked_fill(~positives.any(dim=1), 0.0), positives)


def sigmoid_over_texts(logits: Tensor, positives: Tensor, known: Tensor | None = None) -> Tensor:
    """SigLIP's loss over the label texts: the sum over texts, the mean over images (trap 10).

    The logits need a bias beside the scale: without one, most pairs start at a half. An image
    without positives teaches its negatives, so it counts, too.

    Args, shape, errors: as in `losses.multi_positive_contrastive`.
    """
    positives = check_positives(logits, positives, known)
    signed = torch.where(positives, logits, -logits)
    each = -F.logsigmoid(signed)
    if known is not None:
        each = each.masked_fill(~known, 0.0)
    return each.sum(dim=1).sum() / max(1, len(logits))


ALIGNMENTS = {
    "infonce": multi_positive_contrastive,
    "supcon": supcon,
    "softmax": softmax_over_texts,
    "sigmoid": sigmoid_over_texts,
}


def _masked(logits: Tensor, among: Tensor | None) -> Tensor:
    # the lowest finite value: a row of -inf alone would be NaN
    return logits if among is None else logits.masked_fill(~among, torch.finfo(logits.dtype).min)


def _mean(per_row: Tensor, positives: Tensor) -> Tensor:
    """Over the rows that have a positive; 0 if none has."""
    return per_row.sum() / positives.any(dim=1).sum().clamp(min=1)
