"""Are pictures of the same thing alike? Images against images, which no loss of CLIP's asks for.

Seed 004's first caveat: the contrastive loss pulls each picture towards its text, and nothing makes
the embeddings of two similar pictures alike. So it is measured here: the cosine of pairs that show
the same label against that of other pairs, and the AUC, the chance that a pair of the first kind is
the closer one. Intervals resample images: N images make N(N-1)/2 pairs, and pairs that share an
image are not independent.

`within_loss` asks for it: the supervised contrastive loss among images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from hybridlab.contrastive.checks import scalar_problem
from hybridlab.evaluation.bootstrap import Interval
from hybridlab.evaluation.inputs import Floats, as_array, ratio
from hybridlab.zeroshot.checks import require_unit
from hybridlab.zeroshot.pairs import Pairs, image_pairs, jaccard, over_images

OVERLAPS = (0.0, 1 / 3, 2 / 3, 1.0)


@dataclass(frozen=True)
class ImageSimilarity:
    """Cosines of pairs of images, in two kinds; all intervals over images.

    Attributes:
        same, other: mean cosine of the pairs of each kind.
        difference: same minus other.
        auc: chance that a pair of the same kind is closer than one of the other; ties count half.
        same_pairs, other_pairs: how many there are. Without one, what needs it is NaN.
    """

    same: Interval
    other: Interval
    difference: Interval
    auc: Interval
    same_pairs: int
    other_pairs: int


@dataclass(frozen=True)
class OverlapClass:
    """Pairs of scenes whose label sets overlap so much (Jaccard, above `low` and up to `high`).

    Attributes:
        low, high: both 0 for pairs that share no label.
        pairs: how many.
        cosine: their mean cosine; NaN without a pair.
    """

    low: float
    high: float
    pairs: int
    cosine: Interval


def image_similarity(
    image_emb: Tensor,
    same: ArrayLike,
    other: ArrayLike | None = None,
    *,
    resamples: int = 200,
    seed: int = 0,
    level: float = 0.95,
) -> ImageSimilarity:
    """Are pairs of the same kind closer than others?

    Args:
        image_emb: (N, D), unit length; 1,000 take some seconds for 200 resamples.
        same: (N, N) boolean, such as `contrastive.positives.positives_of(labels)`, or
            `pairs.jaccard(targets) > 0`.
        other: (N, N) boolean, pairs to hold them against; all pairs that are not `same` if None.
        resamples, seed, level: of the bootstrap over images.

    Raises:
        ValueError: vectors that are not of unit length, or masks that are not (N, N), symmetric
            and apart from each other.
    """
    cosines, pairs = image_pairs(image_emb)
    kinds = _kinds(same, other, len(image_emb), pairs)
    here, there = (np.flatnonzero(kind) for kind in kinds)
    there = there[np.argsort(cosines[there], kind="stable")]
    # of the other pairs, in rising order, how many each same pair beats, and beats or ties
    beaten = np.searchsorted(cosines[there], cosines[here], side="left")
    tied = np.searchsorted(cosines[there], cosines[here], side="right")

    def measure(weights: Floats) -> tuple[float, ...]:
        heavy, light = weights[here], weights[there]
        up_to = np.concatenate([[0.0], np.cumsum(light)])
        wins = heavy @ (up_to[beaten] + up_to[tied]) / 2
        one, two = (
            float(ratio(each @ cosines[rows], each.sum(), np.nan))
            for each, rows in ((heavy, here), (light, there))
        )
        return one, two, one - two, float(ratio(wins, heavy.sum() * up_to[-1], np.nan))

    found = over_images(measure, len(image_emb), pairs, resamples, seed, level)
    return ImageSimilarity(found[0], found[1], found[2], found[3], len(here), len(there))


def similarity_by_overlap(
    image_emb: Tensor,
    targets: ArrayLike,
    edges: Sequence[float] = OVERLAPS,
    *,
    resamples: int = 200,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[OverlapClass, ...]:
    """Mean cosine of pairs of scenes by how much their labels overlap.

    Args:
        image_emb: (N, D), unit length.
        targets: (N, L) in {1, 0}.
        edges: rising, from 0 to 1. The first class is of pairs that share nothing, the next runs
            from above the first edge to the second, and so on.

    Raises:
        ValueError: edges that do not rise from 0 to 1, another N, or as `jaccard`.
    """
    bounds = [float(edge) for edge in edges]
    if len(bounds) < 2 or bounds != sorted(set(bounds)) or (bounds[0], bounds[-1]) != (0.0, 1.0):
        raise ValueError(f"edges is {list(edges)}; expected rising numbers from 0 to 1")
    cosines, pairs = image_pairs(image_emb)
    overlap = jaccard(targets)
    if len(overlap) != len(image_emb):
        raise ValueError(f"targets has {len(overlap)} rows but image_emb has {len(image_emb)}")
    place = np.searchsorted(bounds, overlap[pairs] - 1e-12, side="left")
    place = np.where(overlap[pairs] == 0, 0, place)

    def measure(weights: Floats) -> tuple[float, ...]:
        total = np.bincount(place, weights, minlength=len(bounds))
        summed = np.bincount(place, weights * cosines, minlength=len(bounds))
        return tuple(ratio(summed, total, np.nan).tolist())

    means = over_images(measure, len(image_emb), pairs, resamples, seed, level)
    count = np.bincount(place, minlength=len(bounds)).tolist()
    lows = [0.0, *bounds[:-1]]
    return tuple(OverlapClass(*each) for each in zip(lows, bounds, count, means, strict=True))


def within_loss(
    image_emb: Tensor, same: Tensor, logit_scale: Tensor | float = 10.0,
    known: Tensor | None = None,
) -> Tensor:
    """Supervised contrastive loss among the images of a batch (Khosla et al. 2020, L_out).

    For each image, the mean over the images that show the same of -log softmax, taken over all
    other images of the batch; then the mean over images that have such a partner. Unlike
    `losses.multi_positive_contrastive`, partners stand in each other's denominator, as published.

    Args:
        image_emb: unit length.
        same: bool, symmetric; the diagonal is ignored.
        logit_scale: 1 / temperature, above 0; Khosla et al. use 10.
        known: bool; pairs that are False are neither partners nor in a denominator: for scenes
            that share only some labels.

    Shape:
        image_emb (B, D), same and known (B, B) -> scalar; 0 with gradients of 0 without a partner

    Raises:
        TypeError: a mask that is no tensor.
        ValueError: vectors that are not of unit length or not finite, masks that are not bool
            (B, B), partners that are not mutual, or a scale that is not above 0.
    """
    require_unit(image_emb, "image_emb")
    size = len(image_emb)
    given = {"same": same} if known is None else {"same": same, "known": known}
    for name, mask in given.items():
        if not isinstance(mask, Tensor):
            raise TypeError(
                f"{name} is a {type(mask).__name__}; expected a bool tensor: torch.as_tensor(...)"
            )
        if mask.shape != (size, size) or mask.dtype != torch.bool:
            raise ValueError(
                f"{name} is {mask.dtype} {tuple(mask.shape)}; expected bool ({size}, {size})"
            )
    if not torch.equal(same, same.T):
        raise ValueError("same is not symmetric; if a shows what b shows, so does b")
    problem = scalar_problem("logit_scale", logit_scale, positive=True)
    if problem is not None or not bool(torch.as_tensor(logit_scale).detach() > 0):
        raise ValueError(problem or f"logit_scale is {logit_scale}; expected a number above 0")
    others = ~torch.eye(size, dtype=torch.bool, device=image_emb.device)
    asked = others if known is None else others & known
    partners = same & asked
    logits = logit_scale * image_emb @ image_emb.T
    # the lowest finite number, as -inf gives NaN gradients to an image without any other
    lowest = torch.finfo(logits.dtype).min
    log_probs = logits - torch.logsumexp(logits.masked_fill(~asked, lowest), dim=1, keepdim=True)
    count = partners.sum(dim=1)
    each = -log_probs.masked_fill(~partners, 0.0).sum(dim=1) / count.clamp(min=1)
    return each.sum() / (count > 0).sum().clamp(min=1)


def _kinds(
    same: ArrayLike, other: ArrayLike | None, size: int, pairs: Pairs
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    kinds: list[NDArray[np.bool_]] = []
    for name, mask in (("same", same), ("other", other)):
        array = ~kinds[0] if mask is None and kinds else as_array(mask)  # type: ignore[arg-type]
        if array.dtype != np.bool_ or array.shape != (size, size):
            raise ValueError(
                f"{name} has dtype {array.dtype} and shape {array.shape}; expected boolean "
                f"({size}, {size}), image by image"
            )
        if not np.array_equal(array, array.T):
            raise ValueError(f"{name} is not symmetric; pairs have no order")
        kinds.append(array)
    first, second = (kind[pairs] for kind in kinds)
    if (first & second).any():
        raise ValueError("a pair is both same and other; take it out of one")
    return first, second
