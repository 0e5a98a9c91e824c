"""Several models' probabilities averaged, by weights that validation chooses and test judges.

Weights lie on the simplex: none is negative, and they add up to 1, so the average of probabilities
is one. Fitted on few images they flatter themselves, as thresholds do (trap 19): the gain is
measured on another split, against the single model that *validation* would have chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridlab.evaluation.bootstrap import Interval, Predictions, paired_bootstrap
from hybridlab.evaluation.inputs import Array, Floats, check_scores, check_targets
from hybridlab.evaluation.metrics import mean_ap
from hybridlab.evaluation.thresholds import global_threshold

OBJECTIVES = ("mean_ap", "likelihood")
MOST_POINTS = 20_000  # of a grid: a second or two each hundred at the sizes of the course


@dataclass(frozen=True, eq=False)
class Ensemble:
    """A weighted average of M models.

    Attributes:
        weights: (M,), on the simplex.
        best_single: which model by itself has the best objective on the same data.
        objective: what was maximised.
        value, single_value: of the ensemble and of that model, on the data that chose them.
    """

    weights: Floats
    best_single: int
    objective: str
    value: float
    single_value: float

    def __call__(self, probs: Sequence[ArrayLike]) -> Floats:
        """The average (N, L) of M models' probabilities on any images.

        Raises:
            ValueError: another number of models, shapes that differ, or a value outside [0, 1].
        """
        stacked = _stacked(probs)
        if len(stacked) != len(self.weights):
            raise ValueError(
                f"probs holds {len(stacked)} models, but there are weights for {len(self.weights)}"
            )
        return np.tensordot(self.weights, stacked, axes=1)


def fit_ensemble(
    probs: Sequence[ArrayLike], targets: ArrayLike, objective: str = "mean_ap", steps: int = 10
) -> Ensemble:
    """Weights with the best objective on a validation split.

    Args:
        probs: M models' probabilities, each (N, L) in [0, 1].
        targets: (N, L) in {1, 0, -1 = not annotated}.
        objective: "mean_ap", by trying every point of a grid on the simplex; of equally good ones
            the most even. "likelihood", the mean log-likelihood of the annotated entries, which
            is concave in the weights: SciPy's SLSQP finds its maximum.
        steps: the grid's points are multiples of 1 / steps.

    Raises:
        ValueError: no model, an unknown objective, steps below 1, a grid of too many points, no
            positive target, shapes that differ, or a value outside [0, 1].
    """
    if objective not in OBJECTIVES:
        raise ValueError(f"objective is {objective!r}; choose one of {', '.join(OBJECTIVES)}")
    stacked = _stacked(probs)
    truth = check_targets(targets, stacked.shape[1:], of="probs")
    if not (truth == 1).any():
        raise ValueError(
            f"targets of shape {truth.shape} hold no positive; fit on a split that has some"
        )
    measure = _mean_ap(stacked, truth) if objective == "mean_ap" else _likelihood(stacked, truth)
    singles = [measure(alone) for alone in np.eye(len(stacked))]
    best = int(np.argmax(singles))
    if objective == "mean_ap":
        weights = _best_point(measure, len(stacked), steps)
    else:
        weights = _most_likely(stacked, truth)
    return Ensemble(weights, best, objective, measure(weights), singles[best])


def ensemble_gain(
    ensemble: Ensemble, fitted_on: tuple[Sequence[ArrayLike], ArrayLike],
    probs: Sequence[ArrayLike], targets: ArrayLike, resamples: int = 1000, seed: int = 0,
) -> dict[str, Interval]:
    """What an ensemble gains on new images over the single model that validation chose.

    Both decide by the one threshold with the best OF1 on the split that the weights were fitted on.

    Args:
        fitted_on: probabilities and targets of that split.
        probs, targets: of new images.
        resamples, seed: of the paired bootstrap over images.

    Returns:
        "mean_ap", "cf1" and "of1": difference, and its 95 % interval.

    Raises:
        ValueError: as `fit_ensemble` and `paired_bootstrap`.
    """
    given, truth = fitted_on
    both = []
    for chosen, new in (
        (ensemble(given), ensemble(probs)),
        (np.asarray(given[ensemble.best_single]), np.asarray(probs[ensemble.best_single])),
    ):
        both.append(Predictions(new, new >= global_threshold(chosen, truth)))
    return paired_bootstrap(both[0], both[1], targets, resamples, seed)


def simplex_grid(models: int, steps: int) -> Iterator[NDArray[np.int64]]:
    """All (models,) whole numbers >= 0 that add up to `steps`.

    Raises:
        ValueError: models or steps below 1, or more than `MOST_POINTS` points.
    """
    if models < 1 or steps < 1:
        raise ValueError(f"models is {models} and steps {steps}; expected 1 or more of both")
    points = comb(steps + models - 1, models - 1)
    if points > MOST_POINTS:
        raise ValueError(
            f"a grid of {steps} steps for {models} models has {points} points; give fewer steps, "
            "or objective='likelihood', which needs no grid"
        )
    yield from _points(models, steps)


def _points(models: int, left: int) -> Iterator[NDArray[np.int64]]:
    if models == 1:
        yield np.array([left])
        return
    for first in range(left + 1):
        for rest in _points(models - 1, left - first):
            yield np.concatenate([[first], rest])


def _best_point(measure: Callable[[Floats], float], models: int, steps: int) -> Floats:
    best: tuple[float, float] = (-np.inf, -np.inf)
    weights = np.full(models, 1 / models)
    for point in simplex_grid(models, steps):
        tried = point / steps
        found = (measure(tried), -int((point**2).sum()))  # whole numbers: no rounding decides
        if found > best:
            best, weights = found, tried
    return weights


def _mean_ap(stacked: Array, truth: Array) -> Callable[[Floats], float]:
    return lambda weights: float(mean_ap(np.tensordot(weights, stacked, axes=1), truth).value)


def _likelihood(stacked: Array, truth: Array) -> Callable[[Floats], float]:
    said = _said(stacked, truth)
    return lambda weights: float(np.log(np.maximum(weights @ said, 1e-300)).mean())


def _said(stacked: Array, truth: Array) -> Floats:
    """(M, K): what each model said of what came true, in each of the K annotated entries."""
    seen = truth >= 0
    return np.where(truth[seen] == 1, stacked[:, seen], 1 - stacked[:, seen])


def _most_likely(stacked: Array, truth: Array) -> Floats:
    from scipy.optimize import minimize

    said, count = _said(stacked, truth), len(stacked)

    def loss(weights: Floats) -> tuple[float, Floats]:
        whole = np.maximum(weights @ said, 1e-12)
        return -float(np.log(whole).mean()), -(said / whole).mean(axis=1)

    found = minimize(
        loss, np.full(count, 1 / count), jac=True, method="SLSQP", bounds=[(0, 1)] * count,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1,
                     "jac": lambda weights: np.ones_like(weights)},
        options={"ftol": 1e-12, "maxiter": 500},
    )
    inside = np.clip(found.x, 0, None)
    tried = [inside / inside.sum(), *np.eye(count)]  # a corner, if rounding left it better
    return min(tried, key=lambda weights: loss(weights)[0])


def _stacked(probs: Sequence[ArrayLike]) -> Array:
    if not len(probs):
        raise ValueError("probs holds no model; give one array (N, L) for each")
    each = [check_scores(one).astype(np.float64) for one in probs]
    for number, one in enumerate(each):
        if one.shape != each[0].shape:
            raise ValueError(
                f"model {number} has probabilities of shape {one.shape} and model 0 of "
                f"{each[0].shape}; give those of the same images and labels"
            )
        if ((one < 0) | (one > 1)).any():
            raise ValueError(
                f"model {number} has values outside [0, 1]; apply a sigmoid to logits first"
            )
    return np.stack(each)
