"""Grades exercises: the student's own with `--exercise 1.2`, else the course's solutions."""

from __future__ import annotations

from pathlib import Path

import pytest

from hybridlab.grading.grader import grade
from hybridlab.grading.manifest import Exercise, chosen
from hybridlab.grading.proof import Folder
from hybridlab.grading.verdict import told
from hybridlab.grading.workbook import Workbook

SOLUTIONS = Folder.of(Path(__file__).resolve().parents[2])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    asked = metafunc.config.getoption("--exercise", default=None) or ["all"]
    entries = {entry.id: entry for what in asked
               for entry in chosen(None if what == "all" else what)}
    metafunc.parametrize("entry", entries.values(), ids=entries.keys())


def test_exercise(entry: Exercise, pytestconfig: pytest.Config) -> None:
    own = pytestconfig.getoption("--exercise", default=None)
    source = Workbook.open().source(entry) if own else SOLUTIONS.solution(entry)
    # the course's own with one seed, so that a test run can be repeated; many: `make prove`
    verdict = grade(entry, source, None if own else 0)
    if not verdict.right:  # the verdict says it all: no traceback of ours
        pytest.fail(told(verdict, len(entry.hints)), pytrace=False)
