"""Pairs of images: their cosines, what labels they share, and a bootstrap that resamples images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from hybridlab.evaluation.bootstrap import Interval, _check_level, _interval, resample_counts
from hybridlab.evaluation.inputs import Floats, as_array, check_targets, ratio
from hybridlab.zeroshot.checks import require_unit

Pairs = tuple[NDArray[np.intp], NDArray[np.intp]]


def jaccard(targets: ArrayLike) -> Floats:
    """Labels that two images share, as a part of the labels of either.

    Shape:
        targets (N, L) in {1, 0} -> (N, N), 0 where neither image has a label

    Raises:
        ValueError: an entry that is not annotated, or another value.
    """
    array = as_array(targets)
    truth = check_targets(array, array.shape)
    if truth.ndim != 2 or (truth < 0).any():
        raise ValueError(
            f"targets of shape {truth.shape} must be (N, L) and fully annotated: where a label is "
            "not known, neither is what two images share"
        )
    there = (truth == 1).astype(np.float64)
    shared = there @ there.T
    count = there.sum(axis=1)
    return ratio(shared, count[:, None] + count[None, :] - shared, 0.0)


def image_pairs(image_emb: Tensor) -> tuple[Floats, Pairs]:
    """Cosines of all pairs i < j, and the pairs: each N(N-1)/2.

    Raises:
        ValueError: vectors that are not (N, D) or not of unit length.
    """
    require_unit(image_emb, "image_emb")
    if image_emb.dim() != 2:
        raise ValueError(f"image_emb has shape {tuple(image_emb.shape)}; expected (N, D)")
    emb = image_emb.detach().cpu().double()
    upper = np.triu_indices(len(emb), 1)
    return (emb @ emb.T).numpy()[upper], upper


def over_images(
    measure: Callable[[Floats], tuple[float, ...]],
    size: int, pairs: Pairs, resamples: int, seed: int, level: float,
) -> list[Interval]:
    """Each number that `measure` gives, with its interval over images.

    In a resample a pair weighs the product of its images' counts. Two copies of one image make no
    pair: their cosine is 1 and says nothing.

    Args:
        measure: weights of the pairs -> numbers, always as many.
        size: N images.
        pairs: as `image_pairs` gives them.
        resamples, seed, level: as `evaluation.bootstrap`.

    Returns:
        an interval for each number, percentiles; ends are NaN for fewer than two images.

    Raises:
        ValueError: `resamples` below 1, or `level` outside (0, 1).
    """
    _check_level(level)
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}; expected at least 1")
    whole = measure(np.ones(len(pairs[0])))
    counts = resample_counts(size, resamples, seed).astype(np.float64)
    drawn = np.array([measure(row[pairs[0]] * row[pairs[1]]) for row in counts])
    if size < 2:
        drawn[:] = np.nan
    return [
        _interval(value, each, level, "percentile")
        for value, each in zip(whole, drawn.T, strict=True)
    ]
