"""The student's files: where they are, what stands in them, and how they are changed safely.

One file a lesson, `exercises/lesson_NN.py`. Nothing that a student wrote is ever lost: a file is
replaced whole or not at all, and a reset keeps a copy first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from hybridlab.files import atomic_path
from hybridlab.grading.blocks import find, replace, split
from hybridlab.grading.learner import Source
from hybridlab.grading.manifest import Exercise, exercise, file_name

FOLDER, BACKUP = "exercises", "backup"
STUBS = Path(__file__).parent / "stubs"
PROJECT = Path(__file__).resolve().parents[2]
MOST_BYTES = 2_000_000  # an answer has some thousand
_LESSON = re.compile(r"lesson_\d\d\.py")


class Workbook:
    """The folder of a student's files.

    Attributes:
        folder: it.
        notices: what was done beside what was asked, in words for the student.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.notices: list[str] = []

    @classmethod
    def open(cls, start: Path | None = None) -> Workbook:
        """The folder that `find_folder` finds; else a new one in `start`, with every stub.

        Raises:
            FileExistsError: there is a file named "exercises".
            OSError: the folder cannot be made.
        """
        found = find_folder(start)
        if found is not None:
            return cls(found)
        made = cls((start or Path.cwd()) / FOLDER)
        if made.folder.exists() and not made.folder.is_dir():
            raise FileExistsError(f"{made.folder} is a file; it should be the folder of exercises")
        for name in packaged_lessons():
            made._make(int(name.removeprefix("lesson_")))
        made.notices = [f"the exercises were put into {made.folder}; type your answers there"]
        return made

    def path(self, lesson: int) -> Path:
        """The file of a lesson, whether it is there or not."""
        return self.folder / file_name(lesson)

    def source(self, exercise: Exercise) -> Source:
        """The lesson's file, to grade. A missing file or block is made from its stub first.

        Raises:
            ValueError: the file is no file, or far too large.
        """
        path = self.path(exercise.lesson)
        if not path.exists():
            self._make(exercise.lesson)
        source = read(path)
        blocks = split(source.text)
        if any(block.id == exercise.id for block in blocks):
            return source
        if len(blocks) == 1 and source.text.strip():
            return source  # a file without marks is one answer
        lost = next((f for f in exercise.functions if _defines(source.text, f)), None)
        if lost:
            self.notices.append(
                f"{path.name} has {lost}(), but the line '{mark(exercise)}' above it is gone; put "
                "it back"
            )
            return source
        try:
            self.save(exercise, stub(exercise.id))
        except OSError as error:
            self.notices.append(
                f"{path.name} has no exercise {exercise.id}, and it cannot be put in: {error}"
            )
            return source
        self.notices.append(
            f"{path.name} had no exercise {exercise.id}; it was put in, and nothing else changed"
        )
        return read(path)

    def save(self, exercise: Exercise, body: str) -> bool:
        """Replace an exercise's block, or put it in; the rest of the file stays as it is.

        Args:
            body: the block. Where its first line is no mark, the exercise's own is put above it.

        Returns:
            whether the file changed.

        Raises:
            ValueError: the body holds a mark of another exercise.
        """
        with held(self.folder):
            return self._put(exercise, body)

    def _put(self, exercise: Exercise, body: str) -> bool:
        body = body.replace("\r\n", "\n").strip("\n")
        ids = [block.id for block in split(body)][1:]
        if not ids or split(body)[0].text.strip():
            body, ids = f"{mark(exercise)}\n{body}", [exercise.id, *ids]
        if ids != [exercise.id]:
            raise ValueError(
                f"the text for exercise {exercise.id} holds marks of {', '.join(ids)}; save one "
                "exercise at a time"
            )
        path = self.path(exercise.lesson)
        if not path.exists():
            self._make(exercise.lesson)
        before = _text(path)
        own = find(before, exercise.id)
        if own is not None and own.text.rstrip() == body.rstrip():
            return False
        whole = before if before.strip() else packaged(exercise.lesson)
        _write(path, replace(whole, exercise.id, body))
        return True

    def block(self, exercise: Exercise) -> str | None:
        """The text of an exercise's block, its mark included; None without file or block."""
        path = self.path(exercise.lesson)
        own = find(read(path).text, exercise.id) if path.is_file() else None
        return None if own is None else own.text

    def attempted(self, exercise: Exercise) -> bool:
        """There is a block, and it is not the stub."""
        text = self.block(exercise)
        return text is not None and text.rstrip() != stub(exercise.id).rstrip()

    def reset(self, id: str) -> Path | None:
        """Put an exercise's stub back.

        Returns:
            the copy of the whole file as it was before; None if there was no file.

        Raises:
            UnknownExerciseError: there is no such exercise.
        """
        chosen = exercise(id)
        path = self.path(chosen.lesson)
        with held(self.folder):
            if not path.exists():
                self._make(chosen.lesson)
                return None
            copy = self._backup(path)
            self._put(chosen, stub(id))
        return copy

    def _backup(self, path: Path) -> Path:
        folder = self.folder / BACKUP
        folder.mkdir(exist_ok=True)
        stem, now = path.stem, datetime.now().strftime("%Y%m%d-%H%M%S")
        for number in range(1, 1000):
            copy = folder / f"{stem}-{now}{f'-{number}' if number > 1 else ''}{path.suffix}"
            try:
                with atomic_path(copy) as part:
                    part.write_bytes(path.read_bytes())
                return copy
            except FileExistsError:
                continue
        raise FileExistsError(f"{folder} is full of copies of this second; try again")

    def _make(self, lesson: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.path(lesson).exists():
            _write(self.path(lesson), packaged(lesson))


def find_folder(start: Path | None = None) -> Path | None:
    """`exercises/` with a lesson in it: of the current folder, of its parents, of the project."""
    start = (start or Path.cwd()).absolute()
    places = [start, *start.parents]
    if (PROJECT / "pyproject.toml").is_file():  # else the package is installed without one
        places.append(PROJECT)
    for place in places:
        folder = place / FOLDER
        try:
            if any(_LESSON.fullmatch(entry.name) for entry in folder.iterdir()):
                return folder
        except OSError:  # not there, or not ours to read
            continue
    return None


def packaged_lessons() -> list[str]:
    """The lessons whose stubs come with the package: "lesson_01", ..."""
    return sorted(path.name.removesuffix(".py.txt") for path in STUBS.glob("lesson_*.py.txt"))


def packaged(lesson: int) -> str:
    """The stubs of a lesson as they come with the package.

    Raises:
        FileNotFoundError: there are none.
    """
    path = STUBS / f"{file_name(lesson)}.txt"
    if not path.is_file():
        raise FileNotFoundError(
            f"the package has no stubs of lesson {lesson}; make them with tools/make_exercises.py"
        )
    return path.read_text(encoding="utf-8")


def stub(id: str) -> str:
    """The pristine block of an exercise.

    Raises:
        FileNotFoundError: the package's stubs do not have it.
    """
    block = find(packaged(int(id.partition(".")[0])), id)
    if block is None:
        raise FileNotFoundError(
            f"the package's stubs lack exercise {id}; make them anew: tools/make_exercises.py"
        )
    return block.text.rstrip("\n") + "\n"


def mark(exercise: Exercise) -> str:
    """The line that begins an exercise's block."""
    return f"# %% Exercise {exercise.id}: {exercise.title}"


def read(path: Path) -> Source:
    """A file to grade.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is no file, or far too large.
    """
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is not a file; give a file of Python code")
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(
            f"{path} has {path.stat().st_size / 1e6:.0f} MB; a file of answers has far less than "
            f"{MOST_BYTES / 1e6:.0f} MB"
        )
    return Source.read(path)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """One process at a time changes files in the folder; without a lock where none can be had."""
    from filelock import FileLock

    # The system's own lock goes with its process, however that ended.
    lock = FileLock(folder / ".lock", timeout=20, fallback_to_soft=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except (OSError, NotImplementedError):  # read-only, without locks, or held for too long
        yield
        return
    try:
        yield
    finally:
        lock.release()


def _defines(text: str, function: str) -> bool:
    return re.search(rf"^(async )?def {function}\b", text, re.MULTILINE) is not None


def _text(path: Path) -> str:
    """As it stands on disk, every byte of it: what is no UTF-8 goes back as it came."""
    text = path.read_bytes().decode("utf-8", errors="surrogateescape")
    return text.replace("\r\n", "\n").removeprefix("\ufeff")


def _write(path: Path, text: str) -> None:
    with atomic_path(path.resolve(), overwrite=True) as part:  # a link stays a link
        part.write_bytes(text.encode("utf-8", errors="surrogateescape"))
