"""Check of lesson 07's weights on the simplex (7.6, trap 19)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache, partial
from itertools import product

import numpy as np

from hybridlab.evaluation.ensembles import simplex_grid
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
Drawn = tuple[Array, Array, int]  # probs, targets, steps

_NAME = "simplex_weights"
_EXAMPLE = np.array([[[0.75], [0.5]], [[0.25], [0.0]]]), np.array([[1], [0]]), 4
_SHAPE = "One weight for each model: (M,)."
_CRASHES = {
    "NameError": "`of1` stands above `simplex_weights` in the stub: leave it there.",
    "ValueError": "The average is the sum over models of weight * probs[model]: "
    "np.tensordot(weights, probs, axes=1) is (N, L).",
    "TypeError": "Weights come as tuples from itertools: np.array(point) / steps divides them all.",
    "ZeroDivisionError": "A sum of weights may be 0 before they are brought to 1: only points that "
    "add up to `steps` are asked for.",
}
_EVEN = (
    "Of equally good weights the most even ones are chosen: the smallest sum of squares."
)
_ALL = "A model may have all the weight, and others none: multiples go from 0 up to 1."


def check_simplex_weights(trial: Trial) -> None:
    """The best weights; the most even of equally good ones; corners; one model."""
    with trial.part("the worked example", _CRASHES):
        right = _best(*_EXAMPLE)[0]
        every = [*_wrongly(*_EXAMPLE), *_uneven(*_EXAMPLE)]
        _judged(trial, _EXAMPLE, "the example", own(right, every))
    with trial.part("any models", _CRASHES):
        rng = trial.rng
        for steps, shown in ((4, _no_search), (8, _other_score)):
            drawn, right, _ = telling(
                partial(_drawn, rng, 3, steps, _clear), partial(_answered, shown)
            )
            _judged(trial, drawn, f"three models in {steps} steps", own(right, _wrongly(*drawn)))
        drawn = _drawn(rng, 2, 10, _clear)
        _judged(trial, drawn, "two models in 10 steps", own(_best(*drawn)[0], _wrongly(*drawn)))
        _judged(trial, _drawn(rng, 4, 2, _single), "four models in 2 steps",
                hint="There may be any number of models: np.ndindex and itertools.product make "
                "points of any length.")
    with trial.part("the most even of equals", _CRASHES):
        rng = trial.rng
        drawn, right, mistakes = telling(
            partial(_drawn, rng, 3, 8, _level), partial(_answered, _uneven)
        )
        _judged(trial, drawn, "three models in 8 steps",
                own(right, [*mistakes, _by_largest(*drawn)]), hint=_EVEN)
        probs, targets, _ = drawn = _drawn(rng, 3, 8, _by_squares)
        _judged(trial, drawn, "three other models in 8 steps",
                own(_best(*drawn)[0], [_by_largest(*drawn), *_uneven(*drawn)]), hint=_EVEN)
        one = 0.9 * probs[0]  # no longer .5 anywhere, which rounding could miss
        _judged(trial, (np.stack([one] * 3), targets, 3), "three models that are one", hint=_EVEN)
        _judged(trial, (np.stack([one] * 2), targets, 3), "two models that are one, in 3 steps",
                hint="Here [1/3, 2/3] and [2/3, 1/3] are equally even: either will do.")
    with trial.part("all or nothing", _CRASHES):
        for model in trial.rng.permutation(3)[:2]:
            drawn, _, mistakes = telling(
                partial(_drawn, trial.rng, 3, 4, partial(_corner, int(model))),
                partial(_answered, _corners_wrongly),
            )
            _judged(trial, drawn, "three models of which one is better alone", mistakes, hint=_ALL)
        probs, targets, _ = drawn
        _judged(trial, (probs[:1], targets, 4), "one model", hint="It has the weight 1.")
        _judged(trial, (probs, targets, 1), "three models in one step", hint=_ALL)
        never = np.zeros_like(probs)
        _judged(trial, (never[:2], targets, 2), "two models that never say yes",
                hint="A score of 0 may be the highest; the most even weights are chosen then, too.")


def _judged(
    trial: Trial, drawn: Drawn, what: str, mistakes: list[Mistake] | None = None, hint: str = ""
) -> None:
    """Any of equally good and equally even weights will do."""
    got, right = trial.call(_NAME, *drawn), _best(*drawn)
    given = trial.form(got, right[0], f"the weights of {what}", _SHAPE)
    known = next((each for each in right if np.allclose(given, each, atol=1e-6)), right[0])
    trial.equal(got, known, f"the weights of {what}", mistakes or [], hint=hint, shape_hint=_SHAPE)


# --- draws ----------------------------------------------------------------------------------------
# Where 1 / steps is a power of two, probabilities are sixteenths: every average is exact, also one
# of .5. With other steps none may be near it.


def _drawn(
    rng: np.random.Generator, models: int, steps: int, wanted: Callable[[Array, Drawn], bool]
) -> Drawn:
    """Models that err in different places.

    Args:
        wanted: whether the weights with the highest score, (A, M), and what gave them are fit for a
            question.
    """
    images, labels = int(rng.integers(6, 9)), 4
    exact, grid = steps & (steps - 1) == 0, _grid(models, steps)
    while True:
        targets = (rng.random((images, labels)) < 0.4).astype(int)
        skill = rng.uniform(1, 3, (models, 1, 1))
        seen = skill * (targets - 0.5) + rng.normal(0, 1.5, (models, images, labels))
        fine = 1 / (1 + np.exp(-seen))
        probs = np.round(16 * fine) / 16 if exact else np.round(fine, 4)
        near = np.abs(np.tensordot(grid, probs, axes=1) - 0.5).min()
        if targets.any() and (exact or near > 1e-4):
            drawn = probs, targets, steps
            if wanted(_tops(grid, probs, targets), drawn):
                return drawn


def _single(best: Array, _: Drawn) -> bool:
    return len(best) == 1


def _inside(best: Array, drawn: Drawn) -> bool:
    """One point has the highest score, and each model an own part in it; without the simplex
    another point would be chosen."""
    if len(best) != 1 or best.min() == 0 or len(np.unique(best)) == 1:
        return False
    probs, targets, steps = drawn
    free = _free(len(probs), steps)
    unbound = _even(free, _scores(free, probs, targets))
    return not np.allclose(unbound / unbound.sum(), best[0])


def _clear(best: Array, drawn: Drawn) -> bool:
    """The same, and not so many mistakes are alike that a message could not name them."""
    if not _inside(best, drawn):
        return False
    values = Counter(tuple(np.round(each.value, 3)) for each in _wrongly(*drawn))
    return all(count <= 3 for value, count in values.items() if not np.allclose(value, best[0]))


def _level(best: Array, _: Drawn) -> bool:
    """Several points, one of which is the most even."""
    squares = (best**2).sum(axis=1)
    return len(best) >= 4 and int((squares < squares.min() + 1e-9).sum()) == 1


def _by_squares(best: Array, drawn: Drawn) -> bool:
    """The same, and other measures of evenness choose another point."""
    if not _level(best, drawn):
        return False
    at, cubes, most = np.argmin((best**2).sum(axis=1)), (best**3).sum(axis=1), best.max(axis=1)
    return bool(cubes[at] > cubes.min() + 1e-9 and most[at] > most.min() + 1e-9)


def _corner(model: int, best: Array, _: Drawn) -> bool:
    return len(best) == 1 and bool(best[0, model] == 1)


# --- right and wrong ------------------------------------------------------------------------------


@cache
def _grid(models: int, steps: int) -> Array:
    """(G, M): all weights, in ascending order."""
    return np.array(list(simplex_grid(models, steps))) / steps


@cache
def _free(models: int, steps: int) -> Array:
    """(G, M): all multiples, whatever they add up to."""
    every = product(range(steps + 1), repeat=models)
    return np.array([each for each in every if any(each)]) / steps


def _scores(grid: Array, probs: Array, targets: Array) -> Array:
    """(G,): OF1 of each average."""
    return _of1(np.tensordot(grid, probs, axes=1) >= 0.5, targets)


def _of1(yes: Array, targets: Array) -> Array:
    """Of decisions (..., N, L)."""
    hits = (yes & (targets == 1)).sum(axis=(-2, -1))
    return np.asarray(2 * hits / (yes.sum(axis=(-2, -1)) + targets.sum()))


def _tops(grid: Array, probs: Array, targets: Array) -> Array:
    """(A, M): all of a grid's points with the highest score, in its order."""
    scores = _scores(grid, probs, targets)
    return np.asarray(grid[scores == scores.max()])


