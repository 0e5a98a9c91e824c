"""Bootstrap intervals over the samples of a split, and paired differences.

A resample is a row of counts: how often each sample was drawn. Every metric is then a sum with
those counts as weights, so nothing is sorted again. For average precision each label is sorted
once; in a resample, only the counts between one positive and the next are added up.

The resamples depend on the seed and on N alone. Two models measured with one seed over the same
split therefore meet the same resamples, which is what makes differences paired.

Mind mAP's percentile interval. A resample holds copies, a copied positive is followed by itself,
and so average precision rises: the rarer the label, the more. On synthetic data with 40 labels of
1-20 % the 95 % percentile interval held the true mAP in 10 % of trials at N = 500 and 32 % at
N = 1,500; the basic interval, which takes the same bias off again, in 85 % and 96 %. Differences
between two models do not suffer: 97 % and 93 % by percentiles. Both kinds are here, by name.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridlab.evaluation.metrics import (
    Array,
    Floats,
    check_decisions,
    check_scores,
    check_targets,
    rates_from_counts,
)

METRICS = ("mean_ap", "cf1", "of1")
_CHUNK = 250  # resamples in work at once: keeps the reordered counts of one label in the cache


class Interval(NamedTuple):
    """A metric on the split as it is, and the ends of its interval; all NaN if undefined."""

    value: float
    low: float
    high: float


class Predictions(NamedTuple):
    """One model on a split: scores (N, L) for mean_ap, decisions (N, L) for cf1 and of1."""

    scores: ArrayLike
    decisions: ArrayLike


def bootstrap_metrics(
    scores: ArrayLike,
    decisions: ArrayLike,
    targets: ArrayLike,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    method: str = "basic",
) -> dict[str, Interval]:
    """mean_ap, cf1 and of1 with bootstrap intervals over the N samples.

    A label that has no positive in a resample is left out of that resample's means. A resample
    with no positive at all has no value and is left out of the percentiles.

    Args:
        resamples: how many; 1,000 is usual.
        seed: the same seed and N give the same resamples, whatever the model.
        level: share of the resamples between the ends of the interval.
        method: "basic", the percentiles reflected about the value and cut to [0, 1]; or
            "percentile", which misses the mean_ap of one model (see the module).

    Shape:
        scores (N, L), decisions (N, L) boolean, targets (N, L) in {1, 0, -1 = not annotated}

    Raises:
        ValueError: an input that `mean_ap` or `threshold_metrics` refuses, `resamples` below 1,
            `level` outside (0, 1), or an unknown `method`.
    """
    _check_method(method)
    split = _Split(scores, decisions, targets)
    (drawn,) = _resampled([split], resamples, seed, level)
    whole = split.measure(_once(split.n))
    intervals = {}
    for name in METRICS:
        value, low, high = _interval(whole[name][0], drawn[name], level, method)
        intervals[name] = Interval(value, max(low, 0.0), min(high, 1.0))
    return intervals


def paired_bootstrap(
    a: Predictions | tuple[ArrayLike, ArrayLike],
    b: Predictions | tuple[ArrayLike, ArrayLike],
    targets: ArrayLike,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    method: str = "percentile",
) -> dict[str, Interval]:
    """Differences a - b in mean_ap, cf1 and of1 with bootstrap intervals.

    Both models are measured on the same resamples, so what makes a split hard for both cancels.
    An interval that holds 0 shows no difference.

    Args:
        a, b: (scores, decisions) of two models, each (N, L), over the same samples.
        targets: (N, L) in {1, 0, -1 = not annotated}.
        resamples, seed, level, method: as `bootstrap_metrics`.

    Raises:
        ValueError: as `bootstrap_metrics`.
    """
    _check_method(method)
    splits = [_Split(scores, decisions, targets) for scores, decisions in (a, b)]
    drawn_a, drawn_b = _resampled(splits, resamples, seed, level)
    once = _once(splits[0].n)
    whole_a, whole_b = (split.measure(once) for split in splits)
    intervals = {}
    for name in METRICS:
        value = whole_a[name][0] - whole_b[name][0]
        intervals[name] = _interval(value, drawn_a[name] - drawn_b[name], level, method)
    return intervals


def resampled_metrics(
    scores: ArrayLike, decisions: ArrayLike, targets: ArrayLike, counts: ArrayLike
) -> dict[str, Floats]:
    """mean_ap, cf1 and of1 of resamples given as counts, one value for each resample.

    Args:
        counts: (R, N) whole numbers: how often resample r holds sample n.

    Raises:
        ValueError: `counts` has not N columns, or holds a negative or a fraction; or as
            `bootstrap_metrics`.
    """
    split = _Split(scores, decisions, targets)
    given = np.asarray(counts)
    if given.ndim != 2 or given.shape[1] != split.n:
        raise ValueError(f"counts has shape {given.shape}; expected (R, {split.n})")
    if not ((given >= 0) & (given == np.floor(given))).all():
        raise ValueError("counts holds a negative or a fraction; expected whole numbers >= 0")
    return split.measure(given.astype(np.int64))


def resample_counts(n: int, resamples: int, seed: int = 0) -> NDArray[np.int32]:
    """How often each of `n` samples is drawn in each resample: (resamples, n), rows sum to n."""
    return np.concatenate([np.empty((0, n), np.int32), *_draws(n, resamples, seed)])


class _Ranking(NamedTuple):
    """One label, sorted once. G: groups of equal scores that hold a positive, best first."""

    samples: NDArray[np.intp]  # annotated samples down to the last positive's group, best first
    starts: NDArray[np.intp]  # (G,) where in `samples` each group's stretch begins
    positives: NDArray[np.intp]  # the positive samples, best first
    positive_starts: NDArray[np.intp]  # (G,) where in `positives` each group begins


class _Split:
    """Scores, decisions and targets of one model, prepared for many resamples."""

    def __init__(self, scores: ArrayLike, decisions: ArrayLike, targets: ArrayLike):
        scored = check_scores(scores)
        truth = check_targets(targets, scored.shape)
        decided = check_decisions(decisions)
        if decided.shape != scored.shape:
            raise ValueError(
                f"decisions has shape {decided.shape} but scores has shape {scored.shape}; "
                "both need one row for each sample and one column for each label"
            )
        self.n = len(scored)
        ranked = [_rank(s, t) for s, t in zip(scored.T, truth.T, strict=True)]
        self.rankings = [ranking for ranking in ranked if ranking is not None]
        positive, predicted = truth == 1, decided & (truth >= 0)
        # float32 for the speed of the matrix product; counts stay exact below 2**24 samples
        self.marks = [m.astype(np.float32) for m in (predicted & positive, predicted, positive)]

    def measure(self, counts: NDArray[np.integer]) -> dict[str, Floats]:
        """Each metric under weights `counts` (R, N) -> (R,)."""
        weights = counts.astype(np.float32)
        rates = rates_from_counts(*(weights @ mark for mark in self.marks))
        return {"mean_ap": self._mean_ap(counts), "cf1": rates.cf1, "of1": rates.of1}

    def _mean_ap(self, counts: NDArray[np.integer]) -> Floats:
        # Samples lead, so that reordering them moves whole rows; small integers move fastest.
        most = int(counts.sum(axis=1).max(initial=0))
        by_sample = np.ascontiguousarray(counts.T.astype(np.min_scalar_type(most)))  # (N, R)
        total = np.zeros(len(counts))
        labels = np.zeros(len(counts))
        for ranking in self.rankings:
            ap, present = _weighted_ap(ranking, by_sample)
            total += ap
            labels += present
        return np.divide(total, labels, out=np.full(len(counts), np.nan), where=labels > 0)


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


def _weighted_ap(ranking: _Ranking, by_sample: Array) -> tuple[Floats, NDArray[np.bool_]]:
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
    area = np.einsum("gr,gr->r", precision, right)
    return area / np.maximum(hits[-1], 1), hits[-1] > 0


def _resampled(
    splits: list[_Split], resamples: int, seed: int, level: float
) -> list[dict[str, Floats]]:
    """Every metric of every split on the same resamples: one (resamples,) array each."""
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}; expected at least 1 (1000 is usual)")
    _check_level(level)
    chunks: list[list[dict[str, Floats]]] = [[] for _ in splits]
    for counts in _draws(splits[0].n, resamples, seed):
        for split, measured in zip(splits, chunks, strict=True):
            measured.append(split.measure(counts))
    return [
        {name: np.concatenate([part[name] for part in measured]) for name in METRICS}
        for measured in chunks
    ]


def _draws(n: int, resamples: int, seed: int) -> Iterator[NDArray[np.int32]]:
    """Counts in chunks of at most `_CHUNK` resamples; the chunking does not change the draws."""
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, _CHUNK):
        counts = np.zeros((min(_CHUNK, resamples - start), n), np.int32)
        for row in counts if n else ():
            row[:] = np.bincount(rng.integers(0, n, size=n), minlength=n)
        yield counts


def _once(n: int) -> NDArray[np.int32]:
    return np.ones((1, n), np.int32)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; expected a share between 0 and 1, such as 0.95")


def _check_method(method: str) -> None:
    if method not in ("percentile", "basic"):
        raise ValueError(f"method is {method!r}; expected 'percentile' or 'basic'")


def _interval(value: float, drawn: Floats, level: float, method: str) -> Interval:
    defined = drawn[~np.isnan(drawn)]
    if np.isnan(value) or defined.size == 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    if method == "basic":
        low, high = 2 * value - high, 2 * value - low
    return Interval(float(value), float(low), float(high))
