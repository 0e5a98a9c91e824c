"""Grades one exercise: a learner's file in, a verdict out."""

from __future__ import annotations

import secrets
import time

from hybridlab.grading.learner import Source
from hybridlab.grading.manifest import Exercise
from hybridlab.grading.trial import Trial
from hybridlab.grading.verdict import Verdict


def grade(
    exercise: Exercise, source: Source, seed: int | None = None, only_first: bool = False
) -> Verdict:
    """Check a learner's code.

    Args:
        seed: of the random inputs; drawn anew without it.
        only_first: stop at the first part that is not right.

    Raises:
        RuntimeError: the check itself failed, or visits other parts than the manifest says; that
            is our mistake, not the learner's.
    """
    seed = secrets.randbelow(10**6) if seed is None else seed
    began = time.perf_counter()
    trial = Trial(exercise, source, seed, only_first)
    exercise.check(trial)
    visited = [part.part for part in trial.parts]
    if visited != list(exercise.points):
        raise RuntimeError(
            f"the check of exercise {exercise.id} visits {visited}, its manifest says "
            f"{list(exercise.points)}; please report this"
        )
    return Verdict(
        exercise.id, exercise.title, seed, tuple(trial.parts), trial.output,
        round(time.perf_counter() - began, 3),
    )
