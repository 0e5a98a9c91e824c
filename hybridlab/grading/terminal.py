"""Checks exercises for somebody at a terminal: verdicts as they come, progress, notes."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hybridlab.grading.grader import grade
from hybridlab.grading.learner import Source
from hybridlab.grading.library import refused
from hybridlab.grading.manifest import Exercise
from hybridlab.grading.progress import Progress
from hybridlab.grading.verdict import Verdict, told
from hybridlab.grading.workbook import Workbook


class Teller:
    """Checks, prints, and writes progress down.

    Args:
        seed: of the random inputs; drawn anew without it.
        workbook, progress: of the student; None where the files are not theirs.
        no_library: refuse answers that import hybridlab.

    Attributes:
        verdicts: so far.
    """

    def __init__(
        self, seed: int | None, workbook: Workbook | None, progress: Progress | None,
        no_library: bool = False,
    ):
        self._no_library = no_library
        self._seed, self._workbook, self._progress = seed, workbook, progress
        self.verdicts: list[Verdict] = []

    def check(self, exercise: Exercise, source: Source) -> None:
        """Check one exercise."""
        with _shown(f"checking {exercise.id}, {exercise.title} ..."):
            found = refused(exercise, source, self._seed) if self._no_library else None
            verdict = found or grade(exercise, source, self._seed)
        self.verdicts.append(verdict)
        hints = len(exercise.hints) if self._workbook else 0
        print(told(verdict, hints), flush=True)
        if self._progress is not None:
            self._progress.add(verdict)
            self.notices()

    def notices(self) -> None:
        """Print what the workbook and the progress have to say, once."""
        for owner in (self._workbook, self._progress):
            if owner is not None:
                say(owner.notices)
                owner.notices.clear()

    def summary(self) -> None:
        """A line over all that was checked, where that is more than one."""
        if len(self.verdicts) > 1:
            right = sum(verdict.right for verdict in self.verdicts)
            earned = sum(verdict.earned for verdict in self.verdicts)
            points = sum(verdict.points for verdict in self.verdicts)
            print(f"\n{right} of {len(self.verdicts)} exercises right, {earned} of {points} points")


class _shown:
    """Words on a terminal for as long as something takes; nothing where nobody watches."""

    def __init__(self, words: str):
        self._words = words if sys.stderr.isatty() else ""

    def __enter__(self) -> None:
        if self._words:
            print(self._words, end="", file=sys.stderr, flush=True)

    def __exit__(self, *exception: object) -> None:
        if self._words:
            blank = " " * len(self._words)
            print(f"\r{blank}\r", end="", file=sys.stderr, flush=True)


def say(notices: Sequence[str]) -> None:
    """Notes beside the results."""
    for words in notices:
        print(f"note: {words}", file=sys.stderr, flush=True)
