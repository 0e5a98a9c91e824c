"""`hybridlab grade`, as it is typed."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hybridlab import cli
from hybridlab.grading import workbook
from hybridlab.grading.manifest import of_lesson
from hybridlab.grading.progress import Progress

from .workplace import DRIVER, SOLUTIONS, STUBS, SUM, TWICE, lesson_90, written

ROOT = Path(__file__).resolve().parents[2]
RIGHT = written(written(STUBS, "90.1", TWICE), "90.2", SUM)
FIRST = workbook.STUBS
HEAVY = ("torch", "torchvision", "open_clip", "timm", "sklearn", "torchmetrics", "matplotlib")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with lesson_90(tmp_path / "course") as stubs:
        monkeypatch.setattr(workbook, "STUBS", stubs)
        monkeypatch.setattr(workbook, "PROJECT", tmp_path / "nowhere")
        here = tmp_path / "here"
        here.mkdir()
        monkeypatch.chdir(here)
        yield here


def grade(*arguments: str) -> int:
    return cli.main(["grade", *arguments])


def answer(place: Path, text: str) -> Path:
    path = place / "exercises" / "lesson_90.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


# --- the table ---


def test_the_table_runs_nothing_and_makes_nothing(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert grade() == 0
    out = capsys.readouterr().out
    assert "Lesson 90: 0 of 2 right, 0 of 5 points" in out
    assert "90.1  Twice" in out and "hard     12 min" in out
    assert list(place.iterdir()) == []


def test_the_table_shows_progress(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer(place, RIGHT)
    assert grade("90.1") == 0
    capsys.readouterr()
    assert grade() == 0
    out = capsys.readouterr().out
    assert "Lesson 90: 1 of 2 right, 3 of 5 points" in out and "3/3   right (1 check)" in out


def test_table_and_help_import_nothing_heavy(tmp_path: Path) -> None:
    """Checks may import torch, but only while they check."""
    code = (
        "import sys\nfrom hybridlab import cli\n"
        "status = cli.main(['grade'])\n"
        f"print(sorted(set({HEAVY}) & set(sys.modules)), status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.splitlines()[-1] == "[] 0", done.stdout + done.stderr


# --- checks ---


def test_stubs_are_made_and_not_attempted(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert grade("90") == 1
    told = capsys.readouterr()
    assert (place / "exercises" / "lesson_90.py").read_text() == STUBS
    assert told.out.count("not attempted, 0 of") == 2
    assert "0 of 2 exercises right, 0 of 5 points" in told.out
    assert "type your answers there" in told.err


def test_one_exercise_and_its_exit_status(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer(place, RIGHT.replace(SUM, "return x.mean()"))
    assert grade("90.1") == 0
    out = capsys.readouterr().out
    assert "Exercise 90.1, Twice: right, 3 of 3 points" in out and "exercises right" not in out
    assert grade("90.2", "--seed", "7") == 1
    out = capsys.readouterr().out
    assert "wrong value" in out and "hybridlab grade 90.2 --seed 7" in out and "--hint 1" in out
    assert grade("90") == 1
    assert "1 of 2 exercises right, 3 of 5 points" in capsys.readouterr().out
    records = Progress(place / "exercises").records()
    assert (records["90.1"].attempts, records["90.2"].attempts) == (2, 2)
    assert records["90.1"].solved and not records["90.2"].solved


def test_the_seed_decides_the_inputs(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer(place, RIGHT.replace(SUM, "return x.mean()"))
    told = []
    for seed in ("7", "7", "8"):
        grade("90.2", "--seed", seed)
        told.append([line for line in capsys.readouterr().out.splitlines() if "got" in line])
    assert told[0] == told[1] != told[2] and told[0]


def test_another_file_leaves_progress_alone(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "lesson_90.py"
    other.write_text(RIGHT)
    assert grade("--file", str(other)) == 0, "the name tells the lesson"
    other = other.rename(tmp_path / "answers.py")
    assert grade("90.2", "--file", str(other)) == 0
    assert grade("--file", str(other)) == 2
    assert "say what is in" in capsys.readouterr().err
    assert list(place.iterdir()) == []


def test_solutions(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert grade("90", "--solutions") == 2
    assert "the solutions come with the course's repository" in capsys.readouterr().err
    (place / "solutions").mkdir()
    (place / "solutions" / "lesson_90.py").write_text(SOLUTIONS)
    assert grade("90", "--solutions") == 0
    assert "2 of 2 exercises right" in capsys.readouterr().out
    assert not (place / "exercises").exists()


def test_a_progress_file_that_is_damaged_costs_a_note(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(place, RIGHT)
    (place / "exercises" / ".progress.json").write_text("{")
    assert grade() == 0
    assert "damaged" in capsys.readouterr().err
    assert grade("90.1") == 0
    assert capsys.readouterr().err.count("note: ") == 1
    assert grade() == 0
    assert capsys.readouterr().err == ""


# --- hints and resets ---


def test_hints(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert grade("90.2", "--hint", "2") == 0
    assert capsys.readouterr().out == "Exercise 90.2, The sum, hint 2 of 2:\nUse .sum().\n"
    assert not (place / "exercises").exists(), "a hint makes no folder"
    answer(place, STUBS)
    assert grade("90.2", "--hint", "1") == 0
    assert Progress(place / "exercises").records()["90.2"].hints == 1
    assert grade("90.2", "--hint", "3") == 2 and grade("90.2", "--hint", "0") == 2
    assert capsys.readouterr().err.count("give 1 to 2") == 2


def test_reset_says_where_the_copy_is(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = answer(place, RIGHT)
    assert grade("--reset", "90.1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert path.read_text() == written(STUBS, "90.2", SUM)
    copy = Path(lines[-1].removeprefix("your file as it was: "))
    assert copy.parent == Path("exercises/backup") and copy.read_text() == RIGHT
    assert grade("90") == 1
    assert "1 of 2 exercises right" in capsys.readouterr().out


def test_after_a_reset_the_table_says_what_the_file_holds(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(place, RIGHT)
    assert grade("90") == 0 and grade("--reset", "90.1") == 0
    capsys.readouterr()
    assert grade() == 0
    out = capsys.readouterr().out
    assert "3/3   right before; the stub is there again (1 check)" in out
    assert "2/2   right (1 check)" in out


def test_what_code_makes_of_its_words_harms_no_terminal(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = "print('\\x1b]0;title\\x07 \\ud800')\n    raise ValueError('\\x1b[2J' + 'x' * 10**5)"
    answer(place, written(STUBS, "90.1", body))
    assert grade("90.1") == 1
    out = capsys.readouterr().out
    assert "ValueError: \\x1b[2Jxxx" in out and "\\x1b]0;title\\x07 \\ud800" in out
    assert "\x1b" not in out and max(map(len, out.splitlines())) < 350


def test_answers_that_call_the_package_are_refused_where_a_teacher_says_so(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    called = "import hybridlab.files\n    return 2 * x"
    answer(place, RIGHT.replace(TWICE, called))
    assert grade("90") == 0
    capsys.readouterr()
    assert grade("90", "--no-library") == 1
    out = capsys.readouterr().out
    assert "90.1, Twice: not attempted, 0 of 3" in out and "90.2, The sum: right" in out
    assert "line 13 imports hybridlab ('import hybridlab.files')" in out


# --- errors ---


@pytest.mark.parametrize(("arguments", "words"), [
    (["90.3"], "there is no exercise '90.3'; there are"),
    (["91"], "lesson 91 has no exercises"),
    (["²"], "there is no exercise '²'"),
    (["ninety"], "there is no exercise 'ninety'"),
    (["--reset", "90"], "there is no exercise '90'"),
    (["90.1", "--file", "none.py"], "none.py: No such file or directory"),
    (["90.1", "--file", "."], ". is not a file"),
    (["90.1", "--json", "none/results.json"], "there is no folder none"),
    (["90", "--submissions", "none", "--csv", "t.csv"], "none"),
    (["90", "--submissions", ".", "--csv", "t.csv"], "holds no submissions"),
])
def test_what_cannot_be_is_one_line_and_nothing_is_made(
    arguments: list[str], words: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert grade(*arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("hybridlab: ") and err.count("\n") == 1 and words in err
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(("arguments", "words"), [
    (["--hint", "1"], "--hint needs an exercise"),
    (["90", "--hint", "1"], "--hint needs an exercise"),
    (["90.1", "--reset", "90.1"], "--reset names its exercise itself"),
    (["90", "--watch", "--json", "r.json"], "--watch and --json do not go together"),
    (["90", "--solutions", "--file", "x.py"], "--solutions and --file do not go together"),
    (["90", "--csv", "t.csv"], "--csv FILE and --submissions FOLDER go together"),
    (["90", "--submissions", "."], "--csv FILE and --submissions FOLDER go together"),
    (["90.1", "--submissions", ".", "--csv", "t.csv"], "--submissions needs a lesson"),
    (["--submissions", ".", "--csv", "t.csv"], "--submissions needs a lesson"),
    (["90.1", "--seed", "-1"], "seed is -1"),
    (["²", "--submissions", ".", "--csv", "t.csv"], "--submissions needs a lesson"),
    (["90", "--jobs", "0"], "jobs is 0"),
])
def test_options_that_do_not_fit_are_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        grade(*arguments)
    err = capsys.readouterr().err
    assert stop.value.code == 2 and err.count("\n") == 1 and words in err


# --- for teachers ---


def test_results_for_gradescope(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer(place, written(STUBS, "90.1", TWICE))
    assert grade("90", "--json", "results.json") == 1
    results = json.loads(Path("results.json").read_text())
    assert results["score"] == 3 and len(results["tests"]) == 3
    before = Path("results.json").read_bytes()
    assert grade("90", "--json", "results.json") == 2
    assert Path("results.json").read_bytes() == before
    assert "exists and is kept" in capsys.readouterr().err


def test_a_folder_of_submissions(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of lesson 01: the graders are processes of their own, which do not know lesson 90."""
    folder = place / "in"
    folder.mkdir()
    (folder / "ada.py").write_bytes((ROOT / "solutions" / "lesson_01.py").read_bytes())
    (folder / "bob.py").write_bytes((FIRST / "lesson_01.py.txt").read_bytes())
    arguments = ("1", "--submissions", "in", "--csv", "table.csv", "--seed", "4", "--jobs", "1")
    assert grade(*arguments) == 0
    out = capsys.readouterr().out
    worth = sum(each.worth for each in of_lesson(1))
    assert f"ada: {worth} of {worth}" in out and f"bob: 0 of {worth}" in out and "seed 4" in out
    rows = list(csv.DictReader(Path("table.csv").read_text("utf-8-sig").splitlines()))
    assert [(row["student"], row["total"]) for row in rows] == [("ada", str(worth)), ("bob", "0")]
    assert grade(*arguments) == 2 and "exists and is kept" in capsys.readouterr().err


