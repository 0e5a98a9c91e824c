"""Solutions -> stubs: what a student gets is made from the master, never written by hand.

In `solutions/lesson_NN.py` each exercise is a block, and in it the text between the lines
`### BEGIN SOLUTION` and `### END SOLUTION` becomes
`raise NotImplementedError("Exercise 1.2: ...")`.
All other text stays: signature, docstring with shapes and a worked example, the file's heading.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from pathlib import Path

from hybridlab.grading.blocks import MARK, Block, find, split
from hybridlab.grading.manifest import Exercise, exercises, file_name, of_lesson

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
_LIKE_MARKER = re.compile(r"^\s*#+\s*(begin|end)\W+solution", re.IGNORECASE)
_LIKE_MARK = re.compile(r"^\s*#\s*%%\s*exercise", re.IGNORECASE)


class MarkerError(ValueError):
    """A file of solutions that no stubs can be made of; the message begins with FILE:LINE."""

    def __init__(self, file: str, line: int, words: str):
        super().__init__(f"{file}:{line}: {words}")


def make_stubs(text: str, file: str, entries: Sequence[Exercise]) -> str:
    """The stubs of one file of solutions.

    Args:
        text: of the file.
        file: its name, for messages.
        entries: the manifest's exercises of this lesson.

    Raises:
        MarkerError: a marker is unclosed, nested, stray or misspelt; a block holds no solution, or
            what is left of it is no valid stub; marks and manifest do not agree.
    """
    try:
        ast.parse(text)
    except SyntaxError as error:
        raise MarkerError(file, error.lineno or 1, f"not valid Python: {error.msg}") from error
    heading, *blocks = split(text)
    _agree(text, blocks, file, entries)
    _without_markers(heading, file)
    by_id = {each.id: each for each in entries}
    return heading.text + "".join(_stub(block, file, by_id[block.id]) for block in blocks)


def stubs_of(solutions: Path) -> dict[int, str]:
    """Lesson -> its stubs, for every lesson with exercises.

    Args:
        solutions: the folder of the solutions.

    Raises:
        MarkerError: as `make_stubs`, or a lesson's file is missing, or a file has no lesson.
    """
    lessons = sorted({each.lesson for each in exercises().values()})
    wanted = {file_name(lesson) for lesson in lessons}
    for path in sorted(solutions.glob("lesson_*.py")):
        if path.name not in wanted:
            raise MarkerError(
                f"{solutions.name}/{path.name}", 1,
                "the manifest has no exercise of this lesson; add entries, or rename the file",
            )
    made = {}
    for lesson in lessons:
        path = solutions / file_name(lesson)
        shown = f"{solutions.name}/{path.name}"
        if not path.is_file():
            raise MarkerError(shown, 1, "this file is missing, but the manifest has its exercises")
        made[lesson] = make_stubs(path.read_text(encoding="utf-8"), shown, of_lesson(lesson))
    return made


def refuse_passing(stubs: str, file: str, entries: Sequence[Exercise], seed: int = 0) -> None:
    """Grade every stub; none may earn a point.

    Raises:
        MarkerError: one is anything but "not attempted"; the line is that of its mark in the stubs.
    """
    from hybridlab.grading.grader import grade
    from hybridlab.grading.learner import Source
    from hybridlab.grading.verdict import NOT_ATTEMPTED

    for exercise in entries:
        verdict = grade(exercise, Source(file, stubs), seed)
        if verdict.kind != NOT_ATTEMPTED or verdict.earned:
            block = find(stubs, exercise.id)
            raise MarkerError(
                file, block.line if block else 1,
                f"the stub of exercise {exercise.id} is graded {verdict.kind!r} with "
                f"{verdict.earned} of {verdict.points} points; a stub must be 'not attempted': "
                "mark more of the solution, or check the functions in the first part",
            )


def raised(exercise: Exercise) -> str:
    """The statement that stands in a stub for the solution."""
    words = json.dumps(f"Exercise {exercise.id}: {exercise.title}", ensure_ascii=False)
    return f"raise NotImplementedError({words})"


def _agree(text: str, blocks: Sequence[Block], file: str, entries: Sequence[Exercise]) -> None:
    """Marks and manifest name the same exercises, each once and by the same title."""
    titles = {each.id: each.title for each in entries}
    seen: set[str] = set()
    for number, line in enumerate(text.split("\n"), 1):
        if _LIKE_MARK.match(line) and not MARK.match(line):
            raise MarkerError(
                file, number, f"{line.strip()!r} is no mark; write '# %% Exercise 1.2: Title'"
            )
    for block in blocks:
        if block.id not in titles:
            raise MarkerError(
                file, block.line, f"exercise {block.id} is not in the manifest of this lesson; "
                f"that has {', '.join(titles) or 'none'}",
            )
        if block.id in seen:
            raise MarkerError(file, block.line, f"exercise {block.id} has two blocks; keep one")
        seen.add(block.id)
        wanted = f"# %% Exercise {block.id}: {titles[block.id]}"
        given = block.text.splitlines()[0]
        if given != wanted:
            raise MarkerError(
                file, block.line, f"the mark is {given!r}, the manifest's title makes it {wanted!r}"
            )
    missing = [id for id in titles if id not in seen]
    if missing:
        last = text.count("\n") + 1
        raise MarkerError(
            file, last, f"there is no block for exercise {missing[0]} of the manifest; add "
            f"'# %% Exercise {missing[0]}: {titles[missing[0]]}'",
        )


def _without_markers(heading: Block, file: str) -> None:
    for number, line in enumerate(heading.text.split("\n"), heading.line):
        if _LIKE_MARKER.match(line):
            raise MarkerError(file, number, f"{line.strip()!r} stands outside any exercise")


def _stub(block: Block, file: str, exercise: Exercise) -> str:
    lines: list[str] = []
    opened: tuple[int, str] | None = None  # where, and how far it is indented
    inside: list[str] = []
    regions = 0
    for number, line in enumerate(block.text.split("\n"), block.line):
        marker = line.strip()
        indent = line[: len(line) - len(line.lstrip())]
        if _LIKE_MARKER.match(line) and marker not in (BEGIN, END):
            raise MarkerError(file, number, f"{marker!r} is no marker; write {BEGIN!r} or {END!r}")
        if marker == BEGIN:
            if opened:
                raise MarkerError(
                    file, number, f"a second {BEGIN!r}: that of line {opened[0]} is still open"
                )
            opened, inside = (number, indent), []
        elif marker == END:
            if not opened:
                raise MarkerError(file, number, f"{END!r} without a {BEGIN!r} before it")
            if indent != opened[1]:
                raise MarkerError(
                    file, number, f"{END!r} is not indented as its {BEGIN!r} of line {opened[0]}"
                )
            if not any(_is_code(each) for each in inside):
                raise MarkerError(file, opened[0], "there is no solution between the two markers")
            lines.append(indent + raised(exercise))
            opened, regions = None, regions + 1
        elif opened:
            inside.append(line)
        else:
            lines.append(line)
    if opened:
        raise MarkerError(
            file, opened[0], f"this {BEGIN!r} is not closed before exercise {block.id} ends"
        )
    if not regions:
        raise MarkerError(file, block.line, f"exercise {block.id} has no {BEGIN!r}: no solution")
    stub = "\n".join(lines)
    _is_stub(stub, block, file, exercise)
    return stub


def _is_code(line: str) -> bool:
    text = line.split("#")[0].strip()
    return text not in ("", "pass", "...")


def _is_stub(stub: str, block: Block, file: str, exercise: Exercise) -> None:
    """A stub is valid Python, and each function has a docstring and raises."""
    try:
        tree = ast.parse(stub)
    except SyntaxError as error:
        raise MarkerError(
            file, block.line, f"without its solution, exercise {exercise.id} is not valid Python "
            f"({error.msg}): let the markers hold whole statements",
        ) from error
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    for name in exercise.functions:
        if name not in functions:
            raise MarkerError(
                file, block.line,
                f"exercise {exercise.id} does not define {name}(), which the manifest names",
            )
        line = _line_of(block, name)
        if not ast.get_docstring(functions[name]):
            raise MarkerError(
                file, line, f"{name}() has no docstring; say what it takes and gives, with shapes"
            )
        if not any(_is_raised(node) for node in ast.walk(functions[name])):
            raise MarkerError(
                file, line, f"{name}() is given away whole; put its answer between markers"
            )


def _is_raised(node: ast.AST) -> bool:
    return isinstance(node, ast.Raise) and "NotImplementedError" in ast.unparse(node)


def _line_of(block: Block, function: str) -> int:
    found = re.search(rf"^def {function}\b", block.text, re.MULTILINE)
    return block.line + (block.text.count("\n", 0, found.start()) if found else 0)
