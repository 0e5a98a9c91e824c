"""Known answers to exercises, right and wrong: what proves that a check judges well.

They stand in `tests/exercises/answers/lesson_NN.py`, each below a line that begins it:

    # %% Wrong 1.2: macro F1
    # says: That is the mean of the labels' F1
    def cf1(decisions, targets): ...

    # %% Right 1.2: a loop
    def cf1(decisions, targets): ...

`says` is a piece of what the verdict on a wrong answer must say. What an answer does not define is
taken from the solution.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from hybridlab.grading import blocks
from hybridlab.grading.learner import Source
from hybridlab.grading.manifest import Exercise

_MARK = re.compile(r"^# %% (Wrong|Right) (\d+\.\d+): ([^\n]+)$", re.MULTILINE)
_SAYS = re.compile(r"^# says: ([^\n]+)$", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """One known answer.

    Attributes:
        exercise: its id.
        right: it must pass; otherwise it must fail.
        title: what it does.
        says: of a wrong one, a piece of what the verdict must say.
        code: imports of its file, and its functions.
    """

    exercise: str
    right: bool
    title: str
    says: str
    code: str


def read(path: Path) -> list[Answer]:
    """The answers of a file, in order.

    Raises:
        ValueError: there is none, or a wrong one does not say what its verdict must say.
    """
    text = path.read_text(encoding="utf-8")
    marks = list(_MARK.finditer(text))
    if not marks:
        raise ValueError(f"{path.name} has no answer; begin one with '# %% Wrong 1.2: title'")
    heading = text[: marks[0].start()]
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    found = []
    for mark, end in zip(marks, ends, strict=True):
        body = text[mark.end() : end]
        right, says = mark[1] == "Right", _SAYS.search(body)
        if right == bool(says):
            raise ValueError(
                f"{path.name}: {mark[0]!r} {'has' if says else 'lacks'} a line '# says: ...'; "
                "wrong answers need one, right ones none"
            )
        found.append(Answer(mark[2], right, mark[3], says[1] if says else "", heading + body))
    return found


def source(answer: Answer, exercise: Exercise, solutions: Source) -> Source:
    """The solutions with this answer in place of one of them.

    Raises:
        ValueError: the answer defines none of the exercise's functions.
    """
    defined = {
        node.name for node in ast.parse(answer.code).body if isinstance(node, ast.FunctionDef)
    }
    if not defined & set(exercise.functions):
        raise ValueError(
            f"answer {answer.title!r} to exercise {exercise.id} defines {sorted(defined)}; give "
            f"one of {', '.join(exercise.functions)}"
        )
    return replaced(exercise, solutions, answer.code, keep=True)


def replaced(exercise: Exercise, solutions: Source, code: str, keep: bool = False) -> Source:
    """The solutions with other code for an exercise.

    Args:
        keep: leave the solution before the code, which overrides it.

    Raises:
        ValueError: the solutions lack the exercise.
    """
    block = blocks.find(solutions.text, exercise.id)
    if block is None:
        raise ValueError(f"{solutions.file} has no exercise {exercise.id}; write its solution")
    before = block.text if keep else block.text.partition("\n")[0] + "\n"
    return Source(
        solutions.file, blocks.replace(solutions.text, exercise.id, f"{before}\n{code}")
    )
