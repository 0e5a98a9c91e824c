"""The exercises of the course: one entry each, beside its check, in `hybridlab.grading.lessons`."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from hybridlab.grading.launch import Limits

if TYPE_CHECKING:
    from hybridlab.grading.trial import Trial

DIFFICULTIES = {1: "easy", 2: "medium", 3: "hard"}


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        id: "LESSON.NUMBER".
        title: a few words.
        functions: what the learner writes.
        difficulty: 1 to 3.
        minutes: that it takes, about.
        hints: two or three, from a nudge to nearly the answer.
        points: part -> points; the check visits exactly these parts, in this order.
        check: judges a learner's code part by part.
        limits: of each part.

    Raises:
        ValueError: an entry that is not whole; the message says what to change.
    """

    id: str
    title: str
    functions: tuple[str, ...]
    difficulty: int
    minutes: int
    hints: tuple[str, ...]
    points: Mapping[str, int]
    check: Callable[[Trial], None]
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9]{1,3}\.[0-9]{1,3}", self.id):
            raise ValueError(f"id is {self.id!r}; give 'LESSON.NUMBER', such as '1.2'")
        if not self.title.strip() or not self.functions:
            raise ValueError(f"exercise {self.id} has no title or no functions; give both")
        if self.difficulty not in DIFFICULTIES or self.minutes < 1:
            raise ValueError(
                f"exercise {self.id} has difficulty {self.difficulty} and {self.minutes} minutes; "
                "give 1 to 3, and 1 minute or more"
            )
        if isinstance(self.hints, str) or not 2 <= len(self.hints) <= 3:
            raise ValueError(
                f"exercise {self.id} has hints {self.hints!r}; give a tuple of two or three, from "
                "a nudge to nearly the answer"
            )
        for number, hint in enumerate(self.hints, start=1):
            if not (isinstance(hint, str) and hint.strip()):
                raise ValueError(f"exercise {self.id}: hint {number} is {hint!r}; write one")
        if not self.points or any(points < 1 for points in self.points.values()):
            raise ValueError(f"exercise {self.id} has parts {dict(self.points)}; give each points")

    @property
    def lesson(self) -> int:
        """The number of its lesson."""
        return int(self.id.partition(".")[0])

    @property
    def worth(self) -> int:
        """All its points."""
        return sum(self.points.values())


class UnknownExerciseError(ValueError):
    """No exercise or lesson has this number; the message lists those that there are."""


@cache
def exercises() -> dict[str, Exercise]:
    """Every exercise of the course, by id, in order.

    Raises:
        ValueError: two have the same id, or one stands in another lesson's module.
    """
    from hybridlab.grading import lessons

    found: dict[str, Exercise] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(lessons.__path__)):
        if not module.startswith("lesson_"):
            continue
        for exercise in import_module(f"{lessons.__name__}.{module}").EXERCISES:
            if exercise.id in found:
                raise ValueError(f"there are two exercises {exercise.id}; number them anew")
            if exercise.lesson != int(module.removeprefix("lesson_")):
                raise ValueError(f"exercise {exercise.id} stands in {module}.py; move it")
            found[exercise.id] = exercise
    return dict(sorted(found.items(), key=lambda item: tuple(map(int, item[0].split(".")))))


def exercise(id: str) -> Exercise:
    """An exercise by its id.

    Raises:
        UnknownExerciseError: there is none.
    """
    if id not in exercises():
        raise UnknownExerciseError(
            f"there is no exercise {id!r}; there are {', '.join(exercises())}"
        )
    return exercises()[id]


def of_lesson(lesson: int) -> list[Exercise]:
    """The exercises of a lesson, in order.

    Raises:
        UnknownExerciseError: it has none.
    """
    found = [each for each in exercises().values() if each.lesson == lesson]
    if not found:
        lessons = sorted({each.lesson for each in exercises().values()})
        raise UnknownExerciseError(
            f"lesson {lesson} has no exercises; lessons with exercises: "
            + ", ".join(map(str, lessons))
        )
    return found


def chosen(what: str | None) -> list[Exercise]:
    """The exercises that "1" (a lesson), "1.2" (an exercise) or None (all) mean.

    Raises:
        UnknownExerciseError: there is no such lesson or exercise.
    """
    if what is None:
        return list(exercises().values())
    return of_lesson(int(what)) if is_lesson(what) else [exercise(what)]


def is_lesson(what: str) -> bool:
    """Whether it is written as a lesson's number, and not as "1.2", say."""
    return re.fullmatch(r"[0-9]{1,4}", what) is not None


def file_name(lesson: int) -> str:
    """The file of a lesson's exercises and of their solutions."""
    return f"lesson_{lesson:02d}.py"
