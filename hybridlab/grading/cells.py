"""An exercise's cell in a notebook, and the block of a file that it becomes.

    %%exercise 1.2
    def cf1(decisions, targets):
        ...
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Sequence

from hybridlab.grading import blocks
from hybridlab.grading.manifest import Exercise
from hybridlab.grading.workbook import mark, stub

MAGIC = re.compile(r"^\s*%%exercise[ \t]+([\d.]+)[ \t]*(?:\n|$)")
HEADING = "import numpy as np\nimport torch\n\n\n"  # where there is no file to take one from


class CellError(ValueError):
    """A cell that cannot be an exercise's; the message says what to do."""


def as_block(cell: str, exercise: Exercise) -> str:
    """The block of a cell: the mark, then what stands in the cell.

    Args:
        cell: without the line `%%exercise`.

    Raises:
        CellError: it is empty, or holds another exercise's mark.
    """
    lines = cell.replace("\r\n", "\n").split("\n")
    body = "\n".join(lines[left_out(cell, exercise) :]).rstrip()
    if not body:
        raise CellError(
            f"the cell is empty: write {_named(exercise)} under `%%exercise {exercise.id}`; "
            f'load("{exercise.id}") gives what stands in the file'
        )
    if others := _marks(body):
        raise CellError(
            f"the cell holds the mark of exercise {others[0]} (`# %% Exercise {others[0]}`): "
            "take it out; each exercise has a cell of its own"
        )
    return f"{mark(exercise)}\n{body}\n"


def left_out(cell: str, exercise: Exercise) -> int:
    """How many lines at the beginning of a cell its block does not take: empty ones, a mark."""
    lines = cell.split("\n")
    taken = (
        at for at, line in enumerate(lines)
        if line.strip() and _marks(line.rstrip()) != [exercise.id]
    )
    return next(taken, len(lines))


def body(block: str) -> str:
    """What stands in a block, for a cell: without the mark."""
    return re.sub(blocks.MARK, "", block, count=1).strip("\n") + "\n"


def is_stub(text: str, exercise: Exercise) -> bool:
    """Whether nothing was written yet: every function of the exercise that the text defines only
    raises `NotImplementedError`, or is that of the package's stub. A text that defines none of
    them, or is no Python, is no stub."""
    found = _functions(text, exercise)
    try:
        pristine = _functions(stub(exercise.id), exercise)
    except FileNotFoundError:
        pristine = {}
    return bool(found) and all(
        body == pristine.get(name) or _raises_only(body) for name, body in found.items()
    )


def from_notebook(text: str, exercises: Sequence[Exercise], base: str = HEADING) -> str:
    """The file that a notebook's `%%exercise` cells make, as running them would.

    Args:
        text: of the .ipynb file.
        exercises: of the lesson; cells of others are left out.
        base: the file before: the lesson's stubs.

    Raises:
        CellError: no notebook, or it has no such cells.
    """
    try:
        notebook = json.loads(text)
        cells = [
            "".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"
        ]
    except (ValueError, KeyError, TypeError, RecursionError, MemoryError) as error:
        raise CellError(f"no notebook that can be read: {type(error).__name__}") from error
    asked, found = {each.id: each for each in exercises}, 0
    for cell in cells:
        begin = MAGIC.match(cell)
        if begin is None or begin[1] not in asked:
            continue
        found += 1
        exercise = asked[begin[1]]
        rest = cell[begin.end() :]
        try:
            new = as_block(rest, exercise)
        except CellError:
            continue  # running it says so and saves nothing
        if not is_stub(rest, exercise):
            base = blocks.replace(base, exercise.id, new)
    if not found:
        raise CellError(
            f"no cell begins with %%exercise {exercises[0].lesson}.N; the answers of a notebook "
            "stand in such cells"
        )
    return base


def _marks(text: str) -> list[str]:
    return [found[1] for found in blocks.MARK.finditer(text)]


def _named(exercise: Exercise) -> str:
    return " and ".join(f"{name}(...)" for name in exercise.functions)


def _functions(text: str, exercise: Exercise) -> dict[str, tuple[str, ...]]:
    """The exercise's functions: the statements of each without its docstring, as text."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\\d" in a docstring is for Python to tell, once
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name in exercise.functions:
            rest = node.body
            if isinstance(rest[0], ast.Expr) and isinstance(rest[0].value, ast.Constant):
                rest = rest[1:]
            found[node.name] = tuple(ast.unparse(statement) for statement in rest)
    return found


def _raises_only(body: tuple[str, ...]) -> bool:
    return len(body) == 1 and body[0].startswith("raise NotImplementedError")
