"""Exercises in a notebook: a real IPython shell, a real grader, files in a folder of the test."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from hybridlab.grading import blocks, notebook
from hybridlab.grading.service import Service
from hybridlab.grading.workbook import STUBS

STUB = (STUBS / "lesson_01.py.txt").read_text()
AP = """def average_precision(scores, targets):
    positive = targets == 1
    if not positive.any():
        return float("nan")
    return float(np.mean([positive[scores >= s].mean() for s in scores[positive]]))
"""
WRONG = "def average_precision(scores, targets):\n    return 0.25\n"


def stub(exercise: str) -> str:
    return blocks.find(STUB, exercise).text


@pytest.fixture(scope="module")
def service():
    with Service() as found:
        found.start()
        yield found


@pytest.fixture
def place(tmp_path, monkeypatch, service):
    """A folder with the lesson's stubs, and a new session in it."""
    (tmp_path / "exercises").mkdir()
    shutil.copy(STUBS / "lesson_01.py.txt", tmp_path / "exercises" / "lesson_01.py")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(notebook, "_sessions", [notebook.Session(service)])
    return tmp_path


class Cells:
    """Runs cells; remembers what they showed."""

    def __init__(self, shell: InteractiveShell, capsys: pytest.CaptureFixture[str]):
        self.shell, self._capsys = shell, capsys

    def __call__(self, cell: str) -> str:
        self._capsys.readouterr()
        self.shell.run_cell(cell)
        shown = self._capsys.readouterr()
        return shown.out + shown.err


@pytest.fixture
def run(place, monkeypatch, capsys, tmp_path_factory):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    shell = InteractiveShell.instance(config=config)
    shell.run_cell("%load_ext hybridlab.grading.notebook")
    yield Cells(shell, capsys)
    InteractiveShell.clear_instance()


def file(place: Path) -> str:
    return (place / "exercises" / "lesson_01.py").read_text()


def test_a_cell_is_run_saved_and_checked(run, place):
    shown = run("%%exercise 1.1\n" + AP)
    assert "Exercise 1.1, Average precision by hand: right, 6 of 6 points" in shown
    assert "Saved in `exercises/lesson_01.py`" in shown and "Traceback" not in shown
    block = blocks.find(file(place), "1.1")
    assert block.text == f"# %% Exercise 1.1: Average precision by hand\n{AP}\n\n"
    assert file(place).replace(block.text, stub("1.1")) == STUB  # nothing else changed
    assert callable(run.shell.user_ns["average_precision"])
    assert (place / "exercises" / ".progress.json").exists()


def test_an_unchanged_cell_is_not_saved_again(run, place):
    run("%%exercise 1.1\n" + WRONG)
    before = (place / "exercises" / "lesson_01.py").stat().st_mtime_ns
    assert "It stands in" in run("%%exercise 1.1\n" + WRONG)
    assert (place / "exercises" / "lesson_01.py").stat().st_mtime_ns == before


def test_a_wrong_cell_with_an_error_is_saved_and_told_with_the_cells_lines(run, place):
    head = "def average_precision(scores, targets):\n"
    shown = run(f"%%exercise 1.1\n\n{head}    return 1 / 0\n1 / 0")
    assert "ZeroDivisionError" in shown and "line 5: 1 / 0" in shown
    assert "crashed in your code" in shown and "return 1 / 0" in file(place)
    shown = run(f"%%exercise 1.1\n{head}    return 1 / 0\n")
    assert "line 3: return 1 / 0" in shown


def test_a_syntax_error_is_saved_and_told(run, place):
    shown = run("%%exercise 1.1\ndef average_precision(scores targets):\n    return 1\n")
    assert shown.count("SyntaxError") >= 2 and "average_precision(scores targets)" in file(place)


def test_a_stub_overwrites_nothing_and_prints_one_line(run, place):
    shown = run("%%exercise 1.1\n" + stub("1.1"))
    assert "not attempted yet" in shown and len(shown.strip().splitlines()) == 1
    assert file(place) == STUB
    run("%%exercise 1.1\n" + AP)
    saved = file(place)
    run("del average_precision")
    shown = run("%%exercise 1.1\n" + stub("1.1"))
    assert "your saved answer in `exercises/lesson_01.py` is kept" in shown
    assert 'load("1.1")' in shown and len(shown.strip().splitlines()) == 1
    assert file(place) == saved
    # the notebook has the saved answer, not the stub
    assert "1.0" in run("average_precision(np.array([1.0]), np.array([1]))")


def test_a_stub_beside_a_broken_answer_shows_no_traceback(run, place):
    run("%%exercise 1.1\nimport nowhere\n" + WRONG)
    shown = run("%%exercise 1.1\n" + stub("1.1"))
    assert "could not be run here: ModuleNotFoundError" in shown and "Traceback" not in shown
    assert "nowhere" in file(place)


def test_every_stub_of_the_lesson_is_known_as_one(run, place):
    for block in blocks.split(STUB)[1:]:
        assert "not attempted yet" in run(f"%%exercise {block.id}\n{block.text}")
    assert file(place) == STUB


