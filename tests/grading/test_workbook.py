"""The student's files: found, made, saved and reset without losing a byte of theirs."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hybridlab.grading import manifest, workbook
from hybridlab.grading.grader import grade
from hybridlab.grading.verdict import NOT_ATTEMPTED
from hybridlab.grading.workbook import Workbook, find_folder, packaged, read, stub

from .workplace import STUBS, SUM, TWICE, lesson_90, written

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder, outside any project."""
    with lesson_90(tmp_path / "course") as stubs:
        monkeypatch.setattr(workbook, "STUBS", stubs)
        monkeypatch.setattr(workbook, "PROJECT", tmp_path / "nowhere")
        here = tmp_path / "here"
        here.mkdir()
        monkeypatch.chdir(here)
        yield here


def exercise(id: str = "90.1") -> manifest.Exercise:
    return manifest.exercise(id)


def test_it_is_made_in_the_current_folder_from_the_packaged_stubs(place: Path) -> None:
    assert find_folder() is None
    made = Workbook.open()
    assert made.folder == place / "exercises" and len(made.notices) == 1
    assert (made.folder / "lesson_90.py").read_text() == STUBS
    again = Workbook.open()
    assert again.folder == made.folder and again.notices == []


def test_the_current_folder_comes_before_its_parents_and_these_before_the_project(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    deep = place / "a" / "b"
    for folder in (project, place, deep):
        (folder / "exercises").mkdir(parents=True)
        (folder / "exercises" / "lesson_01.py").touch()
    (project / "pyproject.toml").touch()
    monkeypatch.setattr(workbook, "PROJECT", project)
    monkeypatch.chdir(deep)
    assert find_folder() == deep / "exercises"
    monkeypatch.chdir(deep / "exercises")
    assert find_folder() == deep / "exercises", "also from inside it"
    monkeypatch.chdir(deep.parent)
    assert find_folder() == place / "exercises"
    assert find_folder(tmp_path / "elsewhere") == project / "exercises"
    (project / "pyproject.toml").unlink()
    assert find_folder(tmp_path / "elsewhere") is None, "an installed package has no project"


def test_a_folder_without_lessons_is_another_courses(place: Path) -> None:
    (place / "exercises").mkdir()
    (place / "exercises" / "essay.txt").touch()
    assert find_folder() is None
    Workbook.open()
    assert sorted(path.name for path in (place / "exercises").iterdir()) == [
        "essay.txt", "lesson_90.py"
    ]


def test_a_file_in_the_folders_place_is_told(place: Path) -> None:
    (place / "exercises").touch()
    with pytest.raises(FileExistsError, match="is a file"):
        Workbook.open()


# --- reading ---


def test_what_is_read_is_graded(place: Path) -> None:
    book = Workbook.open()
    assert grade(exercise(), book.source(exercise())).kind == NOT_ATTEMPTED
    book.path(90).write_text(written(STUBS, "90.1", TWICE))
    assert grade(exercise(), book.source(exercise())).right
    assert grade(exercise("90.2"), book.source(exercise("90.2"))).kind == NOT_ATTEMPTED


def test_an_exercise_of_a_later_version_is_put_in(place: Path) -> None:
    book = Workbook.open()
    old = written(STUBS, "90.1", TWICE)
    old = old[: old.index("# %% Exercise 90.2")].rstrip() + "\n\nmine = 3\n"
    book.path(90).write_text(old)
    assert book.source(exercise()).text == old, "nothing is put in before it is asked for"
    text = book.source(exercise("90.2")).text
    assert text.startswith(old) and text.endswith(stub("90.2"))
    assert text == book.path(90).read_text() and "had no exercise 90.2" in book.notices[-1]


def test_a_lost_mark_is_told_and_nothing_is_put_in(place: Path) -> None:
    book = Workbook.open()
    text = written(STUBS, "90.2", SUM).replace("# %% Exercise 90.2: The sum\n", "")
    book.path(90).write_text(text)
    assert book.source(exercise("90.2")).text == text == book.path(90).read_text()
    assert "'# %% Exercise 90.2: The sum' above it is gone" in book.notices[-1]


def test_a_file_without_marks_is_one_answer(place: Path) -> None:
    book = Workbook.open()
    book.path(90).write_text("def double(x):\n    return 2 * x\n")
    assert grade(exercise(), book.source(exercise())).right
    assert book.path(90).read_text() == "def double(x):\n    return 2 * x\n"


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_empty_file_gets_its_stubs(place: Path, text: str) -> None:
    book = Workbook.open()
    book.path(90).write_text(text)
    assert book.source(exercise()).text == STUBS


def test_a_lesson_that_came_later_is_made(place: Path) -> None:
    book = Workbook.open()
    book.path(90).rename(book.folder / "lesson_02.py")
    assert book.source(exercise()).text == STUBS


def test_what_cannot_be_read_is_told(place: Path) -> None:
    with pytest.raises(ValueError, match="is not a file"):
        read(place)
    large = place / "large.py"
    with large.open("wb") as file:
        file.truncate(5_000_000_000)  # sparse
    with pytest.raises(ValueError, match="5000 MB"):
        read(large)
    with pytest.raises(FileNotFoundError):
        read(place / "none.py")


# --- saving ---


def test_saving_changes_one_block_only(place: Path) -> None:
    book = Workbook.open()
    body = "def double(x):\n    return x + x\n"
    assert book.save(exercise(), body)
    assert book.path(90).read_text() == (
        STUBS[: STUBS.index("def double")] + body + "\n\n"
        + STUBS[STUBS.index("# %% Exercise 90.2"):]
    )
    assert not book.save(exercise(), body), "the same again writes nothing"
    assert not book.save(exercise(), f"# %% Exercise 90.1: Twice\n{body}\n")
    assert book.attempted(exercise()) and not book.attempted(exercise("90.2"))
    assert book.block(exercise()) == f"# %% Exercise 90.1: Twice\n{body}\n\n"
    assert grade(exercise(), book.source(exercise())).right


def test_saving_into_nothing_makes_the_file(place: Path) -> None:
    book = Workbook(place / "exercises")
    assert book.save(exercise("90.2"), "def total(x):\n    return x.sum()")
    assert book.path(90).read_text().startswith(STUBS[: STUBS.index("# %% Exercise 90.2")])
    assert grade(exercise("90.2"), book.source(exercise("90.2"))).right


def test_one_cell_is_one_exercise(place: Path) -> None:
    book = Workbook.open()
    with pytest.raises(ValueError, match=r"holds marks of 90.1, 90.2"):
        book.save(exercise(), "x = 1\n# %% Exercise 90.2: The sum\ny = 2")
    with pytest.raises(ValueError, match=r"holds marks of 90.2"):
        book.save(exercise(), "# %% Exercise 90.2: The sum\ny = 2")
    assert book.path(90).read_text() == STUBS


def test_bytes_that_are_no_text_survive(place: Path) -> None:
    book = Workbook.open()
    strange = b'note = "\xff\xfe"\n'
    before = STUBS.encode().replace(b"import numpy as np\n", b"import numpy as np\n" + strange)
    book.path(90).write_bytes(b"\xef\xbb\xbf" + before.replace(b"\n", b"\r\n"))
    assert book.save(exercise(), "def double(x):\n    return 2 * x")
    assert strange in book.path(90).read_bytes()
    assert book.path(90).read_bytes().endswith(before[before.index(b"# %% Exercise 90.2"):])


def test_a_link_stays_a_link(place: Path, tmp_path: Path) -> None:
    book = Workbook.open()
    elsewhere = tmp_path / "drive.py"
    book.path(90).rename(elsewhere)
    book.path(90).symlink_to(elsewhere)
    assert book.save(exercise(), "def double(x):\n    return 2 * x")
    assert book.path(90).is_symlink() and "return 2 * x" in elsewhere.read_text()


def test_two_notebooks_that_save_at_once_both_win(place: Path) -> None:
    """Read, change, write: without a lock one of them is lost sooner or later."""
    Workbook.open()
    bodies = {"90.1": "def double(x):\n    return {} * x", "90.2": "def total(x):\n    return {}"}

    def save(id: str) -> None:
        for number in range(25):
            Workbook(place / "exercises").save(exercise(id), bodies[id].format(number))
            assert bodies[id].format(number) in Workbook(place / "exercises").path(90).read_text()

    failed: list[BaseException] = []

    def run(id: str) -> None:
        try:
            save(id)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(id,)) for id in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


