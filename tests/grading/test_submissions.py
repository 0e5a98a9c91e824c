"""A teacher's folder: everybody is graded with the same inputs, and nobody harms another."""

import csv
import json
import os
from pathlib import Path

import pytest

from hybridlab.grading import blocks, submissions
from hybridlab.grading import verdict as kinds
from hybridlab.grading.collecting import entries, text_of
from hybridlab.grading.launch import Limits
from hybridlab.grading.manifest import UnknownExerciseError, of_lesson
from hybridlab.grading.service import ServiceError
from hybridlab.grading.submissions import Submission, grade_folder, write_csv
from hybridlab.grading.verdict import PartVerdict, Verdict
from hybridlab.grading.workbook import PROJECT, STUBS

STUB = (STUBS / "lesson_01.py.txt").read_text()
SOLVED = (PROJECT / "solutions" / "lesson_01.py").read_text()
WORTH = sum(each.worth for each in of_lesson(1))


def notebook(*cells: str) -> str:
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [
        {"cell_type": "code", "source": cell.splitlines(keepends=True), "metadata": {},
         "outputs": [], "execution_count": None}
        for cell in cells
    ] + [{"cell_type": "markdown", "source": "%%exercise 1.1\nno code", "metadata": {}}]})


def cell(text: str, exercise: str) -> str:
    return f"%%exercise {exercise}\n" + blocks.find(text, exercise).text


def by_student(found) -> dict:
    return {each.student: each for each in found}


def test_a_class_is_graded(tmp_path):
    """Good and bad, files, notebooks and folders; the hostile ones cost only themselves."""
    folder = tmp_path / "class"
    (folder / "dora" / "work" / "exercises").mkdir(parents=True)
    (folder / "dora" / "work" / "exercises" / "lesson_01.py").write_text(SOLVED)
    (folder / "dora" / "work" / "notes.py").write_text("raise SystemExit")
    (folder / "anna.py").write_text(SOLVED)
    (folder / "ben.ipynb").write_text(notebook("import os", cell(SOLVED, "1.2"), "1 / 0"))
    (folder / "carl.py").write_text(STUB)
    body = "    import os, torch\n    torch.sigmoid = print\n    os._exit(0)\n"
    evil = STUB
    for each in of_lesson(1):
        defs = "".join(f"def {name}(*a, **k):\n{body}" for name in each.functions)
        evil = blocks.replace(evil, each.id, f"# %% Exercise {each.id}: x\n{defs}")
    for number in range(2):
        (folder / f"evil {number}.py").write_text(evil)
    (folder / "frank.ipynb").write_text("no JSON")
    (folder / "results.csv").write_text("of last week")
    seen = []
    found = grade_folder(folder, 1, jobs=2, seed=3, report=seen.append)
    totals = {each.student: each.total for each in found}
    assert totals == {
        "anna": WORTH, "ben": 6, "carl": 0, "dora": WORTH, "evil 0": 0, "evil 1": 0, "frank": 0,
    }
    assert [each.student for each in found] == sorted(totals)
    assert sorted(each.student for each in seen) == sorted(totals)
    of = by_student(found)
    assert of["dora"].file == "dora/work/exercises/lesson_01.py"
    assert "no notebook that can be read" in of["frank"].note and of["frank"].verdicts == ()
    assert {verdict.kind for verdict in of["carl"].verdicts} == {kinds.NOT_ATTEMPTED}
    assert {verdict.kind for verdict in of["evil 1"].verdicts} == {kinds.CRASHED}
    assert {each.seed for each in found} == {3}
    assert {verdict.seed for each in found for verdict in each.verdicts} == {3}
    write_csv(tmp_path / "table.csv", found)
    rows = list(csv.DictReader((tmp_path / "table.csv").open(encoding="utf-8-sig")))
    assert rows[0]["student"] == "anna" and rows[0]["total"] == str(WORTH)
    assert (rows[1]["1.2"], rows[1]["1.2 verdict"], rows[1]["1.1"]) == ("6", "right", "0")
    assert rows[6]["1.1 verdict"] == "not graded" and "no notebook" in rows[6]["note"]


