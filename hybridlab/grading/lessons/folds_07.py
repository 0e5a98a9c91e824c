"""Check of lesson 07's cross-fitting (7.4, traps 19 and 20)."""

from __future__ import annotations

from functools import partial

import numpy as np

from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
Drawn = tuple[Array, Array, Array]  # probs, targets, folds

_NAME = "cross_fitted"
_EXAMPLE = (
    np.array([[0.9], [0.4], [0.6], [0.2]]), np.array([[1], [0], [1], [1]]), np.array([0, 0, 1, 1]),
)
_SHAPE = "One decision for each image and label, in the order of the images: (N, L)."
_CRASHES = {
    "NameError": "`fit_thresholds` stands above `cross_fitted` in the stub: leave it there.",
    "ValueError": "If fit_thresholds raises, it was given no image: those of all other folds are "
    "probs[folds != fold]. If shapes differ: its thresholds are (L,), and rows of probs (M, L).",
    "IndexError": "Numbers of folds are no places: ask folds == fold, for fold in "
    "np.unique(folds).",
}
_NUMBERS = "Folds may have any whole numbers: go through np.unique(folds)."


def check_cross_fitted(trial: Trial) -> None:
    """Any folds; folds with odd numbers; folds of one image."""
    with trial.part("the worked example", _CRASHES):
        _judged(trial, _EXAMPLE, "the example", own(_right(*_EXAMPLE), _wrongly(*_EXAMPLE)))
    with trial.part("any folds", _CRASHES):
        rng = trial.rng
        drawn, _, mistakes = telling(
            partial(_drawn, rng, (0, 1, 2)), lambda drawn: (_right(*drawn), _wrongly(*drawn))
        )
        probs, targets, folds = drawn
        _judged(trial, drawn, f"{len(probs)} images in three folds", mistakes)
        order = rng.permutation(len(probs))
        _judged(trial, (probs[order], targets[order], folds[order]), "the same in another order",
                hint="The order of the images must not matter.")
        _judged(trial, (probs, targets, folds // 2), "the same in two folds")
    with trial.part("any numbers", _CRASHES):
        drawn, _, mistakes = telling(
            partial(_drawn, trial.rng, (-3, 2, 40)),
            lambda drawn: (_right(*drawn), _numbers_wrongly(*drawn)),
        )
        _judged(trial, drawn, "folds with the numbers -3, 2 and 40", mistakes, hint=_NUMBERS)
    with trial.part("folds of one image", _CRASHES):
        probs, targets, _ = _drawn(trial.rng, (0, 1, 2))
        drawn = probs, targets, trial.rng.permutation(len(probs))
        _judged(trial, drawn, "folds of one image each",
                hint="Each image is decided by all the others.")
        only = np.zeros_like(targets)
        only[1] = 1
        _judged(trial, (probs, only, drawn[2]), "folds of one image each, labels having one "
                "positive",
                hint="Whose only positive is decided has none left to be fitted on: "
                "fit_thresholds gives inf, and nothing is that high.")


def _judged(
    trial: Trial, drawn: Drawn, what: str, mistakes: list[Mistake] | None = None, hint: str = ""
) -> None:
    trial.equal(trial.call(_NAME, *drawn), _right(*drawn), f"the decisions of {what}",
                mistakes or [], hint=hint, shape_hint=_SHAPE)


def _drawn(rng: np.random.Generator, numbers: tuple[int, ...]) -> Drawn:
    """Probabilities in eighths, so that many equal a threshold; folds of unequal size, mixed."""
    size, labels = int(rng.integers(15, 20)), int(rng.integers(3, 5))
    targets = (rng.random((size, labels)) < 0.3).astype(int)
    targets[:, 0] = rng.permutation(size) == 0  # one positive, so none for the others of its fold
    probs = np.clip(np.round(8 * rng.beta(2, 2 + 2 * (1 - targets))), 0, 8) / 8
    folds = rng.choice(numbers, size, p=np.array([0.5, 0.3, 0.2]))
    folds[: len(numbers)] = numbers
    order = rng.permutation(size)
    return probs[order], targets[order], folds[order]


def _fit(probs: Array, targets: Array) -> Array:
    return np.asarray(np.where(targets == 1, probs, np.inf).min(axis=0, initial=np.inf))


def _right(probs: Array, targets: Array, folds: Array) -> Array:
    return _over(probs, targets, folds, sorted(set(folds.tolist())))


def _over(probs: Array, targets: Array, folds: Array, numbers: list[int]) -> Array:
    """Decisions of these folds; no elsewhere."""
    decided = np.zeros(probs.shape, bool)
    for fold in numbers:
        within = folds == fold
        decided[within] = probs[within] >= _fit(probs[~within], targets[~within])
    return decided


def _numbers_wrongly(probs: Array, targets: Array, folds: Array) -> list[Mistake]:
    return [
        Mistake(f"You went through 0, 1, 2, ..., and some folds were never decided. {_NUMBERS}",
                _over(probs, targets, folds, list(range(int(folds.max()) + 1)))),
        Mistake("Your decisions are all no: no fold with your numbers has images. " + _NUMBERS,
                np.zeros(probs.shape, bool)),
        Mistake("The last fold was never decided: range() ends one before.",
                _over(probs, targets, folds, sorted(set(folds.tolist()))[:-1])),
    ]


def _wrongly(probs: Array, targets: Array, folds: Array) -> list[Mistake]:
    numbers = sorted(set(folds.tolist()))
    fitted = {fold: _fit(probs[folds != fold], targets[folds != fold]) for fold in numbers}
    within = {fold: _fit(probs[folds == fold], targets[folds == fold]) for fold in numbers}
    decided = _right(probs, targets, folds)
    swapped, above, itself, pooled = (np.zeros(probs.shape, bool) for _ in range(4))
    for fold in numbers:
        rows = folds == fold
        swapped[~rows] = probs[~rows] >= within[fold]
        itself[rows] = probs[rows] >= within[fold]
        above[rows] = probs[rows] > fitted[fold]
        pooled[rows] = probs[rows] >= fitted[fold].min()
    blocks = np.zeros(len(probs), int)
    for number, rows in enumerate(np.array_split(np.arange(len(probs)), len(numbers))):
        blocks[rows] = number
    mean = np.mean(list(fitted.values()), axis=0)
    return [
        Mistake("Your thresholds were fitted on all images, those that are decided among them: "
                "nothing is held back.", probs >= _fit(probs, targets)),
        Mistake("Each fold was decided by thresholds that were fitted on itself; fit on all other "
                "folds.", itself),
        Mistake("You fitted on a fold and decided the others; fit on the others and decide the "
                "fold.", swapped),
        Mistake("You decided all images by the mean of the folds' thresholds, to which each image "
                "has contributed.", probs >= mean),
        Mistake("All images were decided by the thresholds of the last fold: the others were "
                "overwritten.", probs >= fitted[numbers[-1]]),
        Mistake("What equals the threshold is a yes, too: >=.", above),
        Mistake("You used one threshold for all labels; each has its own.", pooled),
        Mistake("You cut the images into folds in the order in which they are given; which fold "
                "each is in stands in `folds`.", _right(probs, targets, blocks)),
        Mistake("You have yes and no the other way round.", ~decided),
    ]
