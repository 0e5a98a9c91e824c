"""Check of lesson 06's warm-up and cosine (6.2, seed 001)."""

from __future__ import annotations

from functools import partial

import numpy as np

from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial
from hybridlab.training.schedules import warmup_cosine

Array = np.ndarray
Drawn = tuple[int, int]  # steps, warmup

_NAME = "rate_share"
_ONE = "One number for each step, from 0 to 1."
_CRASHES = {
    "ZeroDivisionError": "Without warm-up there is nothing to divide by: ask `step < warmup` "
    "first. And where the warm-up takes all steps, nothing is left for the cosine.",
}


def check_rate_share(trial: Trial) -> None:
    """Whole curves against the package's; no warm-up; nothing but warm-up."""
    with trial.part("the worked example", _CRASHES):
        trial.equal(_curve(trial, 6, 2), _right(6, 2), "the shares of the example",
                    own(_right(6, 2), _wrongly(6, 2)), shape_hint=_ONE)
    with trial.part("any length", _CRASHES):
        for _ in range(2):
            (steps, warmup), right, mistakes = telling(
                partial(_lengths, trial.rng), lambda drawn: (_right(*drawn), _wrongly(*drawn))
            )
            trial.equal(_curve(trial, steps, warmup), right,
                        f"the shares of {steps} steps with a warm-up of {warmup}", mistakes,
                        shape_hint=_ONE)
    with trial.part("no warm-up, nothing but warm-up", _CRASHES):
        steps = int(trial.rng.integers(5, 9))
        trial.equal(_curve(trial, steps, 0), _right(steps, 0),
                    f"the shares of {steps} steps without warm-up",
                    hint="Without warm-up the first step has the whole rate: t is 0 at step 0.")
        trial.equal(_curve(trial, steps, steps), _right(steps, steps),
                    f"the shares of {steps} steps that are all warm-up",
                    hint="The cosine is not reached.")
        trial.equal(_curve(trial, 1, 0), np.ones(1), "the share of a single step")


def _curve(trial: Trial, steps: int, warmup: int) -> Array:
    found = [trial.call(_NAME, step, steps, warmup) for step in range(steps)]
    for value in found:
        trial.form(value, np.zeros(()))
    return np.array([float(value) for value in found])


def _lengths(rng: np.random.Generator) -> Drawn:
    steps = int(rng.integers(9, 14))
    return steps, int(rng.integers(2, 5))


def _right(steps: int, warmup: int) -> Array:
    if 0 < warmup < steps:
        return np.array([warmup_cosine(step, steps, warmup / steps) for step in range(steps)])
    return _of(steps, warmup, lambda step: (step + 1) / warmup,
               lambda step: _fall((step - warmup) / max(1, steps - warmup)))


def _fall(t: float) -> float:
    return float(0.5 * (1 + np.cos(np.pi * t)))


def _of(steps: int, warmup: int, grow, fall) -> Array:  # type: ignore[no-untyped-def]
    return np.array([grow(step) if step < warmup else fall(step) for step in range(steps)])


def _wrongly(steps: int, warmup: int) -> list[Mistake]:
    left = steps - warmup

    def grow(step: int) -> float:
        return (step + 1) / warmup

    def fall(step: int) -> float:
        return _fall((step - warmup) / left)

    return [
        Mistake("Your warm-up begins at 0, and the first step learns nothing: the share at step s "
                "is (s + 1) / warmup.", _of(steps, warmup, lambda step: step / warmup, fall)),
        Mistake("Your warm-up ends one step late: at step warmup - 1 the share is 1 already.",
                _of(steps, warmup, lambda step: (step + 1) / (warmup + 1), fall)),
        Mistake("Your cosine runs over all steps, as if it had begun at step 0. It begins where "
                "the warm-up ends: t = (step - warmup) / (steps - warmup).",
                _of(steps, warmup, grow, lambda step: _fall(step / steps))),
        Mistake("Your cosine is cut off: t is divided by all steps, not by those that are left "
                "after the warm-up.",
                _of(steps, warmup, grow, lambda step: _fall((step - warmup) / steps))),
        Mistake("Your cosine reaches 0 at the last step, which then learns nothing. It would reach "
                "0 one step later: divide by steps - warmup.",
                _of(steps, warmup, grow, lambda step: _fall((step - warmup) / (left - 1)))),
        Mistake("That is a straight line after the warm-up; take half a cosine.",
                _of(steps, warmup, grow, lambda step: 1 - (step - warmup) / left)),
        Mistake("That is a quarter of a cosine, cos(pi t / 2). It falls late; take (1 + cos(pi t)) "
                "/ 2.",
                _of(steps, warmup, grow,
                    lambda step: float(np.cos(np.pi / 2 * (step - warmup) / left)))),
        Mistake("cos(pi t) goes from 1 to -1: add 1 and halve it.",
                _of(steps, warmup, grow,
                    lambda step: float(np.cos(np.pi * (step - warmup) / left)))),
        Mistake("The warm-up is missing: the first steps have the whole rate.",
                _of(steps, 0, grow, lambda step: 1.0 if step < warmup else fall(step))),
    ]
