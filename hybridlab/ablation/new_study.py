"""`hybridlab ablate --new NAME`: a study file that runs as it stands, and a report to fill in."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from hybridlab.files import write_text

TEMPLATES = Path(__file__).parent / "templates"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,59}")
_PLAIN = re.compile(r"[\w. /:-]+")
# Names that Windows keeps for devices, whatever their ending.
_DEVICES = {"con", "prn", "aux", "nul", *(f"{one}{n}" for one in ("com", "lpt") for n in range(10))}


class NewStudy(NamedTuple):
    """The two files that were written."""

    study: Path
    report: Path


def new_study(name: str, studies: Path) -> NewStudy:
    """Write NAME.py and NAME_report.md; nothing is ever overwritten.

    Args:
        name: of the study, perhaps with a folder before it ("homework/width") or ".py" behind it.
        studies: the folder in which runs of studies are kept.

    Raises:
        ValueError: the name is none that a file, a folder and a study can have.
        FileExistsError: one of the files exists, or runs of a study of this name.
        FileNotFoundError: the folder before the name is missing.
    """
    given = Path(name)
    stem = given.name.removesuffix(".py")
    if not _NAME.fullmatch(stem) or stem.lower() in _DEVICES:
        raise ValueError(
            f"a study cannot be called {stem!r}; use 1 to 60 letters (a to z), digits, '_' and "
            "'-', beginning with a letter, such as my_study"
        )
    made = NewStudy(given.with_name(f"{stem}.py"), given.with_name(f"{stem}_report.md"))
    folder = studies / stem
    for path in (*made, folder):
        if os.path.lexists(path):
            raise FileExistsError(f"{path} exists and is kept; choose another name")
    words = {
        "STUDY_NAME": stem, "STUDY_FILE": _in_command(made.study),
        "STUDY_FOLDER": _in_command(folder), "REPORT_FILE": _in_command(made.report),
    }
    write_text(made.study, _filled("study.txt", words))
    try:
        write_text(made.report, _filled("report.txt", words))
    except BaseException:
        with suppress(OSError):  # one without the other would stand in the way of the next try
            made.study.unlink()
        raise
    return made


def _in_command(path: Path) -> str:
    """A path as it stands in a command within a docstring or a comment, which it must not end."""
    text = path.as_posix()
    return quote(text if _PLAIN.fullmatch(text) else path.name)


def _filled(template: str, words: dict[str, str]) -> str:
    text = (TEMPLATES / template).read_text("utf-8")
    for word, value in words.items():
        text = text.replace(word, value)
    return text
