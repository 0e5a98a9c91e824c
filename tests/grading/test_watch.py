"""Watching a file: what changed is checked, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hybridlab.grading import manifest
from hybridlab.grading.grader import grade
from hybridlab.grading.verdict import CRASHED
from hybridlab.grading.watch import Watch

from .workplace import STUBS, SUM, TWICE, lesson_90, written


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    with lesson_90(tmp_path / "course"):
        found = tmp_path / "lesson_90.py"
        found.write_text(STUBS)
        yield found


def changes(watch: Watch) -> list[str]:
    return [exercise.id for exercise, _ in watch.changed()]


def watching(path: Path) -> Watch:
    watch = Watch([(each, path) for each in manifest.of_lesson(90)])
    assert changes(watch) == ["90.1", "90.2"], "the first look checks all"
    assert changes(watch) == []
    return watch


def test_only_the_exercise_that_changed(path: Path) -> None:
    watch = watching(path)
    path.write_text(written(STUBS, "90.2", SUM))
    assert changes(watch) == ["90.2"]
    path.write_text(written(written(STUBS, "90.2", SUM), "90.1", TWICE))
    assert changes(watch) == ["90.1"]


def test_lines_that_move_and_saves_without_a_change_are_no_change(path: Path) -> None:
    watch = watching(path)
    os.utime(path, ns=(1, 1))
    assert changes(watch) == []
    path.write_text(STUBS.replace("# %% Exercise 90.2", "\n\n# %% Exercise 90.2") + "\n\n")
    assert changes(watch) == []


def test_what_an_exercise_uses_counts(path: Path) -> None:
    helper = "\n\ndef two():\n    return {}\n"
    text = written(STUBS, "90.1", "return two() * x") + helper
    path.write_text(text.format(3))
    watch = watching(path)
    path.write_text(text.format(2))
    assert changes(watch) == ["90.1", "90.2"], "the helper stands in the block of 90.2"
    path.write_text(text.format(2).replace("import numpy as np", "import numpy"))
    assert changes(watch) == ["90.1", "90.2"], "the heading is everybody's"


def test_a_syntax_error_is_a_verdict(path: Path) -> None:
    watch = watching(path)
    path.write_text(written(STUBS, "90.1", "return 2 * * x"))
    found = list(watch.changed())
    assert [exercise.id for exercise, _ in found] == ["90.1"]
    verdict = grade(*found[0])
    assert verdict.kind == CRASHED and "SyntaxError" in verdict.parts[0].words


def test_a_file_that_is_away_for_a_moment(path: Path) -> None:
    watch = watching(path)
    path.rename(path.with_suffix(".away"))
    assert changes(watch) == []
    path.with_suffix(".away").write_text(written(STUBS, "90.1", TWICE))
    path.with_suffix(".away").rename(path)
    assert changes(watch) == ["90.1"]


def test_what_is_saved_while_a_check_runs_is_checked_next(path: Path) -> None:
    watch = watching(path)
    path.write_text(written(STUBS, "90.1", "return x"))
    for exercise, source in watch.changed():
        assert exercise.id == "90.1" and "return x\n" in source.text
        path.write_text(written(STUBS, "90.1", TWICE))
    assert changes(watch) == ["90.1"]


def test_ctrl_c_ends_it_quietly(path: Path) -> None:
    checked: list[str] = []

    def check(exercise: manifest.Exercise, source: object) -> None:
        checked.append(exercise.id)
        if exercise.id == "90.2":
            raise KeyboardInterrupt

    Watch([(each, path) for each in manifest.of_lesson(90)]).run(check, pause=0.01)
    assert checked == ["90.1", "90.2"]