def _even(grid: Array, scores: Array) -> Array:
    """The most even of the points with the highest score."""
    tops = grid[scores == scores.max()]
    return np.asarray(tops[np.argmin(np.round((tops**2).sum(axis=1), 9))])


def _best(probs: Array, targets: Array, steps: int) -> Array:
    """(A, M): all right answers."""
    tops = _tops(_grid(len(probs), steps), probs, targets)
    squares = (tops**2).sum(axis=1)
    return np.asarray(tops[squares < squares.min() + 1e-9])


def _answered(
    wrongly: Callable[..., list[Mistake]], drawn: Drawn
) -> tuple[Array, list[Mistake]]:
    return _best(*drawn)[0], wrongly(*drawn)


def _wrongly(probs: Array, targets: Array, steps: int) -> list[Mistake]:
    return [*_no_search(probs, targets, steps), *_other_score(probs, targets, steps)]


def _no_search(probs: Array, targets: Array, steps: int) -> list[Mistake]:
    """Without the grid, or with another one."""
    models = len(probs)
    grid, free = _grid(models, steps), _free(models, steps)
    right = _best(probs, targets, steps)[0]
    singles = _of1(probs >= 0.5, targets)
    unbound = _even(free, _scores(free, probs, targets))
    return [
        Mistake("You chose the best model alone; averages of several are tried, too.",
                np.eye(models)[np.argmax(singles)]),
        Mistake("That is the plain mean of the models, whatever their scores.",
                np.full(models, 1 / models)),
        Mistake("You weighed the models by their own scores; try all weights, and score the "
                "average.", singles / max(singles.sum(), 1e-12)),
        Mistake("Those are multiples, not yet divided by steps: weights add up to 1.",
                right * steps),
        Mistake("Your weights need not add up to 1: try only those that do.", unbound),
        Mistake("You brought the best of all multiples to a sum of 1 at the end. That changes the "
                "average that was scored: try only weights that add up to 1.",
                unbound / unbound.sum()),
        Mistake("That is where the score is lowest.", _even(grid, -_scores(grid, probs, targets))),
        Mistake("Your weights belong to the models in the reverse order.", right[::-1]),
    ]


