"""Answers that call the course's own functions: `hybridlab grade --no-library` refuses them.

One line such as `return hybridlab.losses.weighted_bce(...)` is right and shows nothing. What is
read is the text; whoever hides an import well is not found, and a teacher still looks at answers.
"""

from __future__ import annotations

import ast
import re
import secrets

from hybridlab.grading import blocks
from hybridlab.grading.learner import Source
from hybridlab.grading.manifest import Exercise
from hybridlab.grading.verdict import NOT_ATTEMPTED, PartVerdict, Verdict

_PACKAGE = "hybridlab"


def refused(exercise: Exercise, source: Source, seed: int | None = None) -> Verdict | None:
    """A verdict without points on an answer that imports hybridlab; None on any other.

    An import in the file's heading counts where a block that is needed reads what it imports.
    """
    line = _line(exercise, source)
    if line is None:
        return None
    code = source.text.splitlines()[line - 1].strip()[:100]
    words = (f"not graded: line {line} imports {_PACKAGE} ({code!r}), and answers that call the "
             "course's own functions are not accepted here. Write it yourself.")
    parts = tuple(
        PartVerdict(name, NOT_ATTEMPTED, points, 0, words)
        for name, points in exercise.points.items()
    )
    seed = secrets.randbelow(10**6) if seed is None else seed
    return Verdict(exercise.id, exercise.title, seed, parts)


def _line(exercise: Exercise, source: Source) -> int | None:
    """Of the file, with the first such import."""
    first, *others = blocks.needed(source.text, exercise.id)
    if first.id or not others:  # a file without marks is one block
        others = [first, *others]
    for block in others:
        for line, _ in _imports(block):
            return line
    read = {name for block in others for name in blocks.read(block.text)}
    return next((line for line, names in _imports(first) if names & read or "*" in names), None)


def _imports(block: blocks.Block) -> list[tuple[int, set[str]]]:
    """The line of each import of hybridlab, and the names that it binds."""
    try:
        tree = ast.parse(block.text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []  # it cannot run either
    found: list[tuple[int, set[str]]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = {each.asname or _top(each.name) for each in node.names
                     if _top(each.name) == _PACKAGE}
        elif isinstance(node, ast.ImportFrom):
            ours = not node.level and _top(node.module or "") == _PACKAGE
            names = {each.asname or each.name for each in node.names} if ours else set()
        elif isinstance(node, ast.Call):
            names = {"*"} if any(_names_it(each) for each in node.args) else set()
        else:
            continue
        if names:
            found.append((node.lineno + block.line - 1, names))
    return sorted(found, key=lambda each: each[0])


def _names_it(argument: ast.expr) -> bool:
    """As in `__import__("hybridlab")` and `import_module("hybridlab.losses")`."""
    return (isinstance(argument, ast.Constant) and isinstance(argument.value, str)
            and re.fullmatch(rf"{_PACKAGE}(\.\w+)*", argument.value) is not None)


def _top(name: str) -> str:
    return name.split(".")[0]
