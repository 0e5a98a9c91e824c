"""Learning rates over the steps of a stage, as shares of the peak (seed 000, section 4).

A schedule is a plain function of the step, so that a resumed run needs no state for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[int, int, float], float]


def constant(step: int, steps: int, warmup: float = 0.1) -> float:
    """1, after a linear warm-up."""
    return min(1.0, (step + 1) / _warmup_steps(steps, warmup))


def warmup_cosine(step: int, steps: int, warmup: float = 0.1) -> float:
    """Linear warm-up, then a half cosine to 0 (Loshchilov and Hutter 2017, arXiv 1608.03983)."""
    begin = _warmup_steps(steps, warmup)
    if step < begin:
        return (step + 1) / begin
    return 0.5 * (1 + math.cos(math.pi * (step - begin) / max(1, steps - begin)))


def one_cycle(step: int, steps: int, warmup: float = 0.3) -> float:
    """From 1/25 to 1 and down to 1/250,000, both by a half cosine: torch's `OneCycleLR` with its
    defaults (Smith and Topin 2018, arXiv 1708.07120)."""
    top = warmup * steps - 1
    if step < top:
        return _between(1 / 25, 1.0, step / top)
    return _between(1.0, 1 / 250_000, (step - top) / max(1e-12, steps - 1 - top))


SCHEDULES: dict[str, Schedule] = {
    "constant": constant, "cosine": warmup_cosine, "one_cycle": one_cycle,
}


def share_at(name: str, step: int, steps: int, warmup: float) -> float:
    """The share of the peak rate at a step.

    Args:
        name: one of `SCHEDULES`.
        step: from 0 to steps - 1.
        steps: of the whole stage.
        warmup: share of the steps that warm up, in [0, 1).

    Raises:
        ValueError: an unknown name, a step outside the stage, or a bad `warmup`.
    """
    if name not in SCHEDULES:
        raise ValueError(f"schedule is {name!r}; known ones: {', '.join(SCHEDULES)}")
    if not 0 <= step < steps:
        raise ValueError(f"step is {step} of {steps}; expected 0 to {steps - 1}")
    if not 0 <= warmup < 1:
        raise ValueError(f"warmup is {warmup}; give a share of the steps, from 0 to below 1")
    return SCHEDULES[name](step, steps, warmup)


def _warmup_steps(steps: int, warmup: float) -> int:
    return max(1, round(warmup * steps))


def _between(first: float, last: float, share: float) -> float:
    """From `first` to `last` by a half cosine."""
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * share))
