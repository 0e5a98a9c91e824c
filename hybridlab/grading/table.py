"""Lessons and exercises with their progress, as a table for a terminal."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from hybridlab.course import LESSONS
from hybridlab.grading.manifest import DIFFICULTIES, Exercise
from hybridlab.grading.progress import Record
from hybridlab.grading.verdict import NOT_ATTEMPTED, RIGHT


def table(
    exercises: Sequence[Exercise], records: Mapping[str, Record], empty: Collection[str] = ()
) -> str:
    """One line for each lesson, and under it one for each exercise.

    Args:
        empty: ids of exercises whose stub stands in the file.
    """
    if not exercises:
        return "there are no exercises yet"
    wide = max(len(each.title) for each in exercises)
    ids = max(len(each.id) for each in exercises)
    lines: list[str] = []
    for lesson in sorted({each.lesson for each in exercises}):
        own = [each for each in exercises if each.lesson == lesson]
        done = [records.get(each.id, Record()) for each in own]
        right = sum(record.solved is not None for record in done)
        earned = sum(_earned(each, record) for each, record in zip(own, done, strict=True))
        lines += ["", f"Lesson {lesson:02d}{_title(lesson)}: {right} of {len(own)} right, "
                  f"{earned} of {sum(each.worth for each in own)} points"]
        for each, record in zip(own, done, strict=True):
            mark = "+" if record.solved else " "
            lines.append(
                f"  {mark} {each.id:<{ids}}  {each.title:<{wide}}  "
                f"{DIFFICULTIES[each.difficulty]:<6}  {each.minutes:>3} min  "
                f"{_earned(each, record):>2}/{each.worth:<2}  {state(record, each.id in empty)}"
            )
    return "\n".join([*lines[1:], "", _next(exercises, records)])


def state(record: Record, empty: bool = False) -> str:
    """Where an exercise stands, in a few words.

    Args:
        empty: the stub stands in the file, whatever was checked before.
    """
    if empty and record.attempts:
        words = f"{'right' if record.solved else 'tried'} before; the stub is there again"
    elif record.solved and record.kind != RIGHT:
        words = f"solved; last check: {record.kind}"
    elif record.kind == NOT_ATTEMPTED and record.attempts:
        words = "tried before; now not attempted"
    else:
        words = record.kind
    counts = []
    if record.attempts:
        counts.append(f"{record.attempts} {'check' if record.attempts == 1 else 'checks'}")
    if record.hints:
        counts.append(f"{record.hints} {'hint' if record.hints == 1 else 'hints'}")
    return f"{words} ({', '.join(counts)})" if counts else words


def _earned(exercise: Exercise, record: Record) -> int:
    """The best result in today's points: an upgrade may have changed what an exercise is worth."""
    if record.points == exercise.worth or not record.points:
        return min(record.best, exercise.worth)
    return exercise.worth * record.best // record.points


def _title(lesson: int) -> str:
    return next((f", {each.title}" for each in LESSONS if each.number == lesson), "")


def _next(exercises: Sequence[Exercise], records: Mapping[str, Record]) -> str:
    for each in exercises:
        if records.get(each.id, Record()).solved is None:
            return (f"next: {each.id}, in exercises/lesson_{each.lesson:02d}.py or in the lesson's "
                    f"notebook; check it with: hybridlab grade {each.id}")
    return "all of them are solved"
