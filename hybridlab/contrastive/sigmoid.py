"""SigLIP's loss: every pair of an image and a text is a yes-or-no question (trap 10)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from hybridlab.contrastive.checks import pair_problem, scalar_problem, work_dtype
from hybridlab.contrastive.processes import agree_on_batch, gather_with_gradients, share_value


def siglip_loss(
    image_emb: Tensor,
    text_emb: Tensor,
    logit_scale: Tensor | float,
    logit_bias: Tensor | float | None,
    *,
    positives: Tensor | None = None,
    known: Tensor | None = None,
    gathered: bool = False,
) -> Tensor:
    """Sum over all B x B pairs of -log sigmoid(+-(t cos + b)), divided by B (arXiv 2303.15343).

    Divided by B, not by B squared: each image has one match however large the batch is, and its
    pull must not shrink as the batch grows.

    Computed in float32 or, for float64 input, float64, whatever autocast is in force. Where B is 0
    the loss is 0 with gradients of 0; where B is 1 it is the match's own term.

    Args:
        image_emb, text_emb: unit vectors (trap 8), lengths checked to 1e-2.
        logit_scale, logit_bias: see `ScaleAndBias`; the scale itself, not its logarithm.
        positives: bool; which pairs match, if not the diagonal alone (`positives_of`).
        known: bool; pairs that are False are left out of the sum (`known_pairs`).
        gathered: the batch is that of all processes, as in `clip_loss`. Only texts travel: each
            process scores its own images against all texts, and every pair is scored once.

    Shape:
        image_emb (B, D), text_emb (B, D), positives and known (B, B), images by texts -> scalar

    Raises:
        ValueError: shapes, dtype, lengths, the scale or the bias are wrong, or a value is NaN.
    """
    problem = (
        pair_problem(image_emb, text_emb)
        or scalar_problem("logit_scale", logit_scale, positive=True)
        or scalar_problem("logit_bias", logit_bias, positive=False)
    )
    masks = {"positives": positives, "known": known}
    shards = agree_on_batch(text_emb, problem, masks, gathered)
    dtype = work_dtype(image_emb, text_emb)
    image_own, text_own = image_emb.to(dtype), text_emb.to(dtype)
    assert logit_bias is not None  # refused above
    text_all = text_own if len(shards.sizes) == 1 else gather_with_gradients(text_own, shards)
    with torch.autocast(image_emb.device.type, enabled=False):
        logits = logit_scale * image_own @ text_all.T + logit_bias  # (B of this process, B of all)
    matches = _own_rows(positives, shards.own, logits)
    if matches is None:
        columns = torch.arange(shards.total, device=logits.device)
        matches = columns == columns[shards.own, None]
    each = -F.logsigmoid(torch.where(matches, logits, -logits))
    counted = _own_rows(known, shards.own, logits)
    if counted is not None:
        each = each.masked_fill(~counted, 0.0)
    # times W, because DDP divides by W
    loss = each.sum() * (len(shards.sizes) / max(1, shards.total))
    return share_value(loss, shards)


def _own_rows(mask: Tensor | None, own: slice, like: Tensor) -> Tensor | None:
    return None if mask is None else mask[own].to(like.device)
