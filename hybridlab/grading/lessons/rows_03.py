"""Losses with several positives, right and wrong, for the check of 3.4.

All take scores (B, U) and positives bool (B, U); all but `both` and `loss_of` look at rows only.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hybridlab.grading.lessons.pairs_03 import log_softmax

Array = np.ndarray
Direction = Callable[[Array, Array], float]  # the loss of rows


def both(scores: Array, positives: Array, loss: Direction) -> float:
    """The mean of a loss over rows and the same over columns."""
    return (loss(scores, positives) + loss(scores.T, positives.T)) / 2


def entries(scores: Array, positives: Array, match: bool = True) -> Array:
    """(B, U) what each positive costs against its row's negatives, 0 elsewhere.

    Args:
        match: the positive itself stands in the sum below the line.
    """
    found = np.zeros(scores.shape)
    for row, column in np.argwhere(positives):
        score = scores[row, column]
        below = np.append(scores[row, ~positives[row]], score if match else [])
        found[row, column] = np.logaddexp.reduce(below) - score
    return found


def of_rows(scores: Array, positives: Array) -> Array:
    """What each row costs that has a positive."""
    each = entries(scores, positives).sum(axis=1) / np.maximum(positives.sum(axis=1), 1)
    return np.asarray(each[positives.any(axis=1)])


def loss_of(scores: Array, positives: Array) -> float:
    """The right value: each positive against its row's negatives, in both directions."""
    return both(scores, positives, lambda s, p: float(of_rows(s, p).mean()) if p.any() else 0.0)


def competing(scores: Array, positives: Array) -> float:
    """Each positive against all of its row: an ordinary softmax."""
    costs = np.where(positives, -log_softmax(scores, 1), 0)
    return float((costs.sum(axis=1) / positives.sum(axis=1)).mean())


def summed(scores: Array, positives: Array) -> float:
    """-log of the summed probability of the positives."""
    chosen = np.where(positives, log_softmax(scores, 1), -np.inf)
    return float(-np.logaddexp.reduce(chosen, axis=1).mean())


def averaged(scores: Array, positives: Array) -> float:
    """-log of the mean probability of the positives."""
    return summed(scores, positives) + float(np.log(positives.sum(axis=1)).mean())


def first(scores: Array, positives: Array) -> float:
    """A cross-entropy with the first positive, or column 0 where there is none, as the target."""
    picked = positives.argmax(axis=1)
    return float(-log_softmax(scores, 1)[np.arange(len(scores)), picked].mean())
