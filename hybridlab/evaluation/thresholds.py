"""Decision thresholds that maximise F1, found exactly, and held back where data are few.

The objective is per-label F1 (so macro-F1), and OF1 for the one global threshold; not CF1, which
thresholds can game (trap 19). Fit on a validation split, report on another: a threshold scored
on the data that chose it flatters itself. Rare labels overfit theirs, so each is shrunk towards
the global one by its number of positives (trap 20).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridlab.evaluation.metrics import Array, Floats, check_scores, check_targets


@dataclass(frozen=True, eq=False)
class Thresholds:
    """One threshold for each label; decide with `probs >= thresholds.values`.

    Attributes:
        values: (L,) thresholds in [0, 1].
        fell_back: columns with too few positives, which take `global_value`. Report them.
        global_value: the single threshold with the best OF1.
    """

    values: Floats
    fell_back: tuple[int, ...]
    global_value: float


def best_f1_threshold(scores: ArrayLike, targets: ArrayLike) -> float:
    """The threshold t at which `scores >= t` has the highest F1 over all possible cuts.

    t lies halfway between the lowest score taken and the next below, so that rounding elsewhere
    does not flip a decision. Where everything is taken, the next below is 0 for a positive score,
    and t is the lowest score itself otherwise. Of equally good cuts the highest is chosen.

    Shape:
        scores (N,), targets (N,) in {1, 0, -1 = not annotated}

    Raises:
        ValueError: no positive target, or an input that `average_precision` refuses.
    """
    scored = check_scores(scores, ndim=1)
    truth = check_targets(targets, scored.shape)
    _require_positive(truth)
    return float(_best_cuts(scored[None], truth[None])[0])


def global_threshold(probs: ArrayLike, targets: ArrayLike) -> float:
    """The one threshold for all labels with the highest OF1.

    Shape:
        probs (N, L) in [0, 1], targets (N, L) in {1, 0, -1}

    Raises:
        ValueError: no positive target, a value outside [0, 1], or shapes that differ.
    """
    return _pooled(*check_probs(probs, targets))


def exact_match_threshold(probs: ArrayLike, targets: ArrayLike) -> float:
    """The one threshold for all labels at which the most images are right as a whole.

    An image is right where the threshold lies above all its negatives, and not above any of its
    positives. Of equally good thresholds the highest is chosen; entries that are not annotated have
    no say.

    Shape:
        probs (N, L) in [0, 1], targets (N, L) in {1, 0, -1}

    Raises:
        ValueError: no positive target, a value outside [0, 1], or shapes that differ.
    """
    scored, truth = check_probs(probs, targets)
    above = np.where(truth == 0, scored, -np.inf).max(axis=1)  # (N,): t must be above
    reach = np.where(truth == 1, scored, np.inf).min(axis=1)  # and not above this
    edges = np.unique(np.clip(np.concatenate([above, reach, [0.0, 1.0]]), 0, 1))
    tried = np.concatenate([edges[:1], (edges[1:] + edges[:-1]) / 2, edges[-1:]])
    able = above < reach  # the others are right at no threshold
    right = (np.searchsorted(np.sort(above[able]), tried)
             - np.searchsorted(np.sort(reach[able]), tried))
    return float(tried[len(tried) - 1 - int(np.argmax(right[::-1]))])


def per_label_thresholds(
    probs: ArrayLike, targets: ArrayLike, min_positives: int = 5, shrinkage: float = 5.0,
    beta: float = 1.0,
) -> Thresholds:
    """Best-F1 (or F-beta) thresholds per label, shrunk towards the global threshold.

    A label with n positives takes (n * own + shrinkage * global) / (n + shrinkage). Below
    `min_positives` it takes the global threshold and is listed in `fell_back`.

    Args:
        probs: (N, L) calibrated probabilities of the validation split.
        targets: (N, L) in {1, 0, -1 = not annotated}.
        min_positives: positives below which a label has no threshold of its own; at least 1.
        shrinkage: k, the weight of the global threshold, counted in positives; 0 turns it off. In a
            simulation 5 to 10 served held-out OF1 best, 0 to 2 macro-F1.
        beta: of F-beta, how many times as much recall counts as precision (van Rijsbergen 1979).

    Raises:
        ValueError: no positive target, a value outside [0, 1], shapes that differ, a negative
            `shrinkage`, a `min_positives` below 1, or a `beta` that is not above 0.
    """
    if not (np.isfinite(beta) and beta > 0):
        raise ValueError(f"beta is {beta}; expected a finite number above 0")
    if min_positives < 1:
        raise ValueError(f"min_positives is {min_positives}; expected at least 1")
    if not (np.isfinite(shrinkage) and shrinkage >= 0):
        raise ValueError(f"shrinkage is {shrinkage}; expected a finite number of at least 0")
    scored, truth = check_probs(probs, targets)
    pooled = _pooled(scored, truth, beta)
    own = _best_cuts(np.ascontiguousarray(scored.T), np.ascontiguousarray(truth.T), beta)
    positives = (truth == 1).sum(axis=0)  # (L,)
    few = positives < min_positives
    own[few] = pooled
    # Written as a step from `own`, so that a shrinkage of 0 leaves it exactly as it is.
    weight = shrinkage / np.maximum(positives + shrinkage, 1)
    values = own + weight * (pooled - own)
    return Thresholds(values, tuple(int(i) for i in np.flatnonzero(few)), pooled)


def _pooled(scored: Array, truth: NDArray[np.int8], beta: float = 1.0) -> float:
    # OF1 counts every entry alike, so its best threshold is that of one long column.
    return float(_best_cuts(scored.reshape(1, -1), truth.reshape(1, -1), beta)[0])


def _best_cuts(scores: Array, truth: NDArray[np.int8], beta: float = 1.0) -> Floats:
    """Best-F-beta threshold of every row; rows without a positive get a number without meaning.

    Shape:
        scores (L, N), truth (L, N) -> (L,)
    """
    rows, (_, n) = np.arange(len(scores)), scores.shape
    # Entries not annotated sort behind all others, where they make no cut better.
    keyed = np.where(truth >= 0, scores, -np.inf)
    order = np.argsort(-keyed, axis=1)
    ranked = np.take_along_axis(keyed, order, axis=1)
    hits = np.cumsum(np.take_along_axis(truth, order, axis=1) == 1, axis=1)
    f1 = (1 + beta**2) * hits / (np.arange(1, n + 1) + beta**2 * hits[:, -1:])
    # A cut cannot part equal scores: only the last of each tied group is a cut.
    f1[:, :-1][ranked[:, :-1] == ranked[:, 1:]] = -1.0
    best = np.argmax(f1, axis=1)  # the first of equals, hence the highest threshold
    upper = ranked[rows, best]
    below = ranked[rows, np.minimum(best + 1, n - 1)]
    nothing_below = (best == n - 1) | np.isneginf(below)
    lower = np.where(nothing_below, np.where(upper > 0, 0, upper), below)
    middle = lower / 2 + upper / 2
    # Between neighbouring floats the middle rounds onto one of them; it must not reach the lower.
    return np.where((middle > lower) & (middle <= upper), middle, upper).astype(np.float64)


def check_probs(probs: ArrayLike, targets: ArrayLike) -> tuple[Array, NDArray[np.int8]]:
    """Both as arrays (N, L), or what is wrong with them: see `best_f1_threshold`."""
    scored = check_scores(probs)
    truth = check_targets(targets, scored.shape, of="probs")
    outside = (scored < 0) | (scored > 1)
    if outside.any():
        row, column = (int(i) for i in np.argwhere(outside)[0])
        raise ValueError(
            f"probs is {scored[row, column]} at row {row}, column {column}; expected values in "
            "[0, 1]: apply a sigmoid to logits, calibrate similarities"
        )
    _require_positive(truth)
    return scored, truth


def _require_positive(truth: NDArray[np.int8]) -> None:
    if not (truth == 1).any():
        raise ValueError(
            f"targets of shape {truth.shape} hold no positive, so no threshold has an F1; "
            "fit on a split that has positives, or decide at 0.5"
        )