def _other_score(probs: Array, targets: Array, steps: int) -> list[Mistake]:
    """What is scored, or how, is something else."""
    grid, true = _grid(len(probs), steps), targets == 1
    votes = _scores(grid, (probs >= 0.5).astype(float), targets)
    logs = np.tensordot(grid, np.log(np.maximum(probs, 1e-12)), axes=1)
    yes = np.tensordot(grid, probs, axes=1) >= 0.5
    return [
        Mistake("The models voted in your result: you averaged yes and no. Average the "
                "probabilities, and decide then.", _even(grid, votes)),
        Mistake("You averaged logarithms (a geometric mean); average the probabilities.",
                _even(grid, _of1(np.exp(logs) >= 0.5, targets))),
        Mistake("You counted hits alone (recall); `of1` counts what is wrongly given, too.",
                _even(grid, (yes & true).sum(axis=(1, 2)))),
        Mistake("You counted right answers, no's among them; take `of1`.",
                _even(grid, (yes == true).sum(axis=(1, 2)))),
    ]


def _uneven(probs: Array, targets: Array, steps: int) -> list[Mistake]:
    tops = _tops(_grid(len(probs), steps), probs, targets)
    return [
        Mistake(f"You took the first of equally good weights. {_EVEN}", tops[0]),
        Mistake(f"You took the last of equally good weights. {_EVEN}", tops[-1]),
        Mistake("You took the least even of equally good weights; take the smallest sum of "
                "squares.", tops[np.argmax((tops**2).sum(axis=1))]),
        Mistake(f"You took the mean of equally good weights. {_EVEN}", tops.mean(axis=0)),
    ]


def _by_largest(probs: Array, targets: Array, steps: int) -> Mistake:
    tops = _tops(_grid(len(probs), steps), probs, targets)
    return Mistake(f"You took those whose largest weight is smallest. {_EVEN}",
                   tops[np.argmin(tops.max(axis=1))])


def _corners_wrongly(probs: Array, targets: Array, steps: int) -> list[Mistake]:
    grid = _grid(len(probs), steps)

    def among(some: Array) -> Array:
        return _even(some, _scores(some, probs, targets))

    return [
        Mistake(f"Every model has a part in your result. {_ALL}",
                among(grid[(grid > 0).all(axis=1)])),
        Mistake(f"No model has all the weight in your result: range() ends one before. {_ALL}",
                among(grid[grid.max(axis=1) < 1])),
        Mistake("That is the plain mean of the models, whatever their scores.",
                np.full(len(probs), 1 / len(probs))),
    ]
