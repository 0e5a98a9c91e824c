"""A teacher's folder of submissions: all graded with the same inputs, into one table.

One entry a student: NAME.py, NAME.ipynb, or a folder NAME with such a file somewhere in it. A
submission that is broken or hostile costs its student points, and nobody else anything.
"""

from __future__ import annotations

import csv
import io
import queue
import secrets
import threading
import unicodedata
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from hybridlab.files import StrPath, atomic_path
from hybridlab.grading.collecting import Entry, entries, plain, text_of
from hybridlab.grading.launch import Limits
from hybridlab.grading.learner import Source
from hybridlab.grading.library import refused
from hybridlab.grading.manifest import Exercise, of_lesson
from hybridlab.grading.service import Service, ServiceError
from hybridlab.grading.verdict import Verdict

NOT_GRADED = "not graded"
# A whole lesson takes a second or two. Who used this much time gets less for what is left: else one
# file of sleeping code would cost minutes.
_PATIENCE = 30.0  # seconds
_SHORT = Limits(cpu_seconds=2, wall_seconds=4.0)


@dataclass(frozen=True)
class Submission:
    """What one student handed in, and what it is worth.

    Attributes:
        student: the name of the file or folder.
        file: what was graded, from the folder of all on; "" where nothing could be.
        lesson: its number.
        verdicts: one for each exercise that was graded.
        seed: of the random inputs, the same for all students of a run.
        note: what a teacher should know; else empty.
    """

    student: str
    file: str
    lesson: int
    verdicts: tuple[Verdict, ...]
    seed: int
    note: str = ""

    @property
    def total(self) -> int:
        """All points."""
        return sum(verdict.earned for verdict in self.verdicts)


def grade_folder(
    folder: Path,
    lesson: int,
    jobs: int = 2,
    seed: int | None = None,
    report: Callable[[Submission], None] | None = None,
    library: bool = True,
) -> list[Submission]:
    """Grade every submission in a folder.

    Args:
        folder: one entry a student.
        jobs: submissions at the same time, each in processes of their own.
        seed: of the inputs of all; drawn once without it.
        report: called with each submission when it is done.
        library: answers may import hybridlab; where they may not, `library.refused` tells.

    Returns:
        in the order of the names.

    Raises:
        UnknownExerciseError: the lesson has no exercises.
        FileNotFoundError, NotADirectoryError: no such folder.
        ValueError: nothing in it can be a submission, or jobs is below 1.
        KeyboardInterrupt: Ctrl-C. `report` had what was done by then, for `write_csv`.
    """
    if jobs < 1:
        raise ValueError(f"jobs is {jobs}; give 1 or more")
    exercises = of_lesson(lesson)
    found = entries(folder, lesson)
    if not found:
        raise ValueError(
            f"{folder} holds no submissions: there should be a file NAME.py or NAME.ipynb, or a "
            "folder NAME, for each student"
        )
    seed = secrets.randbelow(10**6) if seed is None else seed
    twins = Counter(_folded(entry.student) for entry in found)
    found = [
        entry if twins[_folded(entry.student)] == 1 else
        replace(entry, note=_joined(entry.note, "another entry has this student's name"))
        for entry in found
    ]
    done: dict[int, Submission] = {}
    with closing(_graded(found, exercises, jobs, seed, library)) as graded:
        for at, submission in graded:
            done[at] = submission
            if report is not None:
                report(submission)
    return [done[at] for at in sorted(done)]


def write_csv(path: StrPath, submissions: Sequence[Submission]) -> None:
    """One row a student: student, file, total, and for each exercise its points and its verdict;
    then seed and note. Whole or not at all; a file of that name is replaced.

    UTF-8 with a mark at the beginning, by which spreadsheets know it. What they would take for a
    formula begins with an apostrophe.

    Raises:
        OSError: it cannot be written.
    """
    lessons = sorted({each.lesson for each in submissions})
    ids = [exercise.id for lesson in lessons for exercise in of_lesson(lesson)]
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([
        "student", "file", "total",
        *(name for id in ids for name in (id, f"{id} verdict")), "seed", "note",
    ])
    for each in submissions:
        of = {verdict.exercise: verdict for verdict in each.verdicts}
        points = [
            value for id in ids
            for value in ((of[id].earned, of[id].kind) if id in of else (0, NOT_GRADED))
        ]
        rows.writerow([
            _cell(each.student), _cell(each.file), each.total, *points, each.seed, _cell(each.note)
        ])
    with atomic_path(path, overwrite=True) as part:
        part.write_bytes(text.getvalue().encode("utf-8-sig", errors="replace"))


def _graded(
    found: Sequence[Entry], exercises: Sequence[Exercise], jobs: int, seed: int, library: bool
) -> Generator[tuple[int, Submission], None, None]:
    """Each submission, as it is done."""
    todo: queue.SimpleQueue[int] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, Submission]] = queue.SimpleQueue()
    for at in range(len(found)):
        todo.put(at)
    services = [Service() for _ in range(min(jobs, len(found)))]

    def work(service: Service) -> None:
        while True:
            try:
                at = todo.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((at, _submission(found[at], exercises, service, seed, library)))
            except Exception as error:  # one student's file, nobody else's
                note = f"grading failed, which is our mistake: {type(error).__name__}: {error}"
                done.put((at, Submission(
                    found[at].student, found[at].file, exercises[0].lesson, (), seed, note
                )))

    try:
        for service in services:
            service.start()
            threading.Thread(target=work, args=(service,), daemon=True).start()
        for _ in found:
            while True:
                try:
                    yield done.get(timeout=0.5)  # some systems hear Ctrl-C only in between
                    break
                except queue.Empty:
                    continue
    finally:
        while not todo.empty():
            todo.get()
        for service in services:
            service.close()


def _submission(
    entry: Entry, exercises: Sequence[Exercise], service: Service, seed: int, library: bool
) -> Submission:
    lesson = exercises[0].lesson
    if entry.path is None:
        return Submission(entry.student, entry.file, lesson, (), seed, entry.note)
    text, trouble = text_of(entry.path, exercises)
    if trouble:
        note = _joined(entry.note, trouble)
        return Submission(entry.student, entry.file, lesson, (), seed, note)
    verdicts: list[Verdict] = []
    notes, hurried = [entry.note], []
    source, taken = Source(entry.path.name, text), 0.0
    for exercise in exercises:
        if not library and (verdict := refused(exercise, source, seed)):
            verdicts.append(verdict)
            continue
        hurry = taken > _PATIENCE
        try:
            verdict = service.grade(exercise.id, source, seed, _SHORT if hurry else None)
        except ServiceError as error:
            notes.append(f"{exercise.id} could not be graded: {error}")
            continue
        verdicts.append(verdict)
        taken += verdict.seconds
        if hurry:
            hurried.append(exercise.id)
    if hurried:
        notes.append(
            f"after {_PATIENCE:.0f} seconds in all, each part of {', '.join(hurried)} was given "
            f"{_SHORT.cpu_seconds} seconds"
        )
    return Submission(entry.student, entry.file, lesson, tuple(verdicts), seed, _joined(*notes))


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _cell(text: str) -> str:
    """One line, which no spreadsheet takes for a formula."""
    line = plain(text)
    return f"'{line}" if line[:1] in tuple("=+-@") else line