def test_the_csv_is_there_after_each_submission(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever ends the grader costs what was not graded, and no more."""
    from hybridlab.grading import submissions

    def some(folder, lesson, jobs, seed, report, library):
        for name in ("zoe", "ada"):
            report(submissions.Submission(name, f"{name}.py", 90, (), 4))
        raise RuntimeError("the machine went away")

    monkeypatch.setattr(submissions, "grade_folder", some)
    (place / "in").mkdir()
    with pytest.raises(RuntimeError):
        grade("90", "--submissions", "in", "--csv", "table.csv")
    rows = list(csv.DictReader(Path("table.csv").read_text("utf-8-sig").splitlines()))
    assert [row["student"] for row in rows] == ["ada", "zoe"]


# --- watching, in a terminal of its own ---


def test_watching_checks_what_is_saved_and_ends_quietly(place: Path, tmp_path: Path) -> None:
    driver = tmp_path / "driver.py"
    driver.write_text(DRIVER)
    path = answer(place, STUBS)
    course = tmp_path / "course"
    child = subprocess.Popen(
        [sys.executable, "-u", str(driver), str(course / "entries"), str(course / "stubs"),
         "grade", "90", "--watch"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert child.stdout is not None and child.stderr is not None
    try:
        assert child.stdout.readline().startswith("watching exercises/lesson_90.py")
        seen = [_verdict(child), _verdict(child)]
        assert [words.split(":")[1] for words in seen] == [" not attempted, 0 of 3 points",
                                                           " not attempted, 0 of 2 points"]
        path.write_text(written(STUBS, "90.1", "return 2 * * x"))
        assert "90.1, Twice: crashed in your code" in _verdict(child)
        path.write_text(written(STUBS, "90.1", TWICE))
        assert "90.1, Twice: right" in _verdict(child)
        path.write_text(RIGHT)
        assert "90.2, The sum: right" in _verdict(child), "and 90.1 is not checked again"
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == 0
        assert child.stderr.read() == ""
    finally:
        child.kill()
        child.communicate()
    assert Progress(place / "exercises").records()["90.1"].attempts == 2


def _verdict(child: subprocess.Popen[str]) -> str:
    """The next line that begins a verdict."""
    assert child.stdout is not None
    until = time.monotonic() + 60
    while time.monotonic() < until:
        line = child.stdout.readline().rstrip("\n")
        if line.startswith("Exercise "):
            return line
        assert line or child.poll() is None, "it ended"
    raise AssertionError("no verdict in a minute")
