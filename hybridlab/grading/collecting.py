"""Which file of a folder of submissions is whose, and what stands in it. Nothing is run here.

No link is followed, and nothing large is read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hybridlab.grading.cells import HEADING, CellError, from_notebook
from hybridlab.grading.manifest import Exercise, file_name
from hybridlab.grading.workbook import packaged

CODE, NOTEBOOK = ".py", ".ipynb"
_LARGEST = {CODE: 1_000_000, NOTEBOOK: 20_000_000}  # bytes; a notebook may hold pictures
# of what lies in a folder of submissions beside them
_NO_SUBMISSION = {".csv", ".json", ".yml", ".yaml", ".md", ".log"}
_PASSED_OVER = {"__pycache__", "__MACOSX", "backup", "node_modules", "site-packages", "venv"}
_DEEPEST, _MOST = 6, 3000  # folders in folders, and entries of one student's folder


@dataclass(frozen=True)
class Entry:
    """One student's.

    Attributes:
        student: the name of the file or folder.
        path: of what is to be graded; None where that cannot be said.
        file: the same from the folder of all on.
        note: why not.
    """

    student: str
    path: Path | None
    file: str = ""
    note: str = ""


def entries(folder: Path, lesson: int) -> list[Entry]:
    """One for each file or folder, by name.

    Raises:
        FileNotFoundError, NotADirectoryError: no such folder.
    """
    if not folder.exists():
        raise FileNotFoundError(f"there is no folder {folder}")
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; give the folder that the submissions are in")
    found = []
    for name in sorted(os.listdir(folder)):
        path = folder / name
        if name.startswith(".") or name in _PASSED_OVER:
            continue
        if path.suffix.lower() in _NO_SUBMISSION and not path.is_dir():
            continue
        entry = _entry(path, folder, lesson)
        found.append(Entry(
            plain(entry.student), entry.path, plain(entry.file), plain(entry.note)
        ))
    return found


def plain(words: str) -> str:
    """One line that every terminal and file can take: names of files may hold anything."""
    return " ".join("".join(each if each.isprintable() else " " for each in words).split())[:500]


def text_of(path: Path, exercises: Sequence[Exercise]) -> tuple[str, str]:
    """The code of a submission, and "" or why there is none.

    Args:
        path: a .py file, or a notebook, whose `%%exercise` cells are put into the lesson's file.
    """
    kind = path.suffix.lower()
    try:
        # a link that took the file's place is not followed, and nobody waits for a pipe
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        with open(os.open(path, flags), "rb") as file:
            size = os.fstat(file.fileno())
            if not stat.S_ISREG(size.st_mode):
                return "", "not an ordinary file"
            if size.st_size > _LARGEST[kind]:
                return "", (
                    f"the file has {size.st_size / 1e6:.1f} MB; at most "
                    f"{_LARGEST[kind] / 1e6:.0f} MB are read"
                )
            data = file.read(_LARGEST[kind])
    except OSError as error:
        return "", f"the file cannot be read: {error.strerror or type(error).__name__}"
    if not data.strip():
        return "", "the file is empty"
    if b"\0" in data:
        return "", "a binary file, not code"
    text = data.decode("utf-8", errors="replace").replace("\r\n", "\n").removeprefix("\ufeff")
    if kind == CODE:
        return text, ""
    try:
        base = packaged(exercises[0].lesson)
    except FileNotFoundError:
        base = HEADING
    try:
        return from_notebook(text, exercises, base), ""
    except CellError as error:
        return "", str(error)


def _entry(path: Path, folder: Path, lesson: int) -> Entry:
    if path.is_symlink():
        return Entry(path.stem, None, note="a link; links are not followed")
    if path.is_file():
        if path.suffix.lower() in _LARGEST:
            return Entry(path.stem, path, path.name)
        return Entry(path.stem, None, note=f"{path.name} is neither .py nor .ipynb")
    if not path.is_dir():
        return Entry(path.stem, None, note="not an ordinary file")
    files = sorted(_files(path))
    chosen = _best(files, path, lesson)
    if len(chosen) == 1:
        return Entry(path.name, chosen[0], chosen[0].relative_to(folder).as_posix())
    if not chosen:
        return Entry(path.name, None, note="no .py or .ipynb file in the folder")
    names = ", ".join(each.relative_to(path).as_posix() for each in chosen[:4])
    more = f" and {len(chosen) - 4} more" if len(chosen) > 4 else ""
    return Entry(path.name, None, note=f"several files to choose from: {names}{more}")


def _best(files: list[Path], top: Path, lesson: int) -> list[Path]:
    """Those that may be meant: one, if it can be told."""
    named = [path for path in files if path.name == file_name(lesson)]
    # a whole clone of the course holds the solutions, too
    own = [path for path in named if path.parent.name == "exercises"] or named or files
    least = min((len(path.relative_to(top).parts) for path in own), default=0)
    return [path for path in own if len(path.relative_to(top).parts) == least] if named else own


def _files(top: Path) -> Iterator[Path]:
    """Code and notebooks in a folder, not through links, and not without end."""
    seen, todo = 0, [(top, 0)]
    while todo:
        folder, depth = todo.pop()
        try:
            inside = sorted(os.scandir(folder), key=lambda each: each.name)
        except OSError:
            continue
        for entry in inside:
            seen += 1
            if seen > _MOST:
                return
            if entry.is_symlink() or entry.name.startswith(".") or entry.name in _PASSED_OVER:
                continue
            if entry.is_dir(follow_symlinks=False):
                if depth < _DEEPEST:
                    todo.append((Path(entry.path), depth + 1))
            elif entry.is_file(follow_symlinks=False) and (
                os.path.splitext(entry.name)[1].lower() in _LARGEST
            ):
                yield Path(entry.path)
