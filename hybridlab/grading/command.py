"""`hybridlab grade`: the table of exercises, checks, hints, and a teacher's reports.

Nothing heavy is imported up here, so that `hybridlab --help` answers at once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from hybridlab.grading.learner import Source
    from hybridlab.grading.manifest import Exercise


@dataclass(frozen=True)
class Grade:
    """Check exercises; without any option, list lessons and exercises with your progress."""

    what: Annotated[Positional[str | None], arg(metavar="[WHAT]")] = None
    """A lesson, such as 1, or an exercise, such as 1.2."""
    watch: bool = False
    """Check again whenever the file is saved, until Ctrl-C; only exercises that changed."""
    hint: Annotated[int | None, arg(metavar="N")] = None
    """Print hint N of the exercise and check nothing."""
    reset: Annotated[str | None, arg(metavar="EXERCISE")] = None
    """Put an exercise's empty stub back; your whole file is copied to exercises/backup first."""
    seed: Annotated[int | None, arg(metavar="N")] = None
    """Draw the random inputs from this seed; by default anew each time."""
    file: Annotated[Path | None, arg(metavar="PATH")] = None
    """Check this file instead of the one in exercises/; progress is not written down."""
    solutions: bool = False
    """Check the course's own solutions (for developers and teachers)."""
    json: Annotated[Path | None, arg(metavar="FILE")] = None
    """Also write the verdicts as Gradescope's results.json; an existing file is never replaced."""
    submissions: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Check a lesson for many students: a file, a notebook or a folder for each in FOLDER."""
    csv: Annotated[Path | None, arg(metavar="FILE")] = None
    """Where the table of --submissions goes; an existing file is never replaced."""
    jobs: Annotated[int, arg(metavar="N")] = 2
    """Processes for --submissions."""
    no_library: bool = False
    """Refuse answers that import hybridlab, and so may call the course's own functions."""

    def __post_init__(self) -> None:
        ways = {
            "--watch": self.watch, "--hint": self.hint is not None,
            "--reset": self.reset is not None, "--submissions": self.submissions is not None,
            "--json": self.json is not None,
        }
        _one_of(ways)
        files = {"--solutions": self.solutions, "--file": self.file is not None}
        _one_of({**files, **{name: ways[name] for name in ("--hint", "--reset", "--submissions")}})
        if self.hint is not None and (self.what is None or "." not in self.what):
            raise ValueError("--hint needs an exercise, as in `hybridlab grade 1.2 --hint 1`")
        if self.reset is not None and self.what is not None:
            raise ValueError(f"--reset names its exercise itself: --reset {self.reset}; leave out "
                             f"{self.what}")
        if (self.csv is None) != (self.submissions is None):
            raise ValueError("--csv FILE and --submissions FOLDER go together; give both")
        if self.submissions is not None and not re.fullmatch(r"[0-9]{1,4}", self.what or ""):
            raise ValueError(f"--submissions needs a lesson, such as 1, and got {self.what}")
        if self.seed is not None and self.seed < 0:
            raise ValueError(f"seed is {self.seed}; give 0 or more")
        if self.jobs < 1:
            raise ValueError(f"jobs is {self.jobs}; give 1 or more")

    def run(self) -> int:
        from hybridlab.grading.manifest import chosen

        for target in (self.json, self.csv):
            if target is not None:
                _can_be_written(target)
        if self.reset is not None:
            return self._reset(self.reset)
        exercises = chosen(self._lesson_of_file() or self.what)
        if self.hint is not None:
            return self._hint(exercises[0], self.hint)
        if self.submissions is not None and self.csv is not None:
            return self._submissions(exercises[0].lesson, self.submissions, self.csv)
        if self.what is None and not (self.solutions or self.file or self.watch or self.json):
            return _table(exercises)
        return self._check(exercises)

    def _lesson_of_file(self) -> str | None:
        """A file's name tells its lesson where nothing else does."""
        if self.file is None or self.what is not None:
            return None
        name = re.fullmatch(r"lesson_(\d\d)\.py", self.file.name)
        if name is None:
            raise ValueError(f"say what is in {self.file}: a lesson or an exercise, as in "
                             f"`hybridlab grade 1 --file {self.file}`")
        return str(int(name[1]))

    def _check(self, exercises: Sequence[Exercise]) -> int:
        from hybridlab.grading.progress import Progress
        from hybridlab.grading.terminal import Teller
        from hybridlab.grading.watch import Watch
        from hybridlab.grading.workbook import Workbook, read

        workbook: Workbook | None = None
        progress: Progress | None = None
        if not (self.solutions or self.file):
            workbook = Workbook.open()
            progress = Progress(workbook.folder)
        teller = Teller(self.seed, workbook, progress, self.no_library)

        def path(exercise: Exercise) -> Path:
            if self.file:
                return self.file
            return workbook.path(exercise.lesson) if workbook else _solution(exercise.lesson)

        def source(exercise: Exercise) -> Source:
            return workbook.source(exercise) if workbook else read(path(exercise))

        sources = {each.id: source(each) for each in exercises}  # errors come before any check
        teller.notices()
        if self.watch:
            print(f"watching {_listed([path(each) for each in exercises])}; Ctrl-C ends it",
                  flush=True)
            Watch([(each, path(each)) for each in exercises]).run(teller.check)
            print()
            return 0
        for each in exercises:
            teller.check(each, sources[each.id])
        teller.summary()
        if self.json is not None:
            from hybridlab.files import write_json
            from hybridlab.grading.gradescope import results

            write_json(self.json, results(teller.verdicts, exercises))
            print(f"results written to {self.json}")
        return 0 if all(verdict.right for verdict in teller.verdicts) else 1

    def _hint(self, exercise: Exercise, number: int) -> int:
        from hybridlab.grading.progress import Progress
        from hybridlab.grading.terminal import say
        from hybridlab.grading.workbook import find_folder

        count = len(exercise.hints)
        if not 1 <= number <= count:
            raise ValueError(f"exercise {exercise.id} has {count} hints, and no hint {number}; "
                             f"give 1 to {count}")
        print(f"Exercise {exercise.id}, {exercise.title}, hint {number} of {count}:\n"
              f"{exercise.hints[number - 1]}")
        folder = find_folder()
        if folder is not None:
            progress = Progress(folder)
            progress.hinted(exercise.id, number)
            say(progress.notices)
        return 0

    def _reset(self, id: str) -> int:
        from hybridlab.grading.manifest import exercise
        from hybridlab.grading.terminal import say
        from hybridlab.grading.workbook import Workbook

        exercise(id)  # an unknown one makes no folder
        workbook = Workbook.open()
        copy = workbook.reset(id)
        say(workbook.notices)
        path = workbook.path(exercise(id).lesson)
        print(f"exercise {id} in {_short(path)} is its stub again")
        if copy is not None:
            print(f"your file as it was: {_short(copy)}")
        return 0

    def _submissions(self, lesson: int, folder: Path, csv: Path) -> int:
        from hybridlab.grading.manifest import of_lesson
        from hybridlab.grading.submissions import Submission, grade_folder, write_csv

        worth = sum(each.worth for each in of_lesson(lesson))
        graded: list[Submission] = []

        def report(submission: Submission) -> None:
            graded.append(submission)
            note = f"  ({submission.note})" if submission.note else ""
            print(f"{len(graded):>3}  {submission.student}: {submission.total} of {worth}{note}",
                  flush=True)
            with suppress(OSError):  # the last writing tells what is wrong
                write_csv(csv, sorted(graded, key=lambda each: each.student))

        try:
            found = grade_folder(
                folder, lesson, self.jobs, self.seed, report, library=not self.no_library
            )
        except KeyboardInterrupt:
            if graded:
                print(f"\nstopped; the {len(graded)} that were graded are in {csv}")
            raise
        write_csv(csv, found)
        print(f"{len(found)} submissions of lesson {lesson:02d} are in {csv}; all inputs were "
              f"drawn with seed {found[0].seed}")
        return 0


