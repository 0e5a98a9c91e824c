"""Check of lesson 06's curriculum (6.4, seed 001, trap 17)."""

from __future__ import annotations

from functools import partial

import numpy as np

from hybridlab.grading.lessons.losses_01 import tensor
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
Drawn = tuple[Array, float, float, float]  # difficulty, progress, begin, full

_NAME = "easiest"
_DIFFICULTY = np.array([3.0, 1.0, 2.0, 1.0])
_SHAPE = "One True or False for each row: (N,)."
_CRASHES = {
    "ZeroDivisionError": "With full = 0 all rows are admitted from the start: ask `progress >= "
    "full` before you divide.",
    "IndexError": "admitted[order[:count]] = True: order has N places.",
}


def check_easiest(trial: Trial) -> None:
    """Shares on the way, rows that are equally hard, and the ends of the dial."""
    with trial.part("the worked example", _CRASHES):
        for progress in (0.0, 0.25):
            drawn = _DIFFICULTY, progress, 0.25, 0.5
            _judged(trial, drawn, f"the rows of the example at progress {progress:g}",
                    own(_right(*drawn), _wrongly(*drawn)))
    with trial.part("any difficulties", _CRASHES):
        for _ in range(2):
            drawn, _, mistakes = telling(
                partial(_drawn, trial.rng), lambda drawn: (_right(*drawn), _wrongly(*drawn))
            )
            _judged(trial, drawn, f"the rows of {len(drawn[0])} at progress {drawn[1]:g}", mistakes)
    with trial.part("equally hard rows", _CRASHES):
        rng = trial.rng
        counts = rng.integers(1, 4, 12).astype(float)
        drawn = counts, 0.0, 0.4, 0.5
        right = _right(*drawn)
        last = np.zeros(12, bool)
        order = np.lexsort((-np.arange(12), counts))
        last[order[: int(right.sum())]] = True
        limit = np.sort(counts)[int(right.sum()) - 1]
        _judged(trial, drawn, "the rows where many are equally hard", own(right, [
            Mistake("Of rows that are equally hard you admit those that stand last; admit the "
                    "first: argsort(stable=True) keeps their order.", last),
            Mistake("You admit all rows up to a difficulty, and so too many where several are "
                    "equally hard: count rows.", counts <= limit),
            Mistake("You admit the rows below a difficulty, and so too few where several are "
                    "equally hard: count rows.", counts < limit),
        ]), hint="argsort(stable=True) keeps rows that are equally hard in their order.")
    with trial.part("the ends", _CRASHES):
        hard = _distinct(trial.rng, 7)
        for progress, begin, full, what in (
            (0.5, 0.3, 0.5, "at progress full"), (1.0, 0.3, 0.5, "at the end"),
            (0.0, 0.3, 0.0, "with full = 0, at the start"), (0.0, 1.0, 0.5, "with begin = 1"),
        ):
            _judged(trial, (hard, progress, begin, full), f"the rows {what}",
                    hint="From progress `full` on all rows are admitted.")
        _judged(trial, (hard, 0.0, 0.01, 0.5), "the rows with a share of a hundredth",
                hint="A share of N is rounded up: one row at least.")
        _judged(trial, (_distinct(trial.rng, 25), 0.0, 0.28, 0.5), "the rows with 0.28 of 25",
                hint="0.28 * 25 is 7, whatever the last bit of the product says: take 1e-9 off "
                "before you round up.")


def _judged(
    trial: Trial, drawn: Drawn, what: str, mistakes: list[Mistake] | None = None, hint: str = ""
) -> None:
    difficulty, *numbers = drawn
    trial.equal(trial.call(_NAME, tensor(difficulty, double=True), *numbers), _right(*drawn), what,
                mistakes or [], hint=hint, shape_hint=_SHAPE)


def _distinct(rng: np.random.Generator, count: int) -> Array:
    return np.asarray(rng.permutation(count) + 1.0)


def _drawn(rng: np.random.Generator) -> Drawn:
    count = int(rng.integers(17, 24))
    progress, begin = float(rng.choice([0.2, 0.3])), float(rng.choice([0.2, 0.3]))
    return _distinct(rng, count), progress, begin, float(rng.choice([0.6, 0.8]))


def _share(progress: float, begin: float, full: float) -> float:
    return 1.0 if progress >= full else begin + (1 - begin) * progress / full


def _rows(difficulty: Array, count: int, hardest: bool = False) -> Array:
    found = np.zeros(len(difficulty), bool)
    order = np.argsort(-difficulty if hardest else difficulty, kind="stable")
    found[order[: max(0, min(count, len(difficulty)))]] = True
    return found


def _right(difficulty: Array, progress: float, begin: float, full: float) -> Array:
    count = np.ceil(_share(progress, begin, full) * len(difficulty) - 1e-9)
    return _rows(difficulty, int(count))


def _wrongly(difficulty: Array, progress: float, begin: float, full: float) -> list[Mistake]:
    n_samples = len(difficulty)
    share = _share(progress, begin, full)
    count = int(np.ceil(share * n_samples - 1e-9))

    def at(value: float) -> Array:
        return _rows(difficulty, int(np.ceil(value * n_samples - 1e-9)))

    return [
        Mistake("You admit the hardest rows; the easy ones come first.",
                _rows(difficulty, count, hardest=True)),
        Mistake("You rounded down (or cut with int()); the share of N is rounded up.",
                _rows(difficulty, int(share * n_samples))),
        Mistake("Your share grows to 1 at the end of the training. It is 1 at progress `full`: "
                "divide progress by full.", at(begin + (1 - begin) * progress)),
        Mistake("Your share stays at begin; it grows to 1 at progress `full`.", at(begin)),
        Mistake("Your share grows from 0, not from begin: begin + (1 - begin) * progress / full.",
                at(progress / full)),
        Mistake("Your share passes 1 before `full`: what is added to begin grows to 1 - begin, not "
                "to 1.", at(min(1.0, begin + progress / full))),
        Mistake("You admit the rows that stand first, whatever their difficulty.",
                np.arange(n_samples) < count),
        Mistake("The True ones mark places in the sorted order, not rows: set "
                "admitted[order[:count]].", _ranks_mixed_up(difficulty, count)),
    ]


def _ranks_mixed_up(difficulty: Array, count: int) -> Array:
    """As if the order were taken for ranks: row i is admitted where order[i] < count."""
    return np.asarray(np.argsort(difficulty, kind="stable") < count)