@pytest.mark.parametrize(("cell", "words"), [
    ("%%exercise\nx = 1", "write the exercise's number behind %%exercise"),
    ("%%exercise 1.1 1.2\nx = 1", "and nothing else"),
    ("%%exercise 1.99\nx = 1", "there is no exercise '1.99'; there are 1.1, "),
    ("%%exercise 1.1\n\n  \n", "the cell is empty: write average_precision(...)"),
    ("%%exercise 1.1\nx = 1\n# %% Exercise 1.2: CF1\ny = 2", "the mark of exercise 1.2"),
    ("check('99')", "lesson 99 has no exercises"), ("check('x')", "there is no exercise 'x'"),
    ("hint('1.1', 9)", "has hints 1 to 3, no hint 9"), ("hint()", "say which exercise"),
    ("load('2.99')", "there is no exercise '2.99'"), ("check('²')", "there is no exercise '²'"),
    ("check(1.10)", 'write the exercise in quotes, such as "1.1"'),
    ("hint(1.2)", 'in quotes, such as "1.2"'), ("load(1.2)", 'in quotes, such as "1.2"'),
])
def test_slips_are_told_in_one_line_and_change_nothing(run, place, cell, words):
    shown = run(cell)
    assert words in shown and "Traceback" not in shown and len(shown.strip().splitlines()) == 1
    assert file(place) == STUB and "x" not in run.shell.user_ns


def test_check_reads_the_file_also_after_it_was_changed_elsewhere(run, place):
    assert "not attempted" in run("check('1.1')")
    (place / "exercises" / "lesson_01.py").write_text(STUB.replace(stub("1.1"), (
        "# %% Exercise 1.1: Average precision by hand\n" + AP + "\n\n")))
    assert "right, 6 of 6" in run("check('1.1')")
    run("%%exercise 1.1\n" + WRONG)
    shown = run("check('1.1', seed=7)")
    assert "seed 7" in shown and run("check('1.1', seed=7)") == shown != run("check('1.1', seed=8)")


def test_an_answer_that_only_the_notebook_has_is_told(run):
    run(WRONG)
    shown = run("check('1.1')")
    assert "The notebook has `average_precision`, but the file still holds the stub" in shown
    assert "`%%exercise 1.1`" in shown
    run("import numpy as np\n" + stub("1.1"))
    assert "The notebook has" not in run("check('1.1')")


def test_names_of_the_notebook_are_told(run):
    run("factor = 3")
    shown = run("%%exercise 1.1\ndef average_precision(scores, targets):\n    return factor\n")
    assert "`factor` exists in the notebook only" in shown


def test_what_a_learner_does_to_the_kernel_changes_no_verdict(run):
    run("import numpy\nnumpy.isclose = numpy.allclose = lambda *a, **k: True\n"
        "import hybridlab.grading.trial as t\nkept = t.Trial.__dict__['equal']\n"
        "t.Trial.equal = print")
    try:
        assert "wrong value" in run("%%exercise 1.1\n" + WRONG)
    finally:
        run("import importlib; t.Trial.equal = kept\n"
            "from numpy._core import numeric\n"
            "numpy.isclose, numpy.allclose = numeric.isclose, numeric.allclose")


def test_check_of_the_lesson_is_a_table(run):
    run("%%exercise 1.1\n" + AP)
    shown = run("check()")
    assert "Lesson 1: 6 of 35 points" in shown
    assert "✓ 1.1" in shown and shown.count("○ 1.") == 5


def test_hints_come_one_after_the_other(run):
    first, second, third, again = (run("hint('1.1')") for _ in range(4))
    assert "Hint 1 of 3" in first and "Hint 2 of 3" in second
    assert "Hint 3 of 3, the last one" in third and again == third
    assert run("hint('1.1', 1)") == first and run("hint()") == second
    assert "Hint 1 of" in run("hint('1.2')")


def test_load_puts_the_answer_into_the_next_cell(run):
    run("%%exercise 1.1\n" + AP)
    run("load('1.1')")
    assert run.shell.rl_next_input == f"%%exercise 1.1\n{AP}".rstrip()


def test_another_folder_in_between_changes_nothing(run, place, tmp_path_factory):
    run("%%exercise 1.1\n" + WRONG)
    run(f"%cd -q {tmp_path_factory.mktemp('elsewhere')}")
    run("%%exercise 1.1\n" + AP)
    assert "positive.any()" in file(place)


def test_in_plain_python_the_same_functions_print(place):
    program = (
        "from hybridlab.grading.notebook import check, hint, load\n"
        "hint('1.1')\ncheck('1.1')\nload('1.1')\n"
        "import sys\nassert 'IPython' not in sys.modules\n"
        "try:\n    check('9.9')\nexcept ValueError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=place, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    for words in ("Hint 1 of 3", "not attempted", "%%exercise 1.1", "there is no exercise '9.9'"):
        assert words in done.stdout
