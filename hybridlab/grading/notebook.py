"""Exercises in a notebook: `%%exercise 1.2` saves a cell and checks it; `check`, `hint`, `load`.

    from hybridlab.grading.notebook import check, hint, load     # or %load_ext of this module

The file `exercises/lesson_01.py` is what counts, here as on the command line. Checks run in a
process of their own (`service`), so that nothing done in the notebook changes a verdict. In plain
Python the same functions print.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from hybridlab.grading import blocks, cells, remarks, render, service
from hybridlab.grading.manifest import Exercise, exercise, exercises, is_lesson, of_lesson
from hybridlab.grading.progress import Progress
from hybridlab.grading.verdict import Verdict
from hybridlab.grading.workbook import Workbook


class Session:
    """What is remembered between cells.

    Attributes:
        service: the grader.
        last: the exercise that was named last, or "".
        hints: exercise -> how many were given here.
    """

    def __init__(self, grader: service.Service | None = None):
        self.service = grader or service.shared()
        self.last = ""
        self.hints: dict[str, int] = {}
        self._folder: Path | None = None

    def workbook(self) -> Workbook:
        """The student's files: the same ones also after the notebook went to another folder."""
        if self._folder is not None and self._folder.is_dir():
            return Workbook(self._folder)
        book = Workbook.open()
        self._folder = book.folder
        return book

    def verdict(self, chosen: Exercise, book: Workbook, seed: int | None) -> Verdict:
        """Check what stands in the file, and write it down."""
        verdict = self.service.grade(chosen.id, book.source(chosen), seed)
        progress = Progress(book.folder)
        progress.add(verdict)
        book.notices += progress.notices
        return verdict


_sessions: list[Session] = []


def _session() -> Session:
    if not _sessions:
        _sessions.append(Session())
    return _sessions[0]


def check(what: str | int | None = None, seed: int | None = None) -> None:
    """Check an exercise ("1.2") or a lesson (1) as it stands in the file, and show the verdict.

    Args:
        what: without it, the lesson of the exercise that was named last.
        seed: of the random inputs; drawn anew without it.

    Raises:
        UnknownExerciseError: there is no such exercise or lesson (in IPython one line says so).
        ValueError: a number such as 1.2, without quotes.
    """
    try:
        asked = _asked(what)
        book = _session().workbook()
        if isinstance(asked, Exercise):
            verdict = _session().verdict(asked, book, seed)
            _show(render.shown(verdict, len(asked.hints), [
                *remarks.in_notebook_only(asked, verdict), *book.notices
            ]))
            return
        verdicts = [_session().verdict(each, book, seed) for each in asked]
        _show(render.table(f"Lesson {asked[0].lesson}", verdicts))
        for notice in book.notices:
            _show(render.line(notice))
    except (ValueError, OSError, service.ServiceError) as error:
        _refuse(error)


def hint(id: str | int | None = None, number: int | None = None) -> None:
    """Show a hint: the first, then the next one with each call.

    Args:
        id: of the exercise; without it, the one that was named last.
        number: this one, from 1.

    Raises:
        UnknownExerciseError: there is no such exercise.
        ValueError: there is no such hint.
    """
    try:
        session = _session()
        chosen = _one(session.last if id is None else id)
        most = len(chosen.hints)
        if number is not None and not 1 <= number <= most:
            raise ValueError(f"exercise {chosen.id} has hints 1 to {most}, no hint {number}")
        given = number or min(session.hints.get(chosen.id, 0) + 1, most)
        session.hints[chosen.id] = given
        Progress(session.workbook().folder).hinted(chosen.id, given)
        which = f"Hint {given} of {most}" + (", the last one" if given == most else "")
        _show(render.line(f"{which}, for {chosen.id}: {chosen.hints[given - 1]}"))
    except (ValueError, OSError) as error:
        _refuse(error)


def load(id: str | int | None = None) -> None:
    """Put the answer that stands in the file into the next cell; in plain Python, print it.

    Raises:
        UnknownExerciseError: there is no such exercise.
    """
    try:
        chosen = _one(_session().last if id is None else id)
        text = blocks.find(_session().workbook().source(chosen).text, chosen.id)
        if text is None:
            raise ValueError(f"the file has no exercise {chosen.id}")
        cell = f"%%exercise {chosen.id}\n{cells.body(text.text)}".rstrip("\n")
        shell = remarks.running()
        if shell is None:
            print(cell)
        else:
            shell.set_next_input(cell)
    except (ValueError, OSError) as error:
        _refuse(error)


