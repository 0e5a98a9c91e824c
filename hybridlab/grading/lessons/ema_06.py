"""Check of lesson 06's average of the weights (6.5)."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from hybridlab.grading import verdict as kinds
from hybridlab.grading.comparing import Wrong
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
Drawn = tuple[Array, Array, float, int]  # average, weights, decay, step

_NAME = "ema_update"
_EXAMPLE = (np.array(1.0), np.array(2.0), 0.99, 0)
_SHAPE = "The average has the shape of the weights."
_CRASHES = {
    "RuntimeError": "Whole numbers cannot be averaged in place; they are copied: ask "
    "value.is_floating_point().",
    "KeyError": "The result has the names of `weights`.",
}


def check_ema_update(trial: Trial) -> None:
    """One weight at early and late steps; several names; whole numbers; dtypes."""
    with trial.part("the worked example", _CRASHES):
        _judged(trial, _EXAMPLE, "the example", own(_right(*_EXAMPLE), _wrongly(*_EXAMPLE)))
    with trial.part("any step", _CRASHES):
        rng = trial.rng
        for late in (False, True):
            drawn, _, mistakes = telling(
                partial(_drawn, rng, late), lambda drawn: (_right(*drawn), _wrongly(*drawn))
            )
            _judged(trial, drawn, f"step {drawn[3]} with a decay of {drawn[2]:g}", mistakes)
        average, weights, _, _ = drawn
        _judged(trial, (average, weights, 0.0, 500), "any step with a decay of 0",
                hint="A decay of 0 keeps nothing of what was.")
    with trial.part("several names, whole numbers", _CRASHES):
        rng = trial.rng
        before = {"body.weight": rng.normal(size=(2, 3)), "head.bias": rng.normal(size=4)}
        now = {name: value + 1 for name, value in before.items()}
        one, two = (_tensors(each) | {"norm.batches": _whole(count)}
                    for each, count in ((before, 3), (now, 47)))
        got = _called(trial, one, two, 0.9, 400)
        for name, value in now.items():
            trial.equal(got[name], 0.9 * before[name] + 0.1 * value, f"the average of {name}",
                        shape_hint=_SHAPE)
        trial.equal(
            got["norm.batches"], 47, "the count of batches, a whole number",
            [Mistake("Whole numbers were averaged; copy them from `weights`.", 0.9 * 3 + 4.7),
             Mistake("Whole numbers were averaged, and cut off; copy them from `weights`.", 7),
             Mistake("You kept the old count; copy it from `weights`.", 3)],
        )
        trial.tensor(got["norm.batches"], _whole(0), "the count of batches")
    with trial.part("dtype", _CRASHES):
        import torch

        for dtype in (torch.float64, torch.float16):
            values = torch.ones(3, dtype=dtype)
            got = _called(trial, {"w": values}, {"w": 2 * values}, 0.5, 100)
            trial.tensor(got["w"], values, f"the average of weights in {dtype}")


def _called(trial: Trial, average: Any, weights: Any, decay: float, step: int) -> dict[str, Any]:
    got = trial.call(_NAME, average, weights, decay, step)
    if not isinstance(got, dict) or set(got) != set(weights):
        has = f"a dictionary with {sorted(map(str, got))}" if isinstance(got, dict) else repr(got)
        raise Wrong(kinds.WRONG_FORM, f"got {has:.200}, expected a dictionary with the names "
                    f"{', '.join(sorted(weights))}",
                    "Return a new dictionary: {name: ... for name, value in weights.items()}.")
    return got


def _judged(
    trial: Trial, drawn: Drawn, what: str, mistakes: list[Mistake] | None = None, hint: str = ""
) -> None:
    average, weights, decay, step = drawn
    got = _called(trial, _tensors({"w": average}), _tensors({"w": weights}), decay, step)
    trial.equal(got["w"], _right(*drawn), f"the average of {what}", mistakes or [], hint=hint,
                shape_hint=_SHAPE)


def _tensors(values: dict[str, Array]) -> dict[str, Any]:
    import torch

    return {name: torch.tensor(value, dtype=torch.float64) for name, value in values.items()}


def _whole(count: int) -> Any:
    import torch

    return torch.tensor(count)


def _drawn(rng: np.random.Generator, late: bool) -> Drawn:
    """Late enough that the decay itself holds, or so early that the step does."""
    step = int(rng.integers(150, 400)) if late else int(rng.integers(3, 30))
    decay = float(rng.choice([0.8, 0.9] if late else [0.98, 0.99]))
    average = rng.normal(size=(2, 3))
    return average, average + rng.uniform(1, 2, (2, 3)), decay, step


def _mixed(average: Array, weights: Array, keep: float) -> Array:
    return np.asarray(keep * average + (1 - keep) * weights)


def _right(average: Array, weights: Array, decay: float, step: int) -> Array:
    return _mixed(average, weights, min(decay, (1 + step) / (10 + step)))


def _wrongly(average: Array, weights: Array, decay: float, step: int) -> list[Mistake]:
    warm = (1 + step) / (10 + step)
    keep = min(decay, warm)
    found = [
        Mistake("You have the shares the other way round: d belongs to the average, 1 - d to the "
                "new weights.", _mixed(weights, average, keep)),
        Mistake("The shares add up to more than 1: the average is multiplied by d.",
                average + (1 - keep) * weights),
        Mistake("That is the average as it was.", average),
        Mistake("Those are the new weights.", weights),
        Mistake("d is the larger of the two in your result; take the smaller.",
                _mixed(average, weights, max(decay, warm))),
    ]
    if warm < decay:
        found.append(Mistake("d is 1 / (10 + step) in your result; it is (1 + step) / (10 + step).",
                             _mixed(average, weights, 1 / (10 + step))))
    return found
