"""A learner's file in blocks: a heading, then one block for each exercise.

    # %% Exercise 1.2: CF1 the right way

begins a block; it ends where the next one begins. Editors show such blocks as cells. Each is
compiled by itself, so that a slip in one exercise leaves the others as they were.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

MARK = re.compile(r"^# %% Exercise (\d+\.\d+)\b[^\n]*$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A stretch of a file.

    Attributes:
        id: of the exercise, "1.2"; "" for the heading.
        line: where it begins in the file, from 1.
        text: all of it, the mark included.
    """

    id: str
    line: int
    text: str


def split(text: str) -> list[Block]:
    """The blocks of a file, the heading first; of two with the same number the last counts."""
    marks = list(MARK.finditer(text))
    ends = [*(mark.start() for mark in marks), len(text)]
    blocks = [Block("", 1, text[: ends[0]])]
    for mark, end in zip(marks, ends[1:], strict=True):
        line = text.count("\n", 0, mark.start()) + 1
        blocks.append(Block(mark[1], line, text[mark.start() : end]))
    return blocks


def find(text: str, exercise: str) -> Block | None:
    """The block of an exercise, or None."""
    found = [block for block in split(text) if block.id == exercise]
    return found[-1] if found else None


def replace(text: str, exercise: str, body: str) -> str:
    """The file with another text for one exercise; a new block goes behind those before it.

    Args:
        body: begins with the exercise's mark.
    """
    blocks = split(text)
    body = body.rstrip("\n") + "\n"
    places = [at for at, block in enumerate(blocks) if block.id == exercise]
    texts = [block.text for block in blocks]
    if places:
        last = places[-1] == len(blocks) - 1
        texts[places[-1]] = body if last else body + "\n\n"
    else:
        before = [at for at, block in enumerate(blocks) if _order(block.id) < _order(exercise)]
        at = before[-1] + 1
        texts[at - 1] = texts[at - 1].rstrip("\n") + "\n\n\n"
        texts.insert(at, body if at == len(blocks) else body + "\n\n")
    return "".join(texts)


def needed(text: str, exercise: str) -> list[Block]:
    """What must be run for an exercise, in the file's order: heading, its block, and the blocks
    that define names which these read. Where the file has no such mark, it is one block."""
    blocks = split(text)
    own = find(text, exercise)
    if own is None:
        return [Block("", 1, text)] if len(blocks) == 1 else [blocks[0]]
    heading = imported(blocks[0].text)  # what it imports, no other block need import
    defines = [defined(block.text) | (imported(block.text) - heading) for block in blocks]
    todo = [blocks.index(own)]
    wanted = {0, *todo}
    while todo:
        names = read(blocks[todo.pop()].text)
        more = [at for at, own in enumerate(defines) if at not in wanted and names & own]
        wanted.update(more)
        todo.extend(more)
    return [blocks[at] for at in sorted(wanted)]


def defined(text: str) -> set[str]:
    """The functions, classes and variables that code defines at its top."""
    found = set()
    tree = _tree(text)
    for node in tree.body if tree else ():
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
            found.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {each.id for each in targets if isinstance(each, ast.Name)}
    return found


def imported(text: str) -> set[str]:
    """The names that code imports at its top."""
    tree = _tree(text)
    return {
        alias.asname or alias.name.split(".")[0]
        for node in (tree.body if tree else ()) if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }


def read(text: str) -> set[str]:
    """The names that code reads."""
    tree = _tree(text)
    return {
        node.id for node in (ast.walk(tree) if tree else ())
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }


def _order(exercise: str) -> tuple[int, ...]:
    return tuple(int(part) for part in exercise.split(".")) if exercise else (-1,)


def _tree(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