def test_which_file_is_meant(tmp_path):
    def put(name: str, text: str = "x = 1\n") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    put("one/deep/er/answers.py")
    put("two/a.py"), put("two/b.ipynb")
    put("clone/exercises/lesson_01.py"), put("clone/solutions/lesson_01.py")
    put("clone/hybridlab/x.py")
    put("backed/lesson_01.py"), put("backed/backup/lesson_01.py"), put("backed/x/lesson_01.py")
    put("twice/a/lesson_01.py"), put("twice/b/lesson_01.py")
    put("empty/readme.txt")
    put("mail.docx"), put("grades.csv"), put(".hidden.py")
    put("__pycache__/x.py")
    (tmp_path / "link.py").symlink_to(put("one/deep/er/answers.py"))
    put("linked/readme.txt")
    (tmp_path / "linked" / "lesson_01.py").symlink_to("/etc/passwd")
    (tmp_path / "linked" / "folder").symlink_to(tmp_path / "one")
    os.mkfifo(tmp_path / "pipe.py")
    found = by_student(entries(tmp_path, 1))
    assert {name: entry.file for name, entry in found.items() if entry.path} == {
        "one": "one/deep/er/answers.py", "clone": "clone/exercises/lesson_01.py",
        "backed": "backed/lesson_01.py",
    }
    assert {name: entry.note for name, entry in found.items() if not entry.path} == {
        "two": "several files to choose from: a.py, b.ipynb",
        "twice": "several files to choose from: a/lesson_01.py, b/lesson_01.py",
        "empty": "no .py or .ipynb file in the folder",
        "linked": "no .py or .ipynb file in the folder",
        "mail": "mail.docx is neither .py nor .ipynb",
        "link": "a link; links are not followed", "pipe": "not an ordinary file",
    }


def test_names_of_files_can_be_printed(tmp_path):
    for name in (b"bad \xff.py", b"red \x1b[31m.py", b"two\nlines.txt"):
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).write_text("x = 1\n")
    found = entries(tmp_path, 1)
    assert {entry.student for entry in found} == {"bad", "red [31m", "two lines"}
    for entry in found:
        assert (entry.student + entry.file + entry.note).isprintable()
        assert entry.path is None or text_of(entry.path, of_lesson(1)) == ("x = 1\n", "")


