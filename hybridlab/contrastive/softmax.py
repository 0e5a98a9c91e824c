"""CLIP's symmetric contrastive loss, in one process or several, with one positive or several."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from hybridlab.contrastive.checks import pair_problem, scalar_problem, work_dtype
from hybridlab.contrastive.processes import (
    Shards,
    agree_on_batch,
    gather_with_gradients,
    share_value,
)
from hybridlab.losses import multi_positive_contrastive


def clip_loss(
    image_emb: Tensor,
    text_emb: Tensor,
    logit_scale: Tensor | float,
    *,
    positives: Tensor | None = None,
    known: Tensor | None = None,
    gathered: bool = False,
) -> Tensor:
    """Mean of two cross-entropies: each image picks its text, each text its image (seed 003).

    Computed in float32 or, for float64 input, float64, whatever autocast is in force. Where B is 0
    the loss is 0 with gradients of 0; where B is 1 there is nothing to choose from: the same.
    It looks at the values of its input, which on an accelerator waits for the encoders to finish.

    One large batch is not the mean of small ones: each row's negatives are the rest of the batch.
    Adding up losses of parts of a batch is therefore another loss (trap 15).

    Args:
        image_emb, text_emb: unit vectors (trap 8), lengths checked to 1e-2.
        logit_scale: the scale itself, such as `Temperature().logit_scale`; not its logarithm.
        positives: bool; which pairs belong together, if not the diagonal alone (`positives_of`).
            Positives do not compete with each other, see `multi_positive_contrastive` (trap 13).
        known: bool; pairs that are False are left out, neither positive nor negative
            (`known_pairs`).
        gathered: the batch is that of all processes of torch.distributed, in the order of their
            rank, and `positives` and `known` cover all of it. Each process gets the value for the
            whole batch. Gradients are exact once averaged over processes, as DDP does. Without a
            process group it changes nothing.

    Shape:
        image_emb (B, D), text_emb (B, D), positives and known (B, B), images by texts -> scalar

    Raises:
        ValueError: shapes, dtype, lengths or the scale are wrong, or a value is NaN.
    """
    problem = pair_problem(image_emb, text_emb) or scalar_problem(
        "logit_scale", logit_scale, positive=True
    )
    masks = {"positives": positives, "known": known}
    shards = agree_on_batch(image_emb, problem, masks, gathered)
    dtype = work_dtype(image_emb, text_emb)
    image_own, text_own = image_emb.to(dtype), text_emb.to(dtype)
    image_all, text_all = image_own, text_own
    if len(shards.sizes) > 1:  # as one tensor, so that one message carries both
        both = torch.cat([image_own, text_own], dim=1)  # (B of this process, 2D)
        image_all, text_all = gather_with_gradients(both, shards).chunk(2, dim=1)
    with torch.autocast(image_own.device.type, enabled=False):
        by_image = logit_scale * image_own @ text_all.T  # (B of this process, B of all)
        by_text = logit_scale * text_own @ image_all.T
    if positives is None and known is None:
        loss = 0.5 * (_pick_own(by_image, shards) + _pick_own(by_text, shards))
    else:
        mine, yours, asked = _masks(positives, known, shards.total, image_own.device)
        loss = 0.5 * (
            _pick_several(by_image, mine, asked, shards)
            + _pick_several(by_text, yours, asked.T, shards)
        )
    return share_value(loss, shards)


def _pick_own(logits: Tensor, shards: Shards) -> Tensor:
    """This process's share of the mean over all rows, times W because DDP divides by W."""
    target = torch.arange(shards.own.start, shards.own.stop, device=logits.device)
    summed = F.cross_entropy(logits, target, reduction="sum")
    return summed * (len(shards.sizes) / max(1, shards.total))


def _masks(
    positives: Tensor | None, known: Tensor | None, total: int, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Positives by image, positives by text, and the pairs that count at all; (B, B) each."""
    if positives is None:
        positives = torch.eye(total, dtype=torch.bool, device=device)
    if known is None:
        known = torch.ones(total, total, dtype=torch.bool, device=device)
    found, known = (positives.to(device) & known.to(device)), known.to(device)
    return found, found.T, known


def _pick_several(logits: Tensor, positives: Tensor, known: Tensor, shards: Shards) -> Tensor:
    own = shards.own
    mean = multi_positive_contrastive(logits, positives[own], known[own])
    # a mean over this process's rows that have a positive: weigh it by how many of all they are
    has_one = positives.any(dim=1)
    share = has_one[own].sum().to(mean.dtype) / has_one.sum().clamp(min=1)
    return mean * (share * len(shards.sizes))
