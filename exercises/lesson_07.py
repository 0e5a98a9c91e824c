"""Lesson 07, thresholds: six exercises.

N images, L labels, M models, K bins. `hybridlab grade 7` checks them all, `hybridlab grade 7.2` one
of them, `hybridlab grade 7.2 --hint 1` helps; `hybridlab grade 7 --watch` checks again whenever you
save.
"""

import numpy as np


# %% Exercise 7.1: The best threshold
def best_f1_threshold(scores: np.ndarray, targets: np.ndarray) -> float:
    """The threshold t with the highest F1 of `scores >= t`, found among all that there can be.

    F1 = 2 hits / (taken + positives), all three counted over annotated entries only: a target of -1
    is not annotated. Only the annotated scores themselves need to be tried, for between two of them
    nothing changes: t is the lowest score that is taken. Equal scores are taken together. Of
    several thresholds with the highest F1 take the highest, which says yes least often.

    Shape:
        scores (N,) any real numbers, targets (N,) of 1, 0 and -1 -> a number, one of the scores

    Raises:
        ValueError: no positive target: no threshold has an F1.

    Example:
        scores [.9, .8, .6, .4, .2], targets [1, 0, 1, 1, 0]: the F1 of taking 1, 2, ..., 5 is 2/4,
        2/5, 4/6, 6/7, 6/8; the fourth is the highest -> .4
        scores [.9, .5, .5], targets [1, 1, 0]: 2/3 at .9, 4/5 at .5, where both are taken -> .5
    """
    raise NotImplementedError("Exercise 7.1: The best threshold")


# %% Exercise 7.2: Half of the best F1
def expected_f1(probs: np.ndarray, threshold: float) -> float:
    """The F1 that `probs >= threshold` can expect if the probabilities are honest (calibrated).

    No targets are needed: a probability p stands for p positives. So expected are as many hits as
    the probabilities that are taken add up to, and as many positives as all of them add up to:
    F1 = 2 hits / (taken + positives). If nothing is taken and nothing expected, it is 0.

    Shape:
        probs in [0, 1] of any shape: (N,) of one label, (N, L) of all -> a number in [0, 1]

    Example:
        probs [.8, .4, .3, .1], which add up to 1.6
        threshold .5: 2 * .8 / (1 + 1.6) = .6154; .3: 2 * 1.5 / (3 + 1.6) = .6522
    """
    raise NotImplementedError("Exercise 7.2: Half of the best F1")


def best_threshold(probs: np.ndarray) -> float:
    """The best threshold for honest probabilities: half of F*, the highest F1 that can be expected.

    To take one more entry of probability p adds 2 p above the fraction bar and 1 below it, so it
    pays where 2 p / 1 is more than the F1 so far (Lipton et al. 2014, arXiv 1402.1892). F* is the
    highest `expected_f1` of all thresholds; give F* / 2, and not the probability at which it is
    reached.

    Shape:
        probs in [0, 1] of any shape -> a number in [0, .5]

    Example:
        probs [.8, .4, .3, .1]: taking 1, 2, 3, 4 of them is expected to have the F1 .6154, .6667,
        .6522, .5714 -> .6667 / 2 = .3333; indeed .4 is above it and .3 is not
        probs [.1, .1, .1], of a classifier that knows nothing: F* is .1818, and .0909 takes all
    """
    raise NotImplementedError("Exercise 7.2: Half of the best F1")


# %% Exercise 7.3: Shrunk towards the global one
def shrunk_thresholds(
    own: np.ndarray, targets: np.ndarray, overall: float, min_positives: int, shrinkage: float
) -> tuple[np.ndarray, np.ndarray]:
    """Thresholds for each label that trust their own data as far as there are any.

    With n positives (targets of 1; -1 is not annotated) a label gets

        (n * own + shrinkage * overall) / (n + shrinkage)

    and with n below min_positives it falls back: it gets `overall`, the one threshold of all labels
    together. What stands in `own` for such a label means nothing and may be NaN.

    Args:
        own: thresholds that were fitted on each label by itself.
        targets: of the images that they were fitted on.
        min_positives: at least 1.
        shrinkage: how many positives `overall` weighs as much as; 0 or more.

    Shape:
        own (L,), targets (N, L) of 1, 0 and -1 -> thresholds (L,), and (L,) bool: who fell back

    Example:
        own [.2, .7, NaN], overall .4, min_positives 2, shrinkage 1
        targets [[1,  1, 0],    n is [3, 2, 0]
                 [1,  0, 0],    (3 * .2 + 1 * .4) / 4 = .25
                 [1, -1, 0],    (2 * .7 + 1 * .4) / 3 = .6
                 [0,  1, 1]]    1 positive is below 2: .4
        -> [.25, .6, .4], [F, F, T]
    """
    raise NotImplementedError("Exercise 7.3: Shrunk towards the global one")


