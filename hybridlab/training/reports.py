"""What a training tells while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class StepReport:
    """What one step did.

    Attributes:
        stage, epoch, step: where it was; `step` counts over all stages, from 1.
        steps: of all stages.
        loss, terms: of the whole batch, over all processes.
        lr: rate of the last layers of the first part.
        norm: of the gradient, before it was clipped; NaN where it is not known.
        rows: B.
    """

    stage: str
    epoch: int
    step: int
    steps: int
    loss: float
    terms: Mapping[str, float]
    lr: float
    norm: float
    rows: int


@dataclass(frozen=True)
class EpochReport:
    """What an epoch ended with: the score on the held rows, and whether it is the stage's best."""

    stage: str
    epoch: int
    step: int
    score: float
    best: bool


Report = Callable[[StepReport | EpochReport], None]


class StoppedError(Exception):
    """Somebody asked the run to stop; it was saved at the end of a step."""
