"""Other ways to choose thresholds: a floor on precision or recall, counts, OF1, CF1, CLIP's help.

Which rule is right depends on what a wrong yes and a wrong no cost. All are fitted on a validation
split, and each may flatter itself there: `cross_fitted` decides every image by thresholds that were
fitted without it. CF1 is a ratio of means, and thresholds can game it while macro-F1 collapses
(trap 19), so `f1_of` gives the three F1 scores side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridlab.evaluation.decisions import threshold_metrics
from hybridlab.evaluation.inputs import Array, Floats, as_array, columns
from hybridlab.evaluation.thresholds import check_probs

NEVER = float(np.nextafter(1.0, 2.0))  # above every probability
_ROUNDS = 50


@dataclass(frozen=True, eq=False)
class Cuts:
    """One threshold for each label; decide with `probs >= cuts.values`.

    Attributes:
        values: (L,); just above 1 where the answer is never yes.
        unattained: columns that cannot have what was asked for, and what they get is told by the
            rule.
    """

    values: Floats
    unattained: tuple[int, ...] = ()


class F1s(NamedTuple):
    """The three F1 scores, which thresholds move differently."""

    cf1: float
    of1: float
    macro_f1: float


def f1_of(decisions: ArrayLike, targets: ArrayLike) -> F1s:
    """CF1, OF1 and macro-F1 of decisions (N, L)."""
    found = threshold_metrics(decisions, targets)
    return F1s(found.cf1, found.of1, found.macro_f1)


def at_precision(probs: ArrayLike, targets: ArrayLike, least: float) -> Cuts:
    """For each label the lowest threshold with a precision of `least` or more: the most recall.

    A label that has it at no threshold never says yes, and is listed.

    Shape:
        probs (N, L) in [0, 1], targets (N, L) in {1, 0, -1}

    Raises:
        ValueError: `least` outside (0, 1], or as `best_f1_threshold`.
    """
    _share("least", least)
    ladders = _ladders(probs, targets)
    values, unattained = np.full(len(ladders), NEVER), np.zeros(len(ladders), np.bool_)
    for at, ladder in enumerate(ladders):
        good = ladder.hits[1:] >= least * ladder.taken[1:] - 1e-12
        unattained[at] = not good.any()
        if good.any():
            values[at] = ladder.cuts[1 + int(np.flatnonzero(good)[-1])]
    return Cuts(values, columns(unattained))


def at_recall(probs: ArrayLike, targets: ArrayLike, least: float) -> Cuts:
    """For each label the highest threshold with a recall of `least` or more: the fewest wrong yes.

    A label without a positive has no recall: it always says yes, and is listed.

    Shape, raises: as `at_precision`.
    """
    _share("least", least)
    ladders = _ladders(probs, targets)
    values, unattained = np.zeros(len(ladders)), np.zeros(len(ladders), np.bool_)
    for at, ladder in enumerate(ladders):
        positives = ladder.hits[-1]
        unattained[at] = positives == 0
        if positives:
            first = int(np.argmax(ladder.hits >= least * positives - 1e-12))
            values[at] = ladder.cuts[first]
    return Cuts(values, columns(unattained))


def by_cardinality(probs: ArrayLike, targets: ArrayLike) -> float:
    """The one threshold at which as many labels are given as there are (Read et al. 2011: equal
    label cardinality); of two that are equally near, the higher.

    It needs only counts of labels, not which ones: it may be carried over to images that nobody
    annotated, if those have as many. Shape, raises: as `at_precision`.
    """
    scored, truth = check_probs(probs, targets)
    ladder = _ladder(scored.reshape(-1), truth.reshape(-1))
    return float(ladder.cuts[int(np.argmin(np.abs(ladder.taken - ladder.hits[-1])))])


def for_of1(probs: ArrayLike, targets: ArrayLike) -> Cuts:
    """The thresholds, one for each label, with the highest OF1 of all.

    OF1 is 2 TP / (yes + positives). It reaches at least v where the sum over labels of 2 TP - v yes
    reaches v positives, and each label's share of that sum is maximised by itself; v rises until it
    stays (Dinkelbach 1967). Without shrinkage: with few positives it flatters itself most.

    Shape, raises: as `at_precision`.
    """
    ladders = _ladders(probs, targets)
    positives = sum(int(ladder.hits[-1]) for ladder in ladders)
    value, at = -1.0, [0] * len(ladders)
    for _ in range(_ROUNDS):
        hits = sum(int(ladder.hits[place]) for ladder, place in zip(ladders, at, strict=True))
        taken = sum(int(ladder.taken[place]) for ladder, place in zip(ladders, at, strict=True))
        new = 2 * hits / (taken + positives)
        if new <= value:
            break
        value = new
        at = [int(np.argmax(2 * ladder.hits - value * ladder.taken)) for ladder in ladders]
    return Cuts(np.array([ladder.cuts[place]
                          for ladder, place in zip(ladders, at, strict=True)]))


def for_cf1(probs: ArrayLike, targets: ArrayLike) -> Cuts:
    """Thresholds with a high CF1 of the paper's kind, climbed label by label until none helps.

    Shown for what it does, not recommended: it may let a label say yes to a single sure image (a
    precision of 1) and pay with recall where that is cheap. Look at `f1_of` before and after. It
    begins at the thresholds of `for_of1`, and may end below the highest CF1 that there is.

    Shape, raises: as `at_precision`.
    """
    ladders = _ladders(probs, targets)
    rates = [_rates(ladder) for ladder in ladders]
    asked = np.array([ladder.hits[-1] > 0 for ladder in ladders])
    start = for_of1(probs, targets).values
    at = [int(np.argmin(np.abs(ladder.cuts - cut)))
          for ladder, cut in zip(ladders, start, strict=True)]
    for _ in range(_ROUNDS):
        moved = False
        for label in np.flatnonzero(asked):
            precision = [rates[one][0][at[one]] for one in np.flatnonzero(asked)]
            recall = [rates[one][1][at[one]] for one in np.flatnonzero(asked)]
            own_precision, own_recall = rates[label]
            p = sum(precision) - own_precision[at[label]] + own_precision
            r = sum(recall) - own_recall[at[label]] + own_recall
            f = p * r / np.maximum(p + r, 1e-12)
            best = int(np.argmax(f))
            if f[best] > f[at[label]] + 1e-12:
                at[label], moved = best, True
        if not moved:
            break
    return Cuts(np.array([ladder.cuts[place]
                          for ladder, place in zip(ladders, at, strict=True)]))


@dataclass(frozen=True, eq=False)
class ClipAdjusted:
    """Thresholds moved by what CLIP thinks of each label.

    Attributes:
        values: (L,), in (0, 1).
        slope: how far the logit of a threshold moves for one standard deviation; 0 leaves them.
    """

    values: Floats
    slope: float


def clip_adjusted(
    thresholds: ArrayLike, similarity: ArrayLike, probs: ArrayLike, targets: ArrayLike,
    most: float = 2.0, steps: int = 40,
) -> ClipAdjusted:
    """Thresholds adjusted by the mean CLIP similarity of each label (seed 000, section 5).

    logit t_l <- logit t_l + slope * z_l, where z_l is the label's mean similarity over the images,
    standardised over labels. One number for all labels is fitted, so there is little to overfit:
    the slope with the best macro-F1 on the validation split; of equal ones the nearest to 0.

    Args:
        thresholds: (L,) or one number, in (0, 1), to begin with.
        similarity: (N, L), cosines of images and label texts; no annotation is used.
        probs, targets: (N, L) of the same images.
        most: largest slope that is tried, and minus the smallest.
        steps: slopes on either side of 0.

    Raises:
        ValueError: thresholds outside (0, 1), shapes that differ, a similarity that is not finite,
            or as `best_f1_threshold`.
    """
    scored, truth = check_probs(probs, targets)
    alike = as_array(similarity).astype(np.float64)
    start = np.broadcast_to(as_array(thresholds).astype(np.float64), scored.shape[1:])
    if alike.shape != scored.shape or not np.isfinite(alike).all():
        raise ValueError(
            f"similarity has shape {alike.shape} for probs of {scored.shape}; give a finite cosine "
            "for each image and label"
        )
    if not ((start > 0) & (start < 1)).all():
        raise ValueError("thresholds must lie between 0 and 1, without either")
    mean = alike.mean(axis=0)
    spread = mean.std()
    z = (mean - mean.mean()) / spread if spread > 1e-12 else np.zeros_like(mean)
    logits = np.log(start / (1 - start))
    best, slope = -1.0, 0.0
    for tried in sorted(np.linspace(-most, most, 2 * steps + 1), key=abs):
        limits = 1 / (1 + np.exp(-(logits + tried * z)))
        found = f1_of(scored >= limits, truth).macro_f1
        if found > best + 1e-12:
            best, slope = found, float(tried)
    return ClipAdjusted(1 / (1 + np.exp(-(logits + slope * z))), slope)


def cross_fitted(
    probs: ArrayLike, targets: ArrayLike,
    fit: Callable[[Array, NDArray[np.int8]], ArrayLike], folds: int = 5, seed: int = 0,
) -> NDArray[np.bool_]:
    """Decisions (N, L), each image's by thresholds that were fitted without it.

    What they score is an honest guess of what the thresholds will score on new images, without a
    split that is kept for nothing else.

    Args:
        probs, targets: (N, L).
        fit: (probs, targets) of the other folds -> thresholds (L,) or one number, such as
            `lambda p, t: per_label_thresholds(p, t).values`.
        folds: K; every image is in one.
        seed: of the folds.

    Raises:
        ValueError: folds below 2 or above N, or whatever `fit` raises.
    """
    scored, truth = check_probs(probs, targets)
    if not 2 <= folds <= len(scored):
        raise ValueError(f"folds is {folds} for {len(scored)} images; give 2 up to as many")
    decided = np.zeros(scored.shape, np.bool_)
    for rows in np.array_split(np.random.default_rng(seed).permutation(len(scored)), folds):
        others = np.ones(len(scored), np.bool_)
        others[rows] = False
        decided[rows] = scored[rows] >= as_array(fit(scored[others], truth[others]))
    return decided


class _Ladder(NamedTuple):
    """Every cut of one column, from "never" down to "always": C of them."""

    cuts: Floats  # (C,) thresholds
    taken: NDArray[np.int64]  # (C,) yes among annotated entries
    hits: NDArray[np.int64]  # (C,) right ones


def _ladders(probs: ArrayLike, targets: ArrayLike) -> list[_Ladder]:
    scored, truth = check_probs(probs, targets)
    return [_ladder(score, found) for score, found in zip(scored.T, truth.T, strict=True)]


def _ladder(scores: Array, truth: NDArray[np.int8]) -> _Ladder:
    seen = truth >= 0
    order = np.argsort(-scores[seen], kind="stable")
    ranked, right = scores[seen][order].astype(np.float64), truth[seen][order] == 1
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(ranked) else (
        np.zeros(0, np.intp))
    below = np.append(ranked[last[1:]], 0.0) if len(last) else np.zeros(0)
    middle = (ranked[last] + below) / 2
    cuts = np.where((middle > below) & (middle <= ranked[last]), middle, ranked[last])
    return _Ladder(
        np.concatenate([[NEVER], cuts]), np.concatenate([[0], last + 1]),
        np.concatenate([[0], np.cumsum(right)[last]]) if len(last) else np.zeros(1, np.int64),
    )


def _rates(ladder: _Ladder) -> tuple[Floats, Floats]:
    """Precision, which is 0 where nothing is taken (trap 1), and recall of every cut."""
    return (ladder.hits / np.maximum(ladder.taken, 1),
            ladder.hits / max(1, int(ladder.hits[-1])))


def _share(name: str, value: float) -> None:
    if not 0 < value <= 1:
        raise ValueError(f"{name} is {value}; expected a share above 0, up to 1")
