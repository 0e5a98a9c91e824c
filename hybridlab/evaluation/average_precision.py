"""Average precision (AP) of ranked scores, in the three ways that papers compute it, by name.

- "uninterpolated", the default: the area under the precision-recall steps, as scikit-learn's
  `average_precision_score` and torchmetrics (`thresholds=None`) have it.
- "interpolated": the same area under the precision envelope. Precision at a recall is first
  raised to the best precision at that recall or any higher one (VOC from 2010 on).
- "voc07": the mean of that envelope at the eleven recalls 0, .1, ..., 1 (VOC 2007).

The numbers differ, "interpolated" being the "uninterpolated" or more: never compare one kind with
another. Equal scores enter together in each. A label without a positive in the split is left out
of the mean and reported in `absent`; it is never silently 0 or NaN (trap 2).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridlab.evaluation.inputs import Array, Floats, check_scores, check_targets, columns


@dataclass(frozen=True, eq=False)
class MeanAP:
    """Mean average precision and what it is made of.

    Attributes:
        value: mean over the labels that have a positive, in [0, 1]; NaN if none has.
        per_label: (L,) average precision, NaN where a label has no positive.
        absent: the columns left out of the mean.
        kind: the average precision that was asked for.
    """

    value: float
    per_label: Floats
    absent: tuple[int, ...]
    kind: str = "uninterpolated"


def average_precision(scores: ArrayLike, targets: ArrayLike, kind: str = "uninterpolated") -> float:
    """Average precision of one label; NaN if no target is positive.

    Args:
        kind: "uninterpolated", "interpolated" or "voc07" (see the module).

    Shape:
        scores (N,), targets (N,) in {1, 0, -1 = not annotated} -> float in [0, 1]

    Raises:
        ValueError: shapes differ, a score is not finite, a target is not 0, 1 or -1, or `kind` is
            none of the three.
    """
    area = _area(kind)
    scored = check_scores(scores, ndim=1)
    truth = check_targets(targets, scored.shape)
    return _average_precision(scored[truth >= 0], truth[truth >= 0] == 1, area)


def average_precision_per_label(
    scores: ArrayLike, targets: ArrayLike, kind: str = "uninterpolated"
) -> Floats:
    """`average_precision` of every label, NaN for a label without a positive.

    Shape:
        scores (N, L), targets (N, L) -> (L,)

    Raises:
        ValueError: as `average_precision`.
    """
    area = _area(kind)
    scored = check_scores(scores)
    truth = check_targets(targets, scored.shape)
    # One label after another in memory: the sort below reads runs, not strides.
    by_label = np.ascontiguousarray(scored.T)  # (L, N)
    truth_by_label = np.ascontiguousarray(truth.T)  # (L, N)
    result = np.full(len(by_label), np.nan)
    for label, (s, t) in enumerate(zip(by_label, truth_by_label, strict=True)):
        annotated = t >= 0
        if not annotated.all():
            s, t = s[annotated], t[annotated]
        result[label] = _average_precision(s, t == 1, area)
    return result


def mean_ap(scores: ArrayLike, targets: ArrayLike, kind: str = "uninterpolated") -> MeanAP:
    """Mean of the labels' average precision (mAP), absent labels left out and reported.

    Shape:
        scores (N, L), targets (N, L)

    Raises:
        ValueError: as `average_precision`.
    """
    per_label = average_precision_per_label(scores, targets, kind)
    absent = np.isnan(per_label)
    value = float("nan") if absent.all() else float(per_label[~absent].mean())
    return MeanAP(value, per_label, columns(absent), kind)


def _average_precision(
    scores: Array, positive: NDArray[np.bool_], area: Callable[[Floats, Array], float]
) -> float:
    """The area under the precision of the cut at each positive's own score.

    The cut takes every score that is not lower, so ties are exact. Cuts between positives have
    the recall of the one above and less precision: no kind needs them. Only positives are looked
    up in the sorted scores, which leaves the sort as the whole cost.
    """
    hits = np.sort(scores[positive])
    if hits.size == 0:
        return float("nan")
    taken = scores.size - np.searchsorted(np.sort(scores), hits, side="left")
    right = hits.size - np.searchsorted(hits, hits, side="left")
    return area(right / taken, right)


# Each area takes one cut for each of the P positives, the lowest score (recall 1) first:
# `precision` (P,), and `right` (P,), how many positives the cut takes.


def _steps(precision: Floats, right: Array) -> float:
    # Recall climbs by 1/P at each positive.
    return float(np.mean(precision))


def _envelope(precision: Floats, right: Array) -> float:
    return float(np.mean(np.maximum.accumulate(precision)))


def _eleven_points(precision: Floats, right: Array) -> float:
    """Mean of the envelope at recall 0, .1, ..., 1.

    `recall >= t` is asked in whole numbers, 10 * right >= tenth * P. In floating point t = .3 is
    3 * .1 = .30000000000000004, so that 3 of 10 positives, recall .3, would miss it (and 7 of 10
    may miss .7). Code that does so is lower by up to an eleventh of the step after it.
    """
    tenths = np.arange(11)
    # `right` falls along the cuts, so those that reach a recall are the first so many.
    reached = np.searchsorted(-10 * right, -tenths * right.size, side="right")
    return float(np.mean(np.maximum.accumulate(precision)[reached - 1]))


_AREAS: dict[str, Callable[[Floats, Array], float]] = {
    "uninterpolated": _steps,
    "interpolated": _envelope,
    "voc07": _eleven_points,
}
AP_KINDS = tuple(_AREAS)


def check_kind(kind: str) -> str:
    """Return `kind` if it is one of `AP_KINDS`.

    Raises:
        ValueError: it is none of them.
    """
    if kind not in _AREAS:
        raise ValueError(f"kind is {kind!r}; expected one of {', '.join(map(repr, _AREAS))}")
    return kind


def _area(kind: str) -> Callable[[Floats, Array], float]:
    return _AREAS[check_kind(kind)]
