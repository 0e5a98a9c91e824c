"""Multi-label metrics: average precision from scores, precision and recall from decisions.

Inputs are anything that `numpy.asarray` takes (CPU tensors too). Targets are 1 (present),
0 (absent) or -1 (not annotated: the entry is masked). A label without a positive in the split is
left out of every mean over labels and reported in `absent`; it is never silently 0 (TRAPS 1-2).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MeanAP:
    """Mean average precision and what it is made of.

    Attributes:
        value: mean over the labels that have a positive, in [0, 1]; NaN if none has.
        per_label: (L,) average precision, NaN where a label has no positive.
        absent: the columns left out of the mean.
    """

    value: float
    per_label: Floats
    absent: tuple[int, ...]


@dataclass(frozen=True)
class ThresholdMetrics:
    """Metrics of decisions, each in [0, 1], or NaN where it is not defined.

    Attributes:
        cp, cr: mean precision and mean recall over the labels present. A label that is never
            predicted counts with precision 0.
        cf1: harmonic mean of `cp` and `cr`; not the mean of the labels' F1, which is `macro_f1`.
        op, or_, of1: precision, recall and F1 over all entries of all labels together. Labels
            without a positive belong to them: what is predicted there is a false alarm.
        macro_f1: mean of F1 over the labels present (scikit-learn's "macro").
        exact_match: share of samples with every annotated label right.
        hamming: share of annotated entries that are wrong (a loss: lower is better).
        absent: the columns without a positive, left out of `cp`, `cr`, `cf1` and `macro_f1`.
    """

    cp: float
    cr: float
    cf1: float
    op: float
    or_: float
    of1: float
    macro_f1: float
    exact_match: float
    hamming: float
    absent: tuple[int, ...]


class Rates(NamedTuple):
    """Precision, recall and F1 by label mean (C), over all entries (O), and macro F1."""

    cp: Floats
    cr: Floats
    cf1: Floats
    op: Floats
    or_: Floats
    of1: Floats
    macro_f1: Floats


def average_precision(scores: ArrayLike, targets: ArrayLike) -> float:
    """Area under the precision-recall steps of one label, without interpolation.

    Equal scores enter together, as in scikit-learn's `average_precision_score`. NaN if no target
    is positive.

    Shape:
        scores (N,), targets (N,) -> float in [0, 1]

    Raises:
        ValueError: shapes differ, a score is not finite, or a target is not 0, 1 or -1.
    """
    scored = check_scores(scores, ndim=1)
    truth = check_targets(targets, scored.shape)
    return _average_precision(scored[truth >= 0], truth[truth >= 0] == 1)


def average_precision_per_label(scores: ArrayLike, targets: ArrayLike) -> Floats:
    """`average_precision` of every label, NaN for a label without a positive.

    Shape:
        scores (N, L), targets (N, L) -> (L,)

    Raises:
        ValueError: as `average_precision`.
    """
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
        result[label] = _average_precision(s, t == 1)
    return result


def mean_ap(scores: ArrayLike, targets: ArrayLike) -> MeanAP:
    """Mean of the labels' average precision (mAP), absent labels left out and reported.

    Shape:
        scores (N, L), targets (N, L)

    Raises:
        ValueError: as `average_precision`.
    """
    per_label = average_precision_per_label(scores, targets)
    absent = np.isnan(per_label)
    value = float("nan") if absent.all() else float(per_label[~absent].mean())
    return MeanAP(value, per_label, _columns(absent))


def threshold_metrics(decisions: ArrayLike, targets: ArrayLike) -> ThresholdMetrics:
    """CP, CR, CF1, OP, OR, OF1 and friends of yes/no decisions.

    Precision of nothing predicted is 0; F1 is 0 where precision and recall both are. Without any
    positive, recall and F1 are NaN; without any annotated entry so are the last two.

    Shape:
        decisions (N, L) boolean, such as `probs >= thresholds`; targets (N, L)

    Raises:
        ValueError: shapes differ, a decision is not a boolean, or a target is not 0, 1 or -1.
    """
    decided = check_decisions(decisions)
    truth = check_targets(targets, decided.shape, of="decisions")
    annotated, positive = truth >= 0, truth == 1
    predicted = decided & annotated
    rates = rates_from_counts(
        (predicted & positive).sum(axis=0), predicted.sum(axis=0), positive.sum(axis=0)
    )
    wrong = (decided != positive) & annotated  # (N, L)
    seen = annotated.any(axis=1)  # a sample with nothing annotated can be neither right nor wrong
    return ThresholdMetrics(
        **{name: float(rate) for name, rate in rates._asdict().items()},
        exact_match=float(_ratio((~wrong.any(axis=1) & seen).sum(), seen.sum(), np.nan)),
        hamming=float(_ratio(wrong.sum(), annotated.sum(), np.nan)),
        absent=_columns(~positive.any(axis=0)),
    )


def rates_from_counts(hits: Array, predicted: Array, positive: Array) -> Rates:
    """Precision, recall and F1 from counts per label; leading axes (resamples, say) are kept.

    Shape:
        hits (true positives), predicted, positive: (..., L) -> each rate (...)
    """
    hits, predicted, positive = (np.asarray(x, np.float64) for x in (hits, predicted, positive))
    present = (positive > 0).sum(axis=-1)

    def over_labels(values: Floats) -> Floats:
        # An absent label has no hits, so it adds 0 above; below it is not counted.
        return _ratio(values.sum(axis=-1), present, np.nan)

    # TRAPS 1: CF1 takes the means first and the harmonic mean after; never-predicted counts as 0.
    cp = over_labels(_ratio(hits, predicted, 0.0))
    cr = over_labels(_ratio(hits, positive, 0.0))
    all_hits, all_predicted = hits.sum(axis=-1), predicted.sum(axis=-1)
    all_positive = positive.sum(axis=-1)
    of1 = _ratio(2 * all_hits, all_predicted + all_positive, np.nan)
    return Rates(
        cp=cp,
        cr=cr,
        cf1=_ratio(2 * cp * cr, cp + cr, 0.0),
        op=_ratio(all_hits, all_predicted, 0.0),
        or_=_ratio(all_hits, all_positive, np.nan),
        of1=np.where(all_positive > 0, of1, np.nan),
        macro_f1=over_labels(_ratio(2 * hits, predicted + positive, 0.0)),
    )


def check_scores(scores: ArrayLike, ndim: int = 2) -> Array:
    """Return `scores` as a float array of `ndim` axes, or say what is wrong with it.

    Raises:
        ValueError: wrong number of axes, not numbers, or a NaN or infinity (its place is named).
    """
    array = np.asarray(scores)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"scores has dtype {array.dtype}; pass numbers")
    if array.dtype.kind != "f":
        array = array.astype(np.float64)
    elif array.dtype.itemsize < 4:
        array = array.astype(np.float32)
    _check_axes("scores", array, ndim)
    finite = np.isfinite(array)
    if not finite.all():
        at = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(
            f"scores is {array[at]} at {_place(at)}; a score must be finite to be ranked: look "
            "for an overflow or a division by zero in the model's output"
        )
    return array


def check_targets(
    targets: ArrayLike, shape: tuple[int, ...], of: str = "scores"
) -> NDArray[np.int8]:
    """Return `targets` as int8 of the given shape: 1, 0, or -1 for an entry not annotated.

    Raises:
        ValueError: another shape (both are named) or another value (with its place).
    """
    array = np.asarray(targets)
    if array.shape != shape:
        raise ValueError(
            f"targets has shape {array.shape} but {of} has shape {shape}; "
            "give one row for each sample and one column for each label in both"
        )
    if array.dtype != np.bool_:
        bad = ~((array == 0) | (array == 1) | (array == -1))
        if bad.any():
            at = tuple(int(i) for i in np.argwhere(bad)[0])
            raise ValueError(
                f"targets is {array[at]} at {_place(at)}; expected 1 (present), 0 (absent) or "
                "-1 (not annotated): make soft or counted targets multi-hot first"
            )
    return array.astype(np.int8)


def check_decisions(decisions: ArrayLike) -> NDArray[np.bool_]:
    """Return `decisions` as a boolean (N, L) array.

    Raises:
        ValueError: not two axes, or a value other than 0 and 1 (its place is named).
    """
    array = np.asarray(decisions)
    _check_axes("decisions", array, 2)
    if array.dtype != np.bool_:
        bad = ~((array == 0) | (array == 1))
        if bad.any():
            at = tuple(int(i) for i in np.argwhere(bad)[0])
            raise ValueError(
                f"decisions is {array[at]} at {_place(at)}; expected True or False: "
                "pass probs >= thresholds, not the probabilities"
            )
    return array.astype(np.bool_)


def _average_precision(scores: Array, positive: NDArray[np.bool_]) -> float:
    """Mean, over the positives, of the precision of the cut at each positive's own score.

    That is the area by steps: recall climbs by 1/P at each of the P positives. The cut takes
    every score that is not lower, so ties are exact. Only positives are looked up in the sorted
    scores, which leaves the sort as the whole cost.
    """
    hits = np.sort(scores[positive])
    if hits.size == 0:
        return float("nan")
    taken = scores.size - np.searchsorted(np.sort(scores), hits, side="left")
    right = hits.size - np.searchsorted(hits, hits, side="left")
    return float(np.mean(right / taken))


def _ratio(top: ArrayLike, bottom: ArrayLike, undefined: float) -> Floats:
    """top / bottom, and `undefined` where bottom is 0."""
    top, bottom = np.asarray(top, np.float64), np.asarray(bottom, np.float64)
    return np.divide(top, bottom, out=np.full(np.shape(top), undefined), where=bottom != 0)


def _columns(mask: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.flatnonzero(mask))


def _place(at: tuple[int, ...]) -> str:
    return f"row {at[0]}, column {at[1]}" if len(at) == 2 else f"row {at[0]}"


def _check_axes(name: str, array: Array, ndim: int) -> None:
    if array.ndim != ndim:
        wanted = "(N, L), samples by labels" if ndim == 2 else "(N,), one score for each sample"
        raise ValueError(f"{name} has shape {array.shape}; expected {wanted}")
