"""Stubs from solutions: exact, and every slip in the solutions is told with file and line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hybridlab.grading import manifest, workbook
from hybridlab.grading.blocks import split
from hybridlab.grading.markers import MarkerError, make_stubs, refuse_passing, stubs_of

from .workplace import SOLUTIONS, STUBS, SUM, lesson_90, written

ROOT = Path(__file__).resolve().parents[2]
FILE = "solutions/lesson_90.py"


@pytest.fixture(autouse=True)
def stubs(tmp_path: Path) -> Iterator[Path]:
    with lesson_90(tmp_path) as folder:
        yield folder


def made(text: str) -> str:
    return make_stubs(text, FILE, manifest.of_lesson(90))


def test_a_solution_becomes_a_raise_at_its_own_indentation() -> None:
    assert made(SOLUTIONS) == STUBS


def test_text_outside_the_markers_stays_to_the_byte() -> None:
    extra = "import numpy as np\n\nX = 'ä\x0c\u2028'\t# %%"
    odd = SOLUTIONS.replace("import numpy as np", extra)
    assert made(odd) == STUBS.replace("import numpy as np", extra)


def swapped(old: str, new: str, count: int = 1) -> str:
    assert old in SOLUTIONS
    return SOLUTIONS.replace(old, new, count)


END = "    ### END SOLUTION\n"
BEGIN = "    ### BEGIN SOLUTION\n"
LAST = SOLUTIONS[SOLUTIONS.index("# %% Exercise 90.2"):]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (swapped("    return 2 * x\n" + END, "    return 2 * x\n"), 13, "not closed"),
        (swapped(BEGIN, BEGIN + BEGIN), 14, "that of line 13 is still open"),
        (swapped(BEGIN, ""), 14, "without a"),
        (swapped("import numpy as np\n", "import numpy as np\n### END SOLUTION\n"), 4,
         "outside any exercise"),
        (swapped("    return 2 * x\n", "    # to do\n    pass\n"), 13, "no solution between"),
        (swapped(BEGIN, "").replace(END, "", 1), 6, "no '### BEGIN SOLUTION'"),
        (swapped("### BEGIN", "### Begin"), 13, "is no marker"),
        (swapped("### END SOLUTION", "### END SOLUTIONS"), 15, "is no marker"),
        (swapped("    return 2 * x\n" + END, "    return 2 * x\n### END SOLUTION\n"), 15,
         "not indented"),
        (swapped("# %% Exercise 90.1: Twice", "# %% Exercise 90.1: Double"), 6,
         "the manifest's title"),
        (swapped("# %% Exercise 90.1: Twice", "# %% Exercise 90.1 Twice"), 6,
         "the manifest's title"),
        (swapped("# %% Exercise 90.1: Twice", "#%% exercise 90.1: Twice"), 6, "is no mark"),
        (swapped("Exercise 90.1", "Exercise 90.7"), 6, "90.7 is not in the manifest"),
        (SOLUTIONS.replace(LAST, ""), 18, "no block for exercise 90.2"),
        (f"{SOLUTIONS}\n\n{LAST}", SOLUTIONS.count("\n") + 3, "two blocks"),
        (swapped("def double", "def twice"), 6, "does not define double()"),
        (swapped('    """The sum of x (N,)."""\n', ""), 19, "no docstring"),
        (swapped("    return 2 * x", "    return 2 * * x"), 14, "not valid Python"),
        (swapped(f"    return 2 * x\n{END}",
                 f"    if len(x):\n        return 2 * x\n{END}    else:\n        return x\n"), 6,
         "whole statements"),
        (swapped("def double", 'def double(x):\n    """2."""\n    raise ValueError\n\n\ndef help'),
         7, "given away"),
    ],
)
def test_every_slip_is_told_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(MarkerError) as error:
        made(text)
    assert str(error.value).startswith(f"{FILE}:{line}: ") and words in str(error.value)


def test_a_missing_file_and_a_file_too_many(tmp_path: Path) -> None:
    folder = tmp_path / "solutions"
    folder.mkdir()
    for lesson in {each.lesson for each in manifest.exercises().values()} - {90}:
        name = manifest.file_name(lesson)
        (folder / name).write_text((ROOT / "solutions" / name).read_text())
    with pytest.raises(MarkerError, match=r"solutions/lesson_90.py:1: this file is missing"):
        stubs_of(folder)
    (folder / "lesson_90.py").write_text(SOLUTIONS)
    assert stubs_of(folder)[90] == STUBS
    (folder / "lesson_91.py").write_text(SOLUTIONS)
    with pytest.raises(MarkerError, match=r"lesson_91.py:1: the manifest has no exercise"):
        stubs_of(folder)


def test_a_stub_that_earns_a_point_is_refused() -> None:
    entries = manifest.of_lesson(90)
    refuse_passing(STUBS, "exercises/lesson_90.py", entries)
    with pytest.raises(MarkerError, match=r"lesson_90.py:16: the stub of exercise 90.2 is graded "
                                          "'right' with 2 of 2 points"):
        refuse_passing(written(STUBS, "90.2", SUM), "exercises/lesson_90.py", entries)


# --- the tool, on a project of its own ---


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import importlib.util

    specification = importlib.util.spec_from_file_location(
        "make_exercises", ROOT / "tools" / "make_exercises.py"
    )
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    project = tmp_path / "project"
    (project / "solutions").mkdir(parents=True)
    (project / "solutions" / "lesson_90.py").write_text(SOLUTIONS)
    only = {id: each for id, each in manifest.exercises().items() if each.lesson == 90}
    monkeypatch.setattr("hybridlab.grading.markers.exercises", lambda: only)
    return lambda *arguments: module.main(list(arguments), project)


def test_the_tool_writes_both_places_and_finds_any_difference(tool, tmp_path: Path) -> None:
    given = tmp_path / "project" / "exercises" / "lesson_90.py"
    pristine = tmp_path / "project" / "hybridlab" / "grading" / "stubs" / "lesson_90.py.txt"
    assert tool("--check") == 1 and not given.exists(), "a check writes nothing"
    assert tool() == 0
    assert given.read_text() == pristine.read_text() == STUBS
    assert tool("--check") == 0
    pristine.write_text(STUBS + "\n")
    assert tool("--check") == 1


def test_the_tool_keeps_somebodys_answers(
    tool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tool() == 0
    given = tmp_path / "project" / "exercises" / "lesson_90.py"
    given.write_text(STUBS + "\nmine = 1\n")
    assert tool() == 1 and given.read_text().endswith("mine = 1\n")
    assert "is kept" in capsys.readouterr().err
    solutions = tmp_path / "project" / "solutions" / "lesson_90.py"
    given.write_text(STUBS)
    solutions.write_text(SOLUTIONS.replace("Twice x.", "Two times x."))
    assert tool() == 0 and "Two times x." in given.read_text(), "an old stub is nobody's work"


def test_the_tool_tells_a_slip_in_one_line(
    tool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "project" / "solutions" / "lesson_90.py").write_text(swapped(BEGIN, ""))
    assert tool() == 1
    err = capsys.readouterr().err
    assert err.startswith("solutions/lesson_90.py:14: ") and err.count("\n") == 1


# --- the course's own files ---


@pytest.mark.parametrize("path", sorted((ROOT / "solutions").glob("lesson_*.py")),
                         ids=lambda path: path.stem)
def test_stubs_are_what_the_solutions_make(path: Path) -> None:
    """`exercises/` belongs to the student once there is progress beside it: then no exercise may
    be missing, whatever stands in it."""
    lesson = int(path.stem.removeprefix("lesson_"))
    entries = manifest.of_lesson(lesson)
    stubs = make_stubs(path.read_text(encoding="utf-8"), f"solutions/{path.name}", entries)
    remedy = "run: python tools/make_exercises.py"
    pristine = ROOT / "hybridlab" / "grading" / "stubs" / f"{path.name}.txt"
    assert pristine.read_text(encoding="utf-8") == stubs, remedy
    given = (ROOT / "exercises" / path.name).read_text(encoding="utf-8")
    if (ROOT / "exercises" / ".progress.json").exists():
        assert [each.id for each in entries if each.id not in {b.id for b in split(given)}] == []
    else:
        assert given == stubs, f"{remedy} (if these are your answers: hybridlab grade {lesson})"


def test_every_exercise_has_a_packaged_stub() -> None:
    for id, exercise in manifest.exercises().items():
        if exercise.lesson != 90:
            assert workbook.stub(id).startswith(f"# %% Exercise {id}: {exercise.title}\n")
    assert not list((ROOT / "hybridlab" / "grading" / "stubs").glob("*.py")), (
        "as .py they would be imported and linted"
    )


def test_the_words_of_a_title_are_quoted(tmp_path: Path) -> None:
    entry = manifest.exercise("90.1")
    title = 'the "right" \\way'
    from dataclasses import replace

    text = SOLUTIONS.replace("90.1: Twice", f"90.1: {title}")
    entries = [replace(entry, title=title), manifest.exercise("90.2")]
    stubs = make_stubs(text, FILE, entries)
    assert f"NotImplementedError({json.dumps(f'Exercise 90.1: {title}')})" in stubs
    compile(stubs, FILE, "exec")
    assert sys.version_info >= (3, 11)