# --- resetting ---


def test_reset_keeps_the_whole_file_first(place: Path) -> None:
    book = Workbook.open()
    mine = written(written(STUBS, "90.1", TWICE), "90.2", SUM).encode() + b"# \xff\n"
    book.path(90).write_bytes(mine)
    copies = [book.reset("90.1"), book.reset("90.1")]
    assert [copy is not None and copy.parent.name for copy in copies] == ["backup", "backup"]
    assert copies[0] != copies[1], "also within one second"
    assert copies[0] is not None and copies[0].read_bytes() == mine
    assert book.block(exercise()) is not None and not book.attempted(exercise())
    assert grade(exercise("90.2"), book.source(exercise("90.2"))).right, "the other one stays"


def test_reset_without_a_file_makes_it(place: Path) -> None:
    book = Workbook(place / "exercises")
    assert book.reset("90.2") is None
    assert book.path(90).read_text() == packaged(90)


def test_reset_of_what_does_not_exist(place: Path) -> None:
    book = Workbook.open()
    with pytest.raises(manifest.UnknownExerciseError, match=r"no exercise '90.3'"):
        book.reset("90.3")
    assert not (book.folder / "backup").exists()


def test_a_kill_while_saving_leaves_the_old_file_or_the_new_one(place: Path) -> None:
    book = Workbook.open()
    code = (
        "import sys\n"
        "from hybridlab.grading import workbook\n"
        "from pathlib import Path\n"
        "path = Path(sys.argv[1])\n"
        "text = path.read_text()\n"
        "print('go', flush=True)\n"
        "while True:\n"
        "    workbook._write(path, text + '#' * 500_000)\n"
    )
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(book.path(90))], stdout=subprocess.PIPE,
            env={"PYTHONPATH": str(ROOT)},
        )
        assert child.stdout is not None and child.stdout.readline() == b"go\n"
        child.kill()
        child.wait()
        child.stdout.close()
        text = book.path(90).read_text()
        assert text.rstrip("#") == STUBS and (len(text) - len(STUBS)) % 500_000 == 0
