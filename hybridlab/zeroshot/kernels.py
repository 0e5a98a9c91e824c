"""Linear CKA: how alike two sets of vectors of the same things are, whatever their axes.

Kornblith et al. 2019, arXiv 1905.00414, with the unbiased estimate of Song et al. 2012 (JMLR 13).
The plain estimate is of no use with more axes than things: for unrelated vectors it nears 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LEAST = 4  # things; the unbiased estimate divides by N - 3


def linear_cka(left: Floats, right: Floats, *, debiased: bool = True) -> float:
    """Linear CKA of two sets of vectors, row by row of the same things.

    Turning, mirroring, shifting and scaling either set does not change it.

    Args:
        debiased: about 0 for unrelated sets, and possibly a little below. False: the plain
            estimate, in [0, 1].

    Shape:
        left (N, D1), right (N, D2) -> one number, at most 1

    Raises:
        ValueError: other shapes, fewer than 4 rows, NaN, or a set whose rows are all alike.
    """
    one, other = (np.asarray(each, dtype=np.float64) for each in (left, right))
    if one.ndim != 2 or other.ndim != 2 or len(one) != len(other):
        raise ValueError(f"got {one.shape} and {other.shape}; expected (N, D1) and (N, D2)")
    if len(one) < LEAST:
        raise ValueError(f"got {len(one)} rows; expected {LEAST} or more")
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise ValueError("got NaN or infinity; expected finite numbers")
    kernels = [each @ each.T for each in (one - one.mean(axis=0), other - other.mean(axis=0))]
    hsic = _unbiased if debiased else _plain
    between, within, without = (hsic(kernels[a], kernels[b]) for a, b in ((0, 1), (0, 0), (1, 1)))
    if min(within, without) <= 0:
        raise ValueError("the rows of one set are all alike, or nearly; they have no geometry")
    return float(between / np.sqrt(within * without))


def _plain(one: Floats, other: Floats) -> float:
    return float((one * other).sum())  # both are centred already


def _unbiased(one: Floats, other: Floats) -> float:
    """HSIC_1 of Song et al. 2012, equation 5."""
    n = len(one)
    off = 1 - np.eye(n)
    one, other = one * off, other * off
    cross = one.sum() * other.sum() / ((n - 1) * (n - 2))
    middle = 2 * (one.sum(axis=0) @ other.sum(axis=0)) / (n - 2)
    return float(((one * other).sum() + cross - middle) / (n * (n - 3)))
