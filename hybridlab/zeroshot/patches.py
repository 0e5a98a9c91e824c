"""Scores of single patches: which part of the picture fits which words.

The embedding of a whole picture is a mean in which a small object drowns. Here each patch token is
held against the texts, and the label's score is pooled over patches, in the manner of TagCLIP
(Lin et al. 2024, arXiv 2312.12828). Tokens must lie in the space of the texts:
`ClipEncoder.encode_image` gives such ones, and their grid.
"""

from __future__ import annotations

from numbers import Integral

import torch
import torch.nn.functional as F
from torch import Tensor

from hybridlab.encoders.preprocessing import RESIZE_MODES
from hybridlab.zeroshot.checks import positive, require_finite, require_unit, same_width

BACKGROUND_KINDS = ("subtract", "softmax", "log-odds")


def token_scores(tokens: Tensor, text_emb: Tensor) -> Tensor:
    """Cosine of every patch with every label.

    Args:
        tokens: (B, P, D), of any length: normalised here, unlike global embeddings, because
            encoders give them as they are. A token of zeros (the tiny CLIP gives some) has no
            direction; its cosine is 0 with everything.
        text_emb: (L, D), unit length.

    Shape:
        -> (B, P, L), in [-1, 1]

    Raises:
        ValueError: a text that is not of unit length, two widths, or a number that is not finite.
    """
    require_finite(tokens, "tokens")
    require_unit(text_emb, "text_emb")
    if tokens.dim() != 3 or text_emb.dim() != 2:
        raise ValueError(
            f"tokens has shape {tuple(tokens.shape)} and text_emb {tuple(text_emb.shape)}; "
            "expected (B, P, D) and (L, D)"
        )
    same_width(tokens, text_emb, "tokens", "text_emb")
    kind = torch.promote_types(tokens.dtype, text_emb.dtype)  # caches hold half precision
    return F.normalize(tokens.to(kind), dim=-1) @ text_emb.to(kind).T


def max_pool(scores: Tensor) -> Tensor:
    """The best patch counts. One stray patch can raise a label.

    Shape:
        scores (B, P, L) -> (B, L)
    """
    return _patchwise(scores).amax(dim=1)


def attention_pool(scores: Tensor, temperature: float = 0.05) -> Tensor:
    """Mean over patches, weighted by softmax(score / temperature) of each label by itself.

    Towards temperature 0 it is the best patch, towards infinity the plain mean.

    Shape:
        scores (B, P, L) -> (B, L)

    Raises:
        ValueError: `temperature` is not above 0.
    """
    weights = torch.softmax(_patchwise(scores) / positive(temperature, "temperature"), dim=1)
    return (weights * scores).sum(dim=1)


def top_mean_pool(scores: Tensor, k: int = 3) -> Tensor:
    """Mean of the k best patches of each label.

    Shape:
        scores (B, P, L) -> (B, L)

    Raises:
        ValueError: `k` is not from 1 to P.
    """
    patches = _patchwise(scores).shape[1]
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= patches:
        raise ValueError(f"k is {k!r}; expected a whole number from 1 to {patches}, the patches")
    return scores.topk(k, dim=1).values.mean(dim=1)


def against_background(
    scores: Tensor, background: Tensor, kind: str = "subtract", scale: float = 100.0
) -> Tensor:
    """How much better a label fits than the best, or any, of the background texts.

    Works for patches (B, P, ...) and for whole pictures (B, ...) alike. Labels do not compete with
    each other (trap 9), each only with the background.

    Args:
        scores: (..., L) cosines with the labels.
        background: (..., G) cosines of the same patches with G background texts.
        kind: "subtract": score minus the highest background score. "softmax": the label's share,
            exp(scale * score) / (that + the sum over the background), in [0, 1]. "log-odds": the
            logarithm of share / (1 - share), the same order without the ties that a share has where
            rounding makes it 1 (trap 9).
        scale: for "softmax" and "log-odds" only.

    Shape:
        -> (..., L)

    Raises:
        ValueError: no background text, other leading axes, an unknown `kind`, a `scale` not above
            0, or a number that is not finite.
    """
    require_finite(scores, "scores")
    require_finite(background, "background")
    if kind not in BACKGROUND_KINDS:
        known = ", ".join(map(repr, BACKGROUND_KINDS))
        raise ValueError(f"kind is {kind!r}; expected one of {known}")
    if scores.shape[:-1] != background.shape[:-1] or not background.shape[-1]:
        raise ValueError(
            f"scores has shape {tuple(scores.shape)} and background {tuple(background.shape)}; "
            "expected the same patches and at least one background text"
        )
    if kind == "subtract":
        return scores - background.amax(dim=-1, keepdim=True)
    # the softmax of one label against G texts, as a sigmoid of what it has over their log-sum
    strength = positive(scale, "scale")
    rest = torch.logsumexp(strength * background, dim=-1, keepdim=True)
    odds = strength * scores - rest
    return odds if kind == "log-odds" else torch.sigmoid(odds)


def heatmap(
    scores: Tensor, grid: tuple[int, int], size: tuple[int, int], resize_mode: str = "squash"
) -> Tensor:
    """Scores of one label's patches as a map over the picture.

    Args:
        scores: (P,), patches row by row.
        grid: (H', W') of the patches, as `ImageFeatures.grid` tells.
        size: (H, W) of the picture in pixels, before preprocessing.
        resize_mode: how the encoder's `Preprocessing` made the picture square. "squash": the grid
            covers it all. "crop": only its middle, the rest of the map is NaN. "pad": the grid
            reaches beyond it, and what lies outside is dropped.

    Returns:
        (H, W), bilinear between the patches' middles.

    Raises:
        ValueError: scores do not fill the grid, a size below 1, or an unknown `resize_mode`.
    """
    require_finite(scores, "scores")
    rows, columns = grid
    if scores.dim() != 1 or len(scores) != rows * columns or not len(scores):
        raise ValueError(
            f"scores has shape {tuple(scores.shape)}; expected ({rows * columns},), one for each "
            f"place of a grid of {rows} x {columns}; take one image and one label"
        )
    height, width = size
    if not isinstance(height, Integral) or not isinstance(width, Integral) or min(size) < 1:
        raise ValueError(f"size is {size}; expected (H, W) of a picture, in pixels")
    if resize_mode not in RESIZE_MODES:
        raise ValueError(f"resize_mode is {resize_mode!r}; choose one of {RESIZE_MODES}")
    places = scores.float().view(1, 1, rows, columns)
    if resize_mode == "squash":
        return _stretch(places, height, width)
    if resize_mode == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        whole = places.new_full((height, width), float("nan"))
        whole[top : top + side, left : left + side] = _stretch(places, side, side)
        return whole
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    return _stretch(places, side, side)[top : top + height, left : left + width]


def _stretch(places: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(places, (height, width), mode="bilinear", align_corners=False)[0, 0]


def _patchwise(scores: Tensor) -> Tensor:
    require_finite(scores, "scores")
    if scores.dim() != 3 or not scores.shape[1]:
        raise ValueError(f"scores has shape {tuple(scores.shape)}; expected (B, P, L), P >= 1")
    return scores