@pytest.mark.parametrize(("name", "content", "words"), [
    ("a.py", b"\x7fELF\x00\x01", "a binary file"), ("a.py", b"  \n", "empty"),
    ("a.ipynb", b'{"cells": 3}', "no notebook"), ("a.ipynb", b"[" * 10**6, "no notebook"),
    ("a.ipynb", notebook("x = 1").encode(), "no cell begins with %%exercise 1.N"),
    ("a.ipynb", notebook("%%exercise 2.1\nx = 1").encode(), "no cell begins with"),
])
def test_what_cannot_be_graded_is_told(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    text, trouble = text_of(tmp_path / name, of_lesson(1))
    assert text == "" and words in trouble


def test_large_files_links_and_pipes_are_not_read(tmp_path):
    with (tmp_path / "large.py").open("wb") as file:
        file.truncate(10**9)  # takes no room
    assert "1000.0 MB; at most 1 MB" in text_of(tmp_path / "large.py", of_lesson(1))[1]
    (tmp_path / "link.py").symlink_to("/etc/passwd")
    assert "cannot be read" in text_of(tmp_path / "link.py", of_lesson(1))[1]
    os.mkfifo(tmp_path / "pipe.py")
    assert "not an ordinary file" in text_of(tmp_path / "pipe.py", of_lesson(1))[1]


def test_a_notebook_becomes_the_file_that_its_cells_would_have_saved(tmp_path):
    path = tmp_path / "a.ipynb"
    path.write_text(notebook(
        cell(SOLVED, "1.2"), cell(STUB, "1.2"), "%%exercise 1.1\n", "%%exercise 1.1\nold = 1",
        "%%exercise 1.1\nnew = 1\n", "%%exercise 9.9\nx = 1",
        "%%exercise 1.3\n# %% Exercise 1.4: x",
    ))
    text, trouble = text_of(path, of_lesson(1))
    assert trouble == ""
    assert blocks.find(text, "1.2").text.strip() == blocks.find(SOLVED, "1.2").text.strip()
    assert "new = 1" in blocks.find(text, "1.1").text and "old = 1" not in text
    for untouched in ("1.3", "1.4"):
        assert blocks.find(text, untouched).text == blocks.find(STUB, untouched).text
    assert blocks.split(text)[0] == blocks.split(STUB)[0]


def submission(student: str, note: str = "") -> Submission:
    return Submission(student, "", 1, (), 5, note)


def test_a_spreadsheet_takes_no_name_for_a_formula(tmp_path):
    names = ['=HYPERLINK("x")', "+1", "-1", "@x", "Müller, Ana", 'a"b', "two\nlines\t\x1b", "ok",
             "\udcff", " =1"]
    write_csv(tmp_path / "t.csv", [submission(name, name) for name in names])
    data = (tmp_path / "t.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(data.decode("utf-8-sig").splitlines()))
    assert [row["student"] for row in rows] == [
        "'=HYPERLINK(\"x\")", "'+1", "'-1", "'@x", "Müller, Ana", 'a"b', "two lines", "ok", "",
        "'=1",
    ]
    assert [row["note"] for row in rows] == [row["student"] for row in rows]


def test_a_csv_is_replaced_whole(tmp_path):
    path = tmp_path / "t.csv"
    write_csv(path, [submission("a"), submission("b")])
    write_csv(path, [submission("c")])
    assert [row["student"] for row in csv.DictReader(path.open(encoding="utf-8-sig"))] == ["c"]
    assert [each.name for each in tmp_path.iterdir()] == ["t.csv"]


class Grader:
    """Stands in for the grader's process: gives verdicts that took chosen seconds, or raises;
    notes the limits."""

    def __init__(self, seconds_of):
        self.seconds_of, self.limits = seconds_of, {}

    def start(self): ...

    def close(self): ...

    def grade(self, exercise, source, seed, limits):
        self.limits[exercise] = limits
        seconds = self.seconds_of(exercise)
        if isinstance(seconds, BaseException):
            raise seconds
        parts = (PartVerdict("a", kinds.RIGHT, 1, 1),)
        return Verdict(exercise, "t", seed, parts, seconds=seconds)


@pytest.fixture
def folder(tmp_path):
    for name in ("anna.py", "ANNA.ipynb", "ben.py"):
        (tmp_path / name).write_text(STUB if name.endswith("py") else notebook(cell(STUB, "1.1")))
    return tmp_path


def grade_with(monkeypatch, folder, seconds_of, **options):
    grader = Grader(seconds_of)
    monkeypatch.setattr(submissions, "Service", lambda: grader)
    return grader, grade_folder(folder, 1, **{"jobs": 1, **options})


def test_who_took_very_long_gets_less_time_for_the_rest(monkeypatch, folder):
    grader, found = grade_with(
        monkeypatch, folder, lambda id: 20.0 if id in ("1.2", "1.4") else 0.1
    )
    assert [grader.limits[id] for id in ("1.1", "1.2", "1.3", "1.4")] == [None] * 4
    assert [grader.limits[id] for id in ("1.5", "1.6")] == [Limits(2, 4.0)] * 2
    assert "each part of 1.5, 1.6 was given 2 seconds" in by_student(found)["ben"].note
    grader, found = grade_with(monkeypatch, folder, lambda id: 4.0)
    assert set(grader.limits.values()) == {None} and by_student(found)["ben"].note == ""


def test_a_grader_that_fails_costs_one_exercise_and_is_noted(monkeypatch, folder):
    _, found = grade_with(
        monkeypatch, folder, lambda id: ServiceError("no") if id == "1.2" else 0.1
    )
    assert [len(each.verdicts) for each in found] == [5] * 3
    assert by_student(found)["ben"].note == "1.2 could not be graded: no"
    _, found = grade_with(monkeypatch, folder, lambda id: KeyError("bug"))
    assert all("our mistake" in each.note and each.total == 0 for each in found)


def test_two_entries_of_one_name_are_both_graded_and_noted(monkeypatch, folder):
    _, found = grade_with(monkeypatch, folder, lambda id: 0.1)
    notes = {each.file: each.note for each in found}
    assert notes == {
        "ANNA.ipynb": "another entry has this student's name",
        "anna.py": "another entry has this student's name", "ben.py": "",
    }


def test_one_seed_is_drawn_for_all(monkeypatch, folder):
    _, found = grade_with(monkeypatch, folder, lambda id: 0.1)
    seeds = {each.seed for each in found} | {v.seed for each in found for v in each.verdicts}
    assert len(seeds) == 1
    _, again = grade_with(monkeypatch, folder, lambda id: 0.1)
    assert {each.seed for each in again} != seeds


def test_an_interrupt_ends_it_after_what_was_reported(monkeypatch, folder):
    seen = []

    def report(each):
        seen.append(each)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grade_with(monkeypatch, folder, lambda id: 0.1, report=report)
    assert len(seen) == 1


def test_wrong_requests_are_told(tmp_path):
    with pytest.raises(ValueError, match="holds no submissions"):
        grade_folder(tmp_path, 1)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        grade_folder(tmp_path / "x", 1)
    (tmp_path / "a.py").write_text(STUB)
    with pytest.raises(NotADirectoryError, match="is a file"):
        grade_folder(tmp_path / "a.py", 1)
    with pytest.raises(UnknownExerciseError, match="lesson 77"):
        grade_folder(tmp_path, 77)
    with pytest.raises(ValueError, match="jobs is 0"):
        grade_folder(tmp_path, 1, jobs=0)


def test_answers_that_call_the_package_can_be_refused(tmp_path):
    """They are not run at all; the others are graded as ever."""
    called = ("# %% Exercise 1.4: x\ndef weighted_bce(logits, targets, pos_weight):\n"
              "    from hybridlab.losses import weighted_bce\n"
              "    return weighted_bce(logits, targets, pos_weight)\n")
    (tmp_path / "anna.py").write_text(blocks.replace(SOLVED, "1.4", called))
    (found,) = grade_folder(tmp_path, 1, jobs=1, seed=3, library=False)
    of = {verdict.exercise: verdict for verdict in found.verdicts}
    assert found.total == WORTH - of["1.4"].points and of["1.4"].kind == kinds.NOT_ATTEMPTED
    assert "imports hybridlab" in of["1.4"].parts[0].words
