"""Verdicts in Gradescope's `results.json` format: one test for each part of each exercise."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from hybridlab.grading.manifest import Exercise
from hybridlab.grading.verdict import NOT_ATTEMPTED, RIGHT, PartVerdict, Verdict, told

_MOST = 4000  # characters of a test's output
_MOST_IN_ALL = 20_000  # and of the output above them
# characters that JSON can hold and databases refuse, and those that cannot be seen
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def results(verdicts: Sequence[Verdict], exercises: Sequence[Exercise]) -> dict[str, Any]:
    """What an autograder writes to `results/results.json`: plain data without NaN.

    Args:
        verdicts: of one submission; an exercise without one earns nothing.
        exercises: all that count, in order.
    """
    found = {verdict.exercise: verdict for verdict in verdicts}
    tests: list[dict[str, Any]] = []
    for exercise in exercises:
        verdict = found.get(exercise.id)
        if verdict is None:
            parts = tuple(
                PartVerdict(name, NOT_ATTEMPTED, points, 0, "not graded")
                for name, points in exercise.points.items()
            )
        else:
            parts = verdict.parts
        tests += [
            _test(exercise, number, part) for number, part in enumerate(parts, start=1)
        ]
    asked = [found[each.id] for each in exercises if each.id in found]
    seeds = sorted({verdict.seed for verdict in asked})
    return {
        "score": sum(test["score"] for test in tests),
        "execution_time": round(sum(verdict.seconds for verdict in asked), 3),
        "output": _short("\n\n".join(told(verdict) for verdict in asked), _MOST_IN_ALL),
        "output_format": "text",
        "test_output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "extra_data": {"seeds": seeds, "max_score": sum(test["max_score"] for test in tests)},
        "tests": tests,
    }


def _test(exercise: Exercise, number: int, part: PartVerdict) -> dict[str, Any]:
    lines = [] if part.kind == RIGHT else [part.kind]
    if part.line:
        lines.append(f"line {part.line}: {part.code}")
    lines += [words for words in (part.words, part.advice) if words]
    return {
        "score": part.earned,
        "max_score": part.points,
        "status": "passed" if part.kind == RIGHT else "failed",
        "name": _short(f"{exercise.title}: {part.part}", 200),
        "number": f"{exercise.id}.{number}",
        "output": _short("\n".join(lines), _MOST),
        "tags": [f"lesson {exercise.lesson}", f"exercise {exercise.id}"],
        "visibility": "visible",
    }


def _short(words: str, most: int) -> str:
    words = _UNSEEN.sub("\ufffd", words)
    return words if len(words) <= most else words[: most - 4].rstrip() + "\n..."
