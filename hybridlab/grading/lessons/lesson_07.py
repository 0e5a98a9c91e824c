"""Lesson 07, thresholds: its six exercises (traps 19 and 20, seed 000)."""

from hybridlab.grading.lessons.calibration_07 import check_calibration_error
from hybridlab.grading.lessons.folds_07 import check_cross_fitted
from hybridlab.grading.lessons.half_07 import check_half_of_best
from hybridlab.grading.lessons.shrinkage_07 import check_shrunk_thresholds
from hybridlab.grading.lessons.simplex_07 import check_simplex_weights
from hybridlab.grading.lessons.threshold_07 import check_best_f1_threshold
from hybridlab.grading.manifest import Exercise

EXERCISES = (
    Exercise(
        id="7.1",
        title="The best threshold",
        functions=("best_f1_threshold",),
        difficulty=2,
        minutes=20,
        hints=(
            "Begin simply: for one score as the threshold, count hits, taken and positives. Then "
            "for all of them, the highest first. Which entries must be gone before you count?",
            "Sorted from the highest score down, hits are np.cumsum(positive) and taken are 1, 2, "
            "3, ...: all F1s from one sort. Of equal scores only the last counts.",
            "f1 = 2 * hits / (taken + hits[-1]); f1[:-1][ranked[:-1] == ranked[1:]] = 0; "
            "ranked[np.argmax(f1)], for argmax gives the first of equals. Before that: if not "
            "positive.any(): raise ValueError(...).",
        ),
        points={
            "the worked example": 1, "any scores": 2, "equal scores": 1,
            "equally good thresholds": 1, "not annotated": 1, "no positive": 1,
        },
        check=check_best_f1_threshold,
    ),
    Exercise(
        id="7.2",
        title="Half of the best F1",
        functions=("expected_f1", "best_threshold"),
        difficulty=2,
        minutes=20,
        hints=(
            "Write down three sums for a threshold: how many are taken, how many hits are expected "
            "among them, how many positives are expected in all.",
            "taken = probs >= threshold; expected hits are probs[taken].sum(), expected positives "
            "probs.sum(). For the second function: between two probabilities nothing changes, so "
            "which thresholds need to be tried?",
            "2 * probs[taken].sum() / (taken.sum() + probs.sum()), or 0 where the lower sum is 0; "
            "then max(expected_f1(probs, t) for t in np.unique(probs)) / 2.",
        ),
        points={
            "the worked example": 1, "the expected F1": 2, "nothing taken, nothing expected": 1,
            "half of the best": 2, "a classifier that knows nothing": 1,
        },
        check=check_half_of_best,
    ),
    Exercise(
        id="7.3",
        title="Shrunk towards the global one",
        functions=("shrunk_thresholds",),
        difficulty=1,
        minutes=15,
        hints=(
            "Count the positives of each label first: one number for each column. Who has too few?",
            "count = (targets == 1).sum(axis=0), where targets.sum(axis=0) would let each -1 take "
            "one away. np.where(few, overall, mixed) leaves a NaN of those who fall back behind.",
            "few = count < min_positives; mixed = (count * own + shrinkage * overall) / (count + "
            "shrinkage); return np.where(few, overall, mixed), few. A 0 / 0 in mixed warns and is "
            "not chosen.",
        ),
        points={
            "the worked example": 1, "any labels": 2, "not annotated": 1, "who falls back": 2,
            "a shrinkage of 0": 1,
        },
        check=check_shrunk_thresholds,
    ),
    Exercise(
        id="7.4",
        title="Decided by the other folds",
        functions=("cross_fitted",),
        difficulty=1,
        minutes=15,
        hints=(
            "For one fold: which images is it fitted on, and which ones does it decide?",
            "within = folds == fold marks its images, ~within all others; np.unique(folds) has "
            "each number once.",
            "for fold in np.unique(folds): decided[within] = probs[within] >= "
            "fit_thresholds(probs[~within], targets[~within]).",
        ),
        points={
            "the worked example": 1, "any folds": 3, "any numbers": 1, "folds of one image": 1,
        },
        check=check_cross_fitted,
    ),
    Exercise(
        id="7.5",
        title="Calibration error",
        functions=("calibration_error",),
        difficulty=2,
        minutes=20,
        hints=(
            "First choose what is annotated, then find the bin of each entry, then go through the "
            "bins. Which bin would a probability of 1 get?",
            "place = np.minimum((probs * bins).astype(int), bins - 1). For each bin with entries: "
            "abs(mean probability - share of positives), times its share of all entries.",
            "A bin's count * (mean - share) is the sum of (probs - targets) in it: "
            "np.abs(np.bincount(place, weights=probs - targets)).sum() / len(probs); NaN if there "
            "is nothing.",
        ),
        points={
            "the worked example": 1, "any probabilities": 2, "at the edges": 1, "not annotated": 1,
            "empty bins, nothing annotated": 1,
        },
        check=check_calibration_error,
    ),
    Exercise(
        id="7.6",
        title="Weights on the simplex",
        functions=("simplex_weights",),
        difficulty=2,
        minutes=20,
        hints=(
            "Try it with two models first: i / steps for one, the rest for the other. For M models "
            "you need all points of M whole numbers that add up to steps.",
            "np.ndindex(*[steps + 1] * M) goes through all points of M numbers from 0 to steps; "
            "keep those whose sum is steps. np.tensordot(weights, probs, axes=1) averages.",
            "max(points, key=...) with the pair (of1(average, targets), -sum of squares) as the "
            "key: Python compares pairs by their first part, and by the second where those are "
            "equal.",
        ),
        points={
            "the worked example": 1, "any models": 2, "the most even of equals": 2,
            "all or nothing": 1,
        },
        check=check_simplex_weights,
    ),
)
