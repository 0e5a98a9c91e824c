"""How well the labels of one image are ranked: one-error, coverage, ranking loss, MAP@k.

These read each row of the scores by itself and average over images. Nothing here may stand beside
mAP, which reads each column and averages over labels. MAP@10 of the CNN-RNN paper (61.2 on COCO,
56.1 on NUS-WIDE) is `map_at_k`, an average over images (trap 2).

An entry that is not annotated (-1) is left out of its image's ranking. An image with nothing
annotated is left out of every average.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridlab.evaluation.inputs import (
    Array,
    Floats,
    check_scores,
    check_targets,
    ratio,
)
from hybridlab.evaluation.top_k import ranked_columns


@dataclass(frozen=True)
class RankingMetrics:
    """Metrics of the ranking of labels within an image; lower is better in all three.

    Equal scores count against the model: a wrong label tied with a right one stands before it.
    Coverage and ranking loss are scikit-learn's `coverage_error` and `label_ranking_loss`.

    Attributes:
        one_error: share of images whose first label is wrong, over the images that have a
            positive, in [0, 1].
        coverage: mean number of labels that must be read to meet every positive, from 0 to L. An
            image without a positive counts 0.
        ranking_loss: mean share of (right, wrong) pairs of labels in the wrong order, in [0, 1].
            An image without a positive, or with nothing but positives, counts 0.
        images: how many images have an annotated entry; the others are left out.
        without_positive: how many of those have no positive.
    """

    one_error: float
    coverage: float
    ranking_loss: float
    images: int
    without_positive: int


class RankingPerImage(NamedTuple):
    """The metrics of `RankingMetrics` of each image, (N,) each; NaN where an image is left out."""

    one_error: Floats
    coverage: Floats
    ranking_loss: Floats


@dataclass(frozen=True, eq=False)
class MapAtK:
    """Average precision of each image's k best labels; not a class-mAP (trap 2).

    Attributes:
        value: mean over the images that have a positive, in [0, 1]; NaN if none has.
        per_image: (N,) NaN where an image has no positive.
        without_positive: how many images were left out, having no positive.
    """

    value: float
    per_image: Floats
    without_positive: int


def ranking_metrics(scores: ArrayLike, targets: ArrayLike) -> RankingMetrics:
    """One-error, coverage and ranking loss, from one sort.

    Each is NaN where no image counts for it.

    Shape:
        scores (N, L), targets (N, L) in {1, 0, -1 = not annotated}

    Raises:
        ValueError: shapes differ, a score is not finite, or a target is not 0, 1 or -1.
    """
    found = ranking_per_image(scores, targets)
    seen, some = ~np.isnan(found.coverage), ~np.isnan(found.one_error)
    return RankingMetrics(
        one_error=_mean(found.one_error[some]),
        coverage=_mean(found.coverage[seen]),
        ranking_loss=_mean(found.ranking_loss[seen]),
        images=int(seen.sum()),
        without_positive=int((seen & ~some).sum()),
    )


def ranking_per_image(scores: ArrayLike, targets: ArrayLike) -> RankingPerImage:
    """What `ranking_metrics` takes the means of, image by image.

    Shape:
        scores (N, L), targets (N, L) in {1, 0, -1 = not annotated}

    Raises:
        ValueError: as `ranking_metrics`.
    """
    ranked = _ranked(scores, targets)
    positives, negatives = ranked.right.sum(axis=1), ranked.wrong.sum(axis=1)  # (N,)
    seen, some = positives + negatives > 0, positives > 0
    # Positions count from 1; the last positive's position is how far one has to read.
    position = np.arange(1, ranked.right.shape[1] + 1)
    last = (ranked.right * position).max(axis=1, initial=0)
    # Pairs in the wrong order: for each positive, the negatives that stand before it.
    before = np.cumsum(ranked.wrong, axis=1)
    pairs = (before * ranked.right).sum(axis=1)
    loss = ratio(pairs, positives * negatives, 0.0)
    first_right = ranked.right[:, :1].sum(axis=1)  # (N,) 1 or 0
    return RankingPerImage(
        one_error=np.where(some, 1.0 - first_right, np.nan),
        coverage=np.where(seen, last.astype(np.float64), np.nan),
        ranking_loss=np.where(seen, loss, np.nan),
    )


def one_error(scores: ArrayLike, targets: ArrayLike) -> float:
    """Share of the images with a positive whose first label is wrong; see `RankingMetrics`."""
    return ranking_metrics(scores, targets).one_error


def coverage(scores: ArrayLike, targets: ArrayLike) -> float:
    """How many labels to read to meet every positive, on average; see `RankingMetrics`."""
    return ranking_metrics(scores, targets).coverage


def ranking_loss(scores: ArrayLike, targets: ArrayLike) -> float:
    """Share of (right, wrong) pairs of labels in the wrong order; see `RankingMetrics`."""
    return ranking_metrics(scores, targets).ranking_loss


def map_at_k(scores: ArrayLike, targets: ArrayLike, k: int) -> MapAtK:
    """MAP@k over images, the measure of the CNN-RNN paper (arXiv 1604.04573, k = 10).

    An image's value is the sum, over the positives among its k best labels, of the precision down
    to that positive, divided by min(k, its positives): 1 if the list could not be better. The
    paper prints no formula; this normaliser is the usual one (dividing by the positives found
    would not punish those missed). Equal scores: lowest column first, the list that
    `top_k_decisions` emits. An image without a positive is left out and counted.

    Shape:
        scores (N, L), targets (N, L) in {1, 0, -1 = not annotated}

    Raises:
        ValueError: `k` is not a whole number from 1 to L, or as `ranking_metrics`.
    """
    scored = check_scores(scores)
    truth = check_targets(targets, scored.shape)
    best = ranked_columns(np.where(truth >= 0, scored, -np.inf), k)  # (N, k)
    right = np.take_along_axis(truth, best, axis=1) == 1
    precision = np.cumsum(right, axis=1) / np.arange(1, best.shape[1] + 1)
    positives = (truth == 1).sum(axis=1)
    most = np.minimum(positives, best.shape[1])
    per_image = ratio((precision * right).sum(axis=1), most, np.nan)
    some = positives > 0
    without = int(((truth >= 0).any(axis=1) & ~some).sum())
    return MapAtK(_mean(per_image[some]), per_image, without)


class _Ranked(NamedTuple):
    """Each row in its own order, best first: where its positives and its negatives stand."""

    right: NDArray[np.bool_]  # (N, L)
    wrong: NDArray[np.bool_]  # (N, L)


def _ranked(scores: ArrayLike, targets: ArrayLike) -> _Ranked:
    scored = check_scores(scores)
    truth = check_targets(targets, scored.shape)
    # Last key first: by score, entries not annotated behind all; in ties positives come last.
    keys = np.where(truth >= 0, -scored, np.inf)
    order = np.lexsort((truth == 1, keys), axis=1)
    ordered = np.take_along_axis(truth, order, axis=1)
    return _Ranked(ordered == 1, ordered == 0)


def _mean(values: Array) -> float:
    return float(values.mean()) if values.size else float("nan")
