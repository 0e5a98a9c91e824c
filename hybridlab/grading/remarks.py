"""What a notebook adds to a verdict: whether the file or the notebook has the answer, which names
the grader does not see, and lines of the cell for lines of the file."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import FunctionType
from typing import Any

from hybridlab.grading import blocks, cells
from hybridlab.grading import verdict as kinds
from hybridlab.grading.manifest import Exercise
from hybridlab.grading.verdict import Verdict
from hybridlab.grading.workbook import Workbook

_UNDEFINED = re.compile(r"name '(\w+)' is not defined")


def running() -> Any:
    """The running IPython, or None."""
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython

    return get_ipython()


def near(path: Path) -> str:
    """A path as short as can be."""
    with suppress(ValueError):  # on another drive
        short = os.path.relpath(path)
        return short if len(short) < len(str(path)) else str(path)
    return str(path)


def nothing_written(chosen: Exercise, book: Workbook, cell: str) -> str:
    """What is said of a stub; the notebook is given the answer in the file, or else the stub."""
    begin = f"Exercise {chosen.id}, {chosen.title}: "
    where = near(book.path(chosen.lesson))
    saved = book.source(chosen)
    own = blocks.find(saved.text, chosen.id)
    if own is None or cells.is_stub(own.text, chosen):
        lend_heading(chosen, book, cell)
        _define([blocks.Block("", 1, cell)], "<stub>")
        return (
            f"{begin}not attempted yet. Write your answer in this cell in place of "
            f"`raise NotImplementedError(...)`, and run it again."
        )
    path = str(book.path(chosen.lesson))
    failed = _define(blocks.needed(saved.text, chosen.id), path)
    used = f"it could not be run here: {failed}" if failed else "it is used in this notebook, too"
    return (
        f"{begin}not attempted in this cell; your saved answer in `{where}` is kept and is what "
        f'counts ({used}). `load("{chosen.id}")` puts it into the next cell, '
        f'`check("{chosen.id}")` checks it.'
    )


def lend_heading(chosen: Exercise, book: Workbook, cell: str) -> None:
    """Give the notebook those names of the file's heading (np, torch, ...) that a cell reads and
    the notebook lacks: the cell then runs here as it does in the file."""
    shell, heading = running(), blocks.split(book.source(chosen).text)[0].text
    if shell is None:
        return
    lacking = [
        name for name in blocks.read(cell) & (blocks.imported(heading) | blocks.defined(heading))
        if name not in shell.user_ns
    ]
    names: dict[str, Any] = {}
    with suppress(Exception):
        if lacking:
            exec(compile(heading, str(book.path(chosen.lesson)), "exec"), names)
    shell.user_ns.update({name: names[name] for name in lacking if name in names})


def _define(pieces: list[blocks.Block], file: str) -> str:
    """Run code in the notebook without a word; what went wrong, or ""."""
    shell = running()
    if shell is None:
        return ""
    failed = ""
    for block in pieces:
        try:
            # empty lines in front, so that errors name the line of the file
            code = compile("\n" * (block.line - 1) + block.text, file, "exec", dont_inherit=True)
            exec(code, shell.user_ns)
        except Exception as error:
            failed = f"{type(error).__name__}: {error}"
    return failed


def in_cell(verdict: Verdict, chosen: Exercise, book: Workbook, cell: str) -> Verdict:
    """The same with lines of the cell, `%%exercise` being the first, for lines of the file."""
    own = blocks.find(book.source(chosen).text, chosen.id)
    if own is None:
        return verdict
    more = 1 + cells.left_out(cell, chosen) - own.line
    last = own.line + own.text.count("\n")
    return replace(verdict, parts=tuple(
        replace(part, line=part.line + more)
        if part.line is not None and own.line <= part.line <= last else part
        for part in verdict.parts
    ))


def about(verdict: Verdict, cell: str) -> list[str]:
    """What the notebook knows of a verdict and the grader does not."""
    shell, notes = running(), []
    names = {
        found[1] for part in verdict.parts if part.kind == kinds.CRASHED
        for found in _UNDEFINED.finditer(part.words)
    }
    for name in sorted(names):
        if shell is not None and name in shell.user_ns:
            notes.append(
                f"`{name}` exists in the notebook only; the grader has nothing but the file. "
                "Define or import it in this cell, or move the line that uses it to another cell."
            )
    if verdict.kind == kinds.NOT_ATTEMPTED and "NotImplementedError" in cell:
        notes.append("`raise NotImplementedError` still stands in your code: take it out.")
    if any(line.lstrip().startswith(("!", "%")) for line in cell.splitlines()):
        notes.append(
            "Lines that begin with `%` or `!` are for the notebook alone, and no Python: put them "
            "into another cell."
        )
    return notes


def in_notebook_only(chosen: Exercise, verdict: Verdict) -> list[str]:
    """The file holds the stub, and the notebook something of that name."""
    shell = running()
    if shell is None or verdict.kind != kinds.NOT_ATTEMPTED:
        return []
    names = [name for name in chosen.functions if _written(shell.user_ns.get(name))]
    if not names:
        return []
    return [
        f"The notebook has {' and '.join(f'`{name}`' for name in names)}, but the file still holds "
        f"the stub. Begin that cell with `%%exercise {chosen.id}`, and run it: this saves it."
    ]


def _written(value: Any) -> bool:
    """A function of the notebook that is no stub."""
    if not isinstance(value, FunctionType):
        return callable(value)
    code = value.__code__
    stub = "NotImplementedError" in code.co_names and any(
        isinstance(each, str) and each.startswith("Exercise ") for each in code.co_consts
    )
    return value.__module__ == "__main__" and not stub
