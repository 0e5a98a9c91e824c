"""The option `--exercise`: `pytest tests/exercises --exercise 1.2` grades the student's own file.

It may be repeated; a lesson's number means all its exercises, and "all" every exercise. The folder
must be named on the command line: pytest reads this file too late otherwise.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from hybridlab.grading.manifest import chosen

EVERY = "all"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--exercise", action="append", metavar="ID",
        help="grade your own answer to this exercise, lesson, or 'all' (may be repeated); without "
             "it the course's solutions are graded",
    )


def pytest_configure(config: pytest.Config) -> None:
    """An unknown exercise ends the run before it begins."""
    for what in config.getoption("--exercise", default=None) or ():
        try:
            chosen(None if what == EVERY else what)
        except ValueError as error:  # there is none, or an entry of the manifest is not whole
            raise pytest.UsageError(f"--exercise {what}: {error}") from None


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Whoever grades an exercise wants its verdict, not the proof of the checks."""
    other = collection_path.suffix == ".py" and collection_path.name != "test_exercises.py"
    return True if other and config.getoption("--exercise", default=None) else None
