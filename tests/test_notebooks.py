"""Every notebook: in step with its source, run to the end, readable by everybody, free of paths."""

import base64
import importlib.util
import io
import json
import re
from pathlib import Path

import jupytext
import nbformat
import pytest
from matplotlib.figure import Figure
from PIL import Image

from hybridlab.course import LESSONS, notebook_of
from hybridlab.grading.manifest import exercises
from hybridlab.viz.notebook import has_title, show, show_source

spec = importlib.util.spec_from_file_location(
    "exercise_cells", Path(__file__).resolve().parents[1] / "tools" / "exercise_cells.py"
)
assert spec is not None and spec.loader is not None
exercise_cells = importlib.util.module_from_spec(spec)
spec.loader.exec_module(exercise_cells)
with_stubs = exercise_cells.with_stubs
FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NAMES = sorted(path.stem for path in (FOLDER / "source").glob("*.py"))
MEGABYTES = 4  # of one notebook: people clone it and read it in a browser
MACHINE_PATH = re.compile(
    r"(?<![\w.:/-])/(?:home|root|tmp|work|Users|usr|var|opt|content|private)/|[A-Za-z]:\\\\"
)


def read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def outputs(name: str) -> list[nbformat.NotebookNode]:
    return [out for cell in read(name).cells for out in cell.get("outputs", [])]


def test_each_source_has_its_notebook_and_each_notebook_its_source() -> None:
    assert NAMES and sorted(path.stem for path in FOLDER.glob("*.ipynb")) == NAMES


def test_each_notebook_is_a_lesson_of_the_course() -> None:
    known = {lesson.number for lesson in LESSONS}
    for name in NAMES:
        assert int(name[:2]) in known
    assert notebook_of(LESSONS[0], FOLDER) == FOLDER / "00_start_here.ipynb"
    assert [lesson.number for lesson in LESSONS] == list(range(15))
    for lesson in LESSONS:
        assert all(need in known and need != lesson.number for need in lesson.needs)


@pytest.mark.parametrize("name", NAMES)
def test_in_step_with_its_source(name: str) -> None:
    source = jupytext.read(FOLDER / "source" / f"{name}.py")
    wanted = [(cell.cell_type, cell.source) for cell in source.cells]
    found = [(cell.cell_type, cell.source) for cell in read(name).cells]
    assert found == wanted, f"run: python tools/make_notebooks.py {name}"


@pytest.mark.parametrize("name", NAMES)
def test_exercises_are_the_stubs(name: str) -> None:
    text = (FOLDER / "source" / f"{name}.py").read_text(encoding="utf-8")
    assert with_stubs(text) == text, f"run: python tools/make_notebooks.py {name}"
    assert set(re.findall(r"^# %%exercise (\S+)$", text, re.M)) == {
        each.id for each in exercises().values() if each.lesson == int(name[:2])
    }


@pytest.mark.parametrize("name", NAMES)
def test_form(name: str) -> None:
    notebook = read(name)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert (FOLDER / f"{name}.ipynb").stat().st_size < MEGABYTES * 1e6
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("name", NAMES)
def test_it_was_run_from_top_to_bottom_without_an_error(name: str) -> None:
    counts = [cell.execution_count for cell in read(name).cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    for out in outputs(name):
        assert out.output_type != "error"
        # a warning on stderr is noise to a learner
        assert out.get("name") != "stderr", out.text


@pytest.mark.parametrize("name", NAMES)
def test_every_picture_has_alt_text_and_is_a_picture(name: str) -> None:
    pictures = [out for out in outputs(name) if "image/png" in out.get("data", {})]
    assert pictures
    for out in pictures:
        alt = out.metadata.get("image/png", {}).get("alt") or out.metadata.get("alt")
        assert alt and len(alt) > 20
        Image.open(io.BytesIO(base64.b64decode(out.data["image/png"]))).verify()
    for cell in read(name).cells:
        # plotting straight from a cell would leave out both title and alt text
        assert "plt." not in cell.source and "savefig" not in cell.source


@pytest.mark.parametrize("name", NAMES)
def test_no_path_of_a_machine_is_shown(name: str) -> None:
    text = json.dumps([out for out in outputs(name)])
    text = re.sub(r'"image/png": "[^"]*"', "", text)
    assert not MACHINE_PATH.search(text), MACHINE_PATH.search(text)


@pytest.mark.parametrize("name", NAMES)
def test_it_opens_and_closes_as_every_lesson_does(name: str) -> None:
    cells = [cell.source for cell in read(name).cells if cell.cell_type == "markdown"]
    first, whole = cells[0], "\n".join(cells)
    assert first.startswith(f"# {name[:2]} · ")
    for part in ("After this notebook you can", "You need", "Time", "Difficulty", "badge.svg"):
        assert part in first, part
    assert f"notebooks/{name}.ipynb" in first, "the Colab badge leads elsewhere"
    assert 3 <= len(re.findall(r"^\d\. ", first, re.M)) <= 5
    assert "What to remember" in whole and "## Quiz" in whole
    assert whole.count("<details><summary>") >= 3
    assert whole.count("<details>") == whole.count("</details>")


# --- the helpers that notebooks use ---


def titled() -> Figure:
    figure = Figure(figsize=(2, 1))
    figure.subplots().set_title("what to see")
    return figure


def test_show_keeps_the_alt_text() -> None:
    image = show(titled(), alt="a plain frame with a title")
    data, metadata = image._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == "a plain frame with a title"
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")


def test_show_refuses_what_not_everybody_can_read() -> None:
    with pytest.raises(ValueError, match="alt is empty"):
        show(titled(), alt="  ")
    bare = Figure()
    bare.subplots()
    assert not has_title(bare)
    with pytest.raises(ValueError, match="no title"):
        show(bare, alt="a frame without a title")
    bare.suptitle("now it has one")
    assert has_title(bare)


def test_show_source_shows_the_real_source() -> None:
    assert "def has_title" in show_source(has_title).data
    assert "monospace" in show_source(has_title)._repr_html_()