def _table(exercises: Sequence[Exercise]) -> int:
    from hybridlab.grading.progress import Progress
    from hybridlab.grading.table import table
    from hybridlab.grading.terminal import say
    from hybridlab.grading.workbook import find_folder

    folder = find_folder()
    progress = Progress(folder) if folder else None
    records = progress.records() if progress else {}
    print(table(exercises, records, _empty(folder, exercises) if folder else ()))
    if progress:
        say(progress.notices)
    return 0


def _empty(folder: Path, exercises: Sequence[Exercise]) -> list[str]:
    """The exercises whose stub stands in the file; a file that cannot be read tells nothing."""
    from hybridlab.grading.workbook import Workbook

    found, workbook = [], Workbook(folder)
    for each in exercises:
        with suppress(OSError, ValueError):
            if workbook.block(each) is not None and not workbook.attempted(each):
                found.append(each.id)
    return found


def _solution(lesson: int) -> Path:
    from hybridlab.grading.manifest import file_name
    from hybridlab.grading.workbook import PROJECT

    for folder in (PROJECT / "solutions", Path.cwd() / "solutions"):
        if (folder / file_name(lesson)).is_file():
            return folder / file_name(lesson)
    raise FileNotFoundError(
        f"there is no solutions/{file_name(lesson)}: the solutions come with the course's "
        "repository, not with the installed package; clone it, or name a file with --file"
    )


def _can_be_written(target: Path) -> None:
    """Before the work, not after."""
    if target.exists():
        raise FileExistsError(f"{target} exists and is kept; choose another name")
    if not target.absolute().parent.is_dir():
        raise FileNotFoundError(
            f"cannot write {target}: there is no folder {target.parent}; make it first"
        )


def _one_of(options: dict[str, bool]) -> None:
    given = [name for name, is_given in options.items() if is_given]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} do not go together; give one of them")


def _listed(paths: Sequence[Path]) -> str:
    return ", ".join(dict.fromkeys(map(_short, paths)))


def _short(path: Path) -> str:
    """As seen from the current folder, where it is in there."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
