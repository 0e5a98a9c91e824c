"""Make the notebooks from their sources: `python tools/make_notebooks.py [NAME ...]`.

Each `notebooks/source/NN_name.py` (jupytext, py:percent) becomes `notebooks/NN_name.ipynb`, run
from top to bottom with its outputs. The source is what people edit; the notebook is what they
read. HYBRIDLAB_PROFILE=full makes the longer version.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

sys.path.insert(0, str(Path(__file__).resolve().parent))
from exercise_cells import with_stubs

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
TIMEOUT = 600  # seconds for one cell


def fresh(source: Path) -> nbformat.NotebookNode:
    """The notebook of a source, not yet run, the same each time it is made."""
    notebook = jupytext.read(source)
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"  # jupytext would draw a new id each time
        cell.metadata = nbformat.from_dict({})
    return notebook


def make(source: Path) -> Path:
    """Run a source's notebook and write it; an error in a cell leaves the old one as it is.

    Its exercises' cells are brought into step with their stubs first.
    """
    text = source.read_text(encoding="utf-8")
    if (renewed := with_stubs(text)) != text:
        source.write_text(renewed, encoding="utf-8")
    notebook = fresh(source)
    NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(FOLDER)}},
        record_timing=False,
    ).execute()
    # widgets are drawn by a running kernel; their state would only date the file
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = nbformat.from_dict({"name": "python"})
    nbformat.validate(notebook)
    target = FOLDER / f"{source.stem}.ipynb"
    part = target.with_suffix(".ipynb.part")
    part.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    part.replace(target)
    return target


def main(names: list[str]) -> int:
    """Make the notebooks whose names begin with one of `names`; all of them without any."""
    sources = sorted((FOLDER / "source").glob("*.py"))
    chosen = [source for source in sources if not names or source.name.startswith(tuple(names))]
    if not chosen:
        known = ", ".join(source.stem for source in sources)
        print(f"no notebook begins with {' or '.join(names)}; there are: {known}", file=sys.stderr)
        return 2
    for source in chosen:
        began = time.monotonic()
        target = make(source)
        size = target.stat().st_size / 1e6
        print(f"{target.name}: {time.monotonic() - began:.0f} s, {size:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
