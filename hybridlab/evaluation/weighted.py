"""Mean average precision of many resamples, from one sort.

A resample is a row of counts: how often it holds each sample. A label's samples are sorted once;
in a resample, only the counts between one positive and the next are added up. The kinds of
average precision are those of `hybridlab.evaluation.average_precision`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridlab.evaluation.average_precision import check_kind
from hybridlab.evaluation.inputs import Array, Floats, check_counts, check_scores, check_targets


class WeightedMeanAP:
    """Mean AP of one model, prepared for many resamples.

    A label that has no positive in a resample is left out of that resample's mean.

    Args:
        scores: (N, L).
        targets: (N, L) in {1, 0, -1 = not annotated}.
        kind: "uninterpolated", "interpolated" or "voc07".

    Shape:
        counts (R, N) whole numbers -> (R,), NaN where a resample has no positive at all

    Raises:
        ValueError: an input that `mean_ap` refuses; at a call, `counts` has not N columns, or
            holds a negative or a fraction.
    """

    def __init__(self, scores: ArrayLike, targets: ArrayLike, kind: str = "uninterpolated"):
        self.kind = check_kind(kind)
        scored = check_scores(scores)
        truth = check_targets(targets, scored.shape)
        self.n = len(scored)
        ranked = [_rank(s, t) for s, t in zip(scored.T, truth.T, strict=True)]
        self._rankings = [ranking for ranking in ranked if ranking is not None]

    def __call__(self, counts: ArrayLike) -> Floats:
        given = check_counts(counts, self.n)
        # Samples lead, so that reordering them moves whole rows; small integers move fastest.
        most = int(given.sum(axis=1).max(initial=0))
        by_sample = np.ascontiguousarray(given.T.astype(np.min_scalar_type(most)))  # (N, R)
        total = np.zeros(len(given))
        labels = np.zeros(len(given))
        for ranking in self._rankings:
            ap, present = _weighted_ap(ranking, by_sample, self.kind)
            total += ap
            labels += present
        return np.divide(total, labels, out=np.full(len(given), np.nan), where=labels > 0)


class _Ranking(NamedTuple):
    """One label, sorted once. G: groups of equal scores that hold a positive, best first."""

    samples: NDArray[np.intp]  # annotated samples down to the last positive's group, best first
    starts: NDArray[np.intp]  # (G,) where in `samples` each group's stretch begins
    positives: NDArray[np.intp]  # the positive samples, best first
    positive_starts: NDArray[np.intp]  # (G,) where in `positives` each group begins


def _rank(scores: Array, truth: NDArray[np.int8]) -> _Ranking | None:
    """Sort one label, or None if it has no positive."""
    annotated = np.flatnonzero(truth >= 0)
    order = annotated[np.argsort(-scores[annotated], kind="stable")]
    positives = order[truth[order] == 1]
    if positives.size == 0:
        return None
    levels = scores[positives]
    first = np.flatnonzero(np.concatenate([[True], levels[1:] != levels[:-1]]))
    # A cut at a positive's score takes all that is tied with it: to the right end of its group.
    ends = np.searchsorted(-scores[order], -levels[first], side="right")
    return _Ranking(order[: ends[-1]], np.concatenate([[0], ends[:-1]]), positives, first)


def _weighted_ap(
    ranking: _Ranking, by_sample: Array, kind: str
) -> tuple[Floats, NDArray[np.bool_]]:
    """AP of one label in every resample (0 where the label is absent), and where it is present."""
    dtype = by_sample.dtype
    taken = np.add.reduceat(by_sample[ranking.samples], ranking.starts, axis=0, dtype=dtype)
    right = np.add.reduceat(
        by_sample[ranking.positives], ranking.positive_starts, axis=0, dtype=dtype
    )
    taken = np.cumsum(taken, axis=0, dtype=np.float64)  # (G, R) drawn down to each group's end
    hits = np.cumsum(right, axis=0, dtype=np.float64)  # (G, R) positives among them
    # Nothing drawn so far means no hit either: 0/1 stands for 0/0 and has weight 0.
    precision = np.divide(hits, np.maximum(taken, 1, out=taken), out=taken)
    present = hits[-1] > 0
    if kind != "uninterpolated":
        # A group of which no positive was drawn is no cut in the resample. It does no harm here:
        # the cut above it has the same hits among fewer taken, hence no less precision.
        precision = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    if kind == "voc07":
        return _eleven_points(precision, hits) * present, present
    area = np.einsum("gr,gr->r", precision, right)
    return area / np.maximum(hits[-1], 1), present


def _eleven_points(envelope: Floats, hits: Floats) -> Floats:
    """Mean of the envelope (G, R) at recall 0, .1, ..., 1; -> (R,).

    In whole numbers, as in `average_precision`: a recall of .3 must not miss 3 * .1.
    """
    total = np.zeros(hits.shape[1])
    for tenth in range(11):
        first = (10 * hits < tenth * hits[-1]).sum(axis=0)  # (R,) the first cut that reaches it
        total += np.take_along_axis(envelope, first[None], axis=0)[0]
    return total / 11
