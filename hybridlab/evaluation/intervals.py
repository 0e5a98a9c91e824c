"""Any named metrics with bootstrap intervals, and the same label by label.

All share the resamples of `hybridlab.evaluation.bootstrap`: those of one seed and N are the same
for every metric and label. Metrics that copies in a resample push up (mAP, AP) get basic
intervals, the others percentiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridlab.evaluation.average_precision import average_precision_per_label
from hybridlab.evaluation.bootstrap import Interval, _interval, resampled_values
from hybridlab.evaluation.inputs import Floats, check_decisions, check_scores, check_targets, ratio
from hybridlab.evaluation.named import named_metric
from hybridlab.evaluation.weighted import WeightedMeanAP


def named_intervals(
    names: Sequence[str],
    scores: ArrayLike,
    decisions: ArrayLike,
    targets: ArrayLike,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Metrics by name, each with its interval over the N samples, cut to [0, 1].

    Args:
        names: of `named_metric`.
        resamples, seed, level: as `bootstrap_metrics`.

    Shape:
        scores (N, L), decisions (N, L) boolean, targets (N, L) in {1, 0, -1 = not annotated}

    Raises:
        ValueError: an unknown name, or inputs that metrics refuse.
    """
    metrics = [named_metric(name) for name in names]
    n, found = len(np.asarray(scores)), {}
    for metric in metrics:
        weigh = metric.prepare(scores, decisions, targets)
        value = float(weigh(np.ones((1, n), np.int32))[0])
        drawn = resampled_values(weigh, n, resamples, seed)
        found[metric.name] = _cut(value, drawn, level, metric.basic_interval)
    return found


@dataclass(frozen=True, eq=False)
class LabelTable:
    """What is known of each label, (L,) each.

    Attributes:
        positives: samples that have it.
        predicted: samples for which it was decided, of those annotated.
        precision, recall: NaN without a positive; precision is 0 where nothing was predicted.
        ap, f1: with their intervals; NaN without a positive. With few positives an interval means
            little: it knows no others.
    """

    positives: NDArray[np.int64]
    predicted: NDArray[np.int64]
    precision: Floats
    recall: Floats
    ap: tuple[Interval, ...]
    f1: tuple[Interval, ...]


def label_table(
    scores: ArrayLike,
    decisions: ArrayLike,
    targets: ArrayLike,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> LabelTable:
    """Precision, recall, AP and F1 of each label, the last two with intervals.

    Shape:
        scores (N, L), decisions (N, L) boolean, targets (N, L) in {1, 0, -1 = not annotated}

    Raises:
        ValueError: inputs that metrics refuse.
    """
    scored = check_scores(scores)
    truth = check_targets(targets, scored.shape)
    decided = check_decisions(decisions)
    if decided.shape != scored.shape:
        raise ValueError(
            f"decisions has shape {decided.shape} but scores has shape {scored.shape}; both need "
            "one row for each sample and one column for each label"
        )
    positive, predicted = truth == 1, decided & (truth >= 0)
    marks = [mark.astype(np.float32) for mark in (predicted & positive, predicted, positive)]
    rankings = [WeightedMeanAP(scored[:, [at]], truth[:, [at]]) for at in range(scored.shape[1])]

    def f1(counts: NDArray[np.int32]) -> Floats:
        hits, yes, real = (counts.astype(np.float32) @ mark for mark in marks)  # (R, L)
        return np.where(real > 0, ratio(2 * hits, yes + real, np.nan), np.nan)

    def both(counts: NDArray[np.int32]) -> Floats:
        aps = [ranking(counts) for ranking in rankings]
        return np.concatenate([np.stack(aps, axis=1) if aps else f1(counts), f1(counts)], axis=1)

    n, n_labels = scored.shape
    drawn = resampled_values(both, n, resamples, seed)  # (R, 2 L)
    whole_ap = average_precision_per_label(scored, truth)
    whole_f1 = f1(np.ones((1, n), np.int32))[0]
    hits, yes, real = (mark.sum(axis=0, dtype=np.float64) for mark in marks)
    absent = real == 0
    return LabelTable(
        positives=positive.sum(axis=0),
        predicted=predicted.sum(axis=0),
        precision=np.where(absent, np.nan, ratio(hits, yes, 0.0)),
        recall=ratio(hits, real, np.nan),
        ap=tuple(_cut(float(whole_ap[at]), drawn[:, at], level, True) for at in range(n_labels)),
        f1=tuple(_cut(float(whole_f1[at]), drawn[:, n_labels + at], level, False)
                 for at in range(n_labels)),
    )


def _cut(value: float, drawn: Floats, level: float, basic: bool) -> Interval:
    found = _interval(value, drawn, level, "basic" if basic else "percentile")
    return Interval(found.value, max(found.low, 0.0), min(found.high, 1.0))