# %% Exercise 7.4: Decided by the other folds
def fit_thresholds(probs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Given, to be called by `cross_fitted`: for each label, (L,), the lowest probability of an
    image that has it. So the recall is 1 on the images that it was fitted on; on others?
    """
    return np.where(targets == 1, probs, np.inf).min(axis=0)


def cross_fitted(probs: np.ndarray, targets: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Decide each image by thresholds that were fitted without it: `probs >= thresholds`.

    Images with the same number in `folds` are in one fold. Those of a fold are decided by what
    `fit_thresholds` (above) makes of the images of all other folds together. The numbers may be any
    whole numbers, in any order, and a fold may have one image. There are two folds or more.

    Shape:
        probs (N, L), targets (N, L) of 0 and 1, folds (N,) whole numbers -> (N, L) bool

    Example:
        probs [[.9], [.4], [.6], [.2]], targets [[1], [0], [1], [1]], folds [0, 0, 1, 1]
        fold 0 is decided by the last two images: .2 or more is a yes; fold 1 by the first two: .9
        -> [[T], [T], [F], [F]], a recall of 1/3. Fitted on all four, it would seem to be 1.
    """
    raise NotImplementedError("Exercise 7.4: Decided by the other folds")


# %% Exercise 7.5: Calibration error
def calibration_error(probs: np.ndarray, targets: np.ndarray, bins: int) -> float:
    """Expected calibration error: is what is called 70 % true seven times in ten?

    Cut [0, 1] into K bins of equal width. A bin holds its left end and not its right one, but the
    last bin holds 1, too. The gap of a bin is the distance between the mean probability in it and
    the share of positives in it. The error is the mean of the gaps, weighed by the number of
    entries in the bins, so that empty bins count nothing. All annotated entries of all labels go
    into the same bins; a target of -1 is not annotated. If nothing is, the error is NaN.

    Shape:
        probs (N,) or (N, L) in [0, 1], targets of the same shape, of 1, 0 and -1 -> a number in
        [0, 1], or NaN

    Example:
        probs [.1, .3, .3, .5, 1, .9], targets [0, 1, 0, 1, 1, -1], bins 2
        below .5: mean .2333, 1 of 3 are positives, gap .1; from .5 on: mean .75, 2 of 2, gap .25
        -> (3 * .1 + 2 * .25) / 5 = .16
    """
    raise NotImplementedError("Exercise 7.5: Calibration error")


# %% Exercise 7.6: Weights on the simplex
def of1(probs: np.ndarray, targets: np.ndarray) -> float:
    """Given, to be called by `simplex_weights`: the OF1 of `probs >= .5`, (N, L) -> a number."""
    yes = probs >= 0.5
    return float(2 * (yes & (targets == 1)).sum() / (yes.sum() + targets.sum()))


def simplex_weights(probs: np.ndarray, targets: np.ndarray, steps: int) -> np.ndarray:
    """The weights of M models whose weighted average of probabilities has the highest `of1`.

    Weights are multiples of 1 / steps, none is negative, and they add up to 1: all such weights are
    tried, so that a model may get all or nothing. Of several with the highest score the most even
    ones are chosen, those with the smallest sum of squares (of equally even ones any will do).

    Shape:
        probs (M, N, L) in [0, 1], targets (N, L) of 0 and 1, with a positive -> (M,)

    Example:
        two models, two images, one label, steps 4
        probs [[[.75], [.5]], [[.25], [0]]], targets [[1], [0]]
        weights      averages         OF1
        [0, 1]       .25,   0         0
        [.25, .75]   .375,  .125      0
        [.5, .5]     .5,    .25       1, the most even of the two -> [.5, .5]
        [.75, .25]   .625,  .375      1
        [1, 0]       .75,   .5        .6667
    """
    raise NotImplementedError("Exercise 7.6: Weights on the simplex")
