"""Splits in which every label has its share, rare ones too.

Split at random, a label of ten pictures may have none in the validation split, and its threshold
cannot be fitted. Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011) deals out the
rarest label first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def stratified_split(
    targets: ArrayLike, shares: Sequence[float] = (0.8, 0.1, 0.1), seed: int = 0
) -> list[np.ndarray]:
    """Deal N pictures out to splits, as iterative stratification does.

    Of the labels that pictures not yet dealt out still have, the one with the fewest of them is
    taken. Each of its pictures goes to the split that wants most of this label; among equals to the
    one that wants most pictures; among equals by chance. At last come pictures without a label.

    Args:
        targets: (N, L), 1 present, 0 absent, -1 not annotated, which counts as absent here.
        shares: of the splits, in proportion: (0.8, 0.2), or (1, 1, 1, 1, 1) for five folds.
        seed: of ties. The same seed gives the same splits.

    Returns:
        for each share the rows of its split, rising; together each row once. A label's share comes
        first, and sizes follow from it: usually within a few of N x share. A label of too few
        pictures to be shared goes to the largest split; where most labels are as rare, the others
        get few pictures or none.

    Raises:
        ValueError: targets of another shape, or with other values; fewer than two shares, or one
            that is not above 0.
    """
    truth = np.asarray(targets)
    if truth.ndim != 2:
        raise ValueError(f"targets has shape {truth.shape}; expected (N, L), pictures by labels")
    if not np.isin(truth, (-1, 0, 1)).all():
        raise ValueError("targets holds other values than 1, 0 and -1; make it multi-hot first")
    wanted = np.asarray(shares, np.float64)
    if wanted.ndim != 1 or len(wanted) < 2 or not (np.isfinite(wanted) & (wanted > 0)).all():
        raise ValueError(f"shares is {shares}; give two or more numbers above 0")
    wanted = wanted / wanted.sum()
    has = truth == 1
    rng = np.random.default_rng(seed)
    pictures = wanted * len(has)  # how many each split still wants
    labels = np.outer(has.sum(axis=0), wanted)  # (L, S), the same of each label
    left = has.sum(axis=0)
    where = np.full(len(has), -1)
    columns = [np.flatnonzero(row) for row in has]

    def deal(row: int, wishes: np.ndarray) -> None:
        best = np.flatnonzero(np.isclose(wishes, wishes.max(), rtol=0, atol=1e-9))
        if len(best) > 1:
            most = pictures[best]
            best = best[np.isclose(most, most.max(), rtol=0, atol=1e-9)]
        split = int(best[0] if len(best) == 1 else rng.choice(best))
        where[row] = split
        pictures[split] -= 1
        labels[columns[row], split] -= 1
        left[columns[row]] -= 1

    while (left > 0).any():
        rarest = np.flatnonzero(left == left[left > 0].min())
        label = int(rarest[0] if len(rarest) == 1 else rng.choice(rarest))
        for row in rng.permutation(np.flatnonzero(has[:, label] & (where < 0))):
            deal(int(row), labels[label])
    for row in rng.permutation(np.flatnonzero(where < 0)):
        deal(int(row), pictures)
    return [np.flatnonzero(where == split) for split in range(len(wanted))]