def run_exercise(line: str, cell: str) -> None:
    """`%%exercise 1.2`: run the cell, save it as the exercise's answer, and show the verdict.

    A cell in which nothing was written yet is not saved: an answer in the file stays there, and is
    what the notebook then has.
    """
    try:
        chosen, text = _cell(line, cell)
        book = _session().workbook()
        if cells.is_stub(cell, chosen):
            _show(render.line(remarks.nothing_written(chosen, book, cell)))
            return
        saved = book.save(chosen, text)
        remarks.lend_heading(chosen, book, cell)
    except (ValueError, OSError) as error:
        _refuse(error)
        return
    where = remarks.near(book.path(chosen.lesson))
    if not _ran(cell):
        _show(render.line(f"The cell was interrupted. It is saved in `{where}`, but not checked."))
        return
    try:
        verdict = remarks.in_cell(_session().verdict(chosen, book, None), chosen, book, cell)
        _show(render.shown(verdict, len(chosen.hints), [
            *remarks.about(verdict, cell), f"{'Saved' if saved else 'It stands'} in `{where}`.",
            *book.notices,
        ]))
    except (ValueError, OSError, service.ServiceError) as error:
        _refuse(error)


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext hybridlab.grading.notebook`: the magic, the functions, and a grader that starts
    while the first cells run."""
    from IPython.core.magic import no_var_expand

    shell.register_magic_function(no_var_expand(run_exercise), "cell", "exercise")
    for function in (check, hint, load):
        shell.user_ns.setdefault(function.__name__, function)
    with suppress(OSError):
        _session().service.start()


# --- what was asked ---------------------------------------------------------------------------


def _asked(what: str | int | None) -> Exercise | list[Exercise]:
    """An exercise, or all of a lesson."""
    if what is not None:
        return of_lesson(int(what)) if is_lesson(str(what)) else _one(what)
    if _session().last:
        return of_lesson(exercise(_session().last).lesson)
    lessons = sorted({each.lesson for each in exercises().values()})
    if len(lessons) != 1:
        raise ValueError(f"say which lesson, such as check({lessons[0] if lessons else 1})")
    return of_lesson(lessons[0])


def _one(id: str | int) -> Exercise:
    if id == "":
        raise ValueError(f"say which exercise: one of {', '.join(exercises())}")
    if isinstance(id, float):  # 1.10 is 1.1 to Python
        raise ValueError(f'write the exercise in quotes, such as "{id}": as a number, 1.1 could '
                         "also be exercise 1.10")
    chosen = exercise(str(id).strip())
    _session().last = chosen.id
    return chosen


def _cell(line: str, cell: str) -> tuple[Exercise, str]:
    """The exercise of a cell, and the block that it becomes."""
    words = line.split()
    if len(words) != 1:
        raise ValueError(
            f"write the exercise's number behind %%exercise, and nothing else: "
            f"`%%exercise {next(iter(exercises()), '1.2')}`. There are {', '.join(exercises())}"
        )
    chosen = _one(words[0])
    return chosen, cells.as_block(cell, chosen)


# --- what is done and said --------------------------------------------------------------------


def _ran(cell: str) -> bool:
    """Run a cell in the notebook, errors and all; False if the user stopped it."""
    shell = remarks.running()
    if shell is None:
        raise RuntimeError("%%exercise works in notebooks and IPython; elsewhere use check()")
    result = shell.run_cell(cell)
    return not isinstance(result.error_in_exec, KeyboardInterrupt)


def _show(what: render.Shown) -> None:
    if remarks.running() is None:
        print(what.text)
    else:
        from IPython.display import display

        display(what)


def _refuse(error: Exception) -> None:
    """One line in IPython, where a traceback would be all about us; else the error itself."""
    if remarks.running() is None:
        raise error
    from IPython.core.error import UsageError

    raise UsageError(str(error)) from None


if remarks.running() is not None:
    load_ipython_extension(remarks.running())
