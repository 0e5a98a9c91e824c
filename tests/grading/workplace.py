"""A lesson of two exercises, 90.1 and 90.2, that tests add to the manifest."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hybridlab.grading import lessons, manifest

ENTRIES = '''"""The exercises of lesson 90."""

import numpy as np

from hybridlab.grading.launch import Limits
from hybridlab.grading.manifest import Exercise

QUICK = Limits(cpu_seconds=1, wall_seconds=4.0, memory=2**30)


def check_double(trial):
    with trial.part("the example"):
        trial.equal(trial.call("double", np.array([1.0, 2.0])), [2.0, 4.0])
    with trial.part("any numbers"):
        x = trial.rng.normal(size=3)
        trial.equal(trial.call("double", x), 2 * x)


def check_total(trial):
    with trial.part("any numbers"):
        x = trial.rng.normal(size=4)
        trial.equal(trial.call("total", x), x.sum())


EXERCISES = (
    Exercise("90.1", "Twice", ("double",), 1, 5, ("Think of 2.", "2 * x"),
             {"the example": 1, "any numbers": 2}, check_double, QUICK),
    Exercise("90.2", "The sum", ("total",), 3, 12, ("Add.", "Use .sum()."),
             {"any numbers": 2}, check_total, QUICK),
)
'''

SOLUTIONS = '''"""Lesson 90: two exercises."""

import numpy as np


# %% Exercise 90.1: Twice
def double(x: np.ndarray) -> np.ndarray:
    """Twice x.

    Shape:
        x (N,) -> (N,)
    """
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION


# %% Exercise 90.2: The sum
def total(x: np.ndarray) -> float:
    """The sum of x (N,)."""
    if x.size == 0:
        ### BEGIN SOLUTION
        return 0.0
        ### END SOLUTION
    ### BEGIN SOLUTION
    return float(x.sum())
    ### END SOLUTION
'''

STUBS = '''"""Lesson 90: two exercises."""

import numpy as np


# %% Exercise 90.1: Twice
def double(x: np.ndarray) -> np.ndarray:
    """Twice x.

    Shape:
        x (N,) -> (N,)
    """
    raise NotImplementedError("Exercise 90.1: Twice")


# %% Exercise 90.2: The sum
def total(x: np.ndarray) -> float:
    """The sum of x (N,)."""
    if x.size == 0:
        raise NotImplementedError("Exercise 90.2: The sum")
    raise NotImplementedError("Exercise 90.2: The sum")
'''

# The command line in a process of its own, with lesson 90 in the manifest.
DRIVER = '''import sys
from pathlib import Path

from hybridlab.grading import lessons, workbook

entries, stubs = map(Path, sys.argv[1:3])
lessons.__path__.append(str(entries))
workbook.STUBS, workbook.PROJECT = stubs, entries
from hybridlab.__main__ import main

del sys.argv[1:3]
sys.exit(main())
'''

TWICE = "return 2 * x"
SUM = "return x.sum()"


def written(text: str, exercise: str, body: str) -> str:
    """Stubs with an answer in the place of the last `raise` of an exercise."""
    before, found, after = text.rpartition(f'raise NotImplementedError("Exercise {exercise}')
    assert found
    return before + body + after[after.index("\n"):]


@contextmanager
def lesson_90(folder: Path) -> Iterator[Path]:
    """Lesson 90 in the manifest, its stubs in the folder that is given."""
    entries, stubs = folder / "entries", folder / "stubs"
    entries.mkdir(parents=True)
    stubs.mkdir()
    (entries / "lesson_90.py").write_text(ENTRIES)
    (stubs / "lesson_90.py.txt").write_text(STUBS)
    lessons.__path__.append(str(entries))
    manifest.exercises.cache_clear()
    try:
        yield stubs
    finally:
        lessons.__path__.remove(str(entries))
        sys.modules.pop(f"{lessons.__name__}.lesson_90", None)
        manifest.exercises.cache_clear()
