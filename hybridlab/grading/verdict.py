"""What the grader says of an exercise, as plain values that travel as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

NOT_ATTEMPTED = "not attempted"
CRASHED = "crashed in your code"
TOO_LONG = "took too long"
WRONG_FORM = "wrong type or shape"
WRONG_VALUE = "wrong value"
RIGHT = "right"
_PRINTED = 10  # lines of a learner's output that are shown
KINDS = (NOT_ATTEMPTED, CRASHED, TOO_LONG, WRONG_FORM, WRONG_VALUE, RIGHT)


@dataclass(frozen=True)
class PartVerdict:
    """One part of an exercise.

    Attributes:
        part: what it is about.
        kind: one of `KINDS`.
        points, earned: what it is worth, and what of that was earned: all or nothing.
        words: what happened: got and expected, or the exception; empty where it is right.
        advice: what the mistake probably is, where the grader knows it; else empty.
        line, code: of the learner's file, where it is known.
        picture: what can be drawn beside the words: {"kind", "got", "expected", "title"}, or None.
    """

    part: str
    kind: str
    points: int
    earned: int
    words: str = ""
    advice: str = ""
    line: int | None = None
    code: str = ""
    picture: dict[str, Any] | None = None


@dataclass(frozen=True)
class Verdict:
    """One exercise.

    Attributes:
        exercise: its id, "1.2".
        title: of the exercise.
        seed: the random inputs were drawn from it; the same seed draws the same.
        parts: in the order of the check.
        output: what the code printed, its beginning.
        seconds: that the check took.
    """

    exercise: str
    title: str
    seed: int
    parts: tuple[PartVerdict, ...]
    output: str = ""
    seconds: float = 0.0

    # Written out: in a notebook, a learner may have another `sum` or `next`.

    @property
    def points(self) -> int:
        """What the exercise is worth."""
        total = 0
        for part in self.parts:
            total += part.points
        return total

    @property
    def earned(self) -> int:
        """What was earned."""
        total = 0
        for part in self.parts:
            total += part.earned
        return total

    @property
    def kind(self) -> str:
        """Of the first part that is not right; "right" if all are."""
        for part in self.parts:
            if part.kind != RIGHT:
                return part.kind
        return RIGHT

    @property
    def right(self) -> bool:
        """Every part is right."""
        return self.kind == RIGHT

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return {**asdict(self), "points": self.points, "earned": self.earned, "kind": self.kind}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Verdict:
        """What `to_json` wrote."""
        parts = tuple(PartVerdict(**part) for part in data["parts"])
        names = ("exercise", "title", "seed", "output", "seconds")
        return cls(parts=parts, **{name: data[name] for name in names})


def new_advice(part: PartVerdict, before: Sequence[PartVerdict]) -> list[str]:
    """The lines of a part's advice that no part before has said."""
    said = {line for each in before for line in each.advice.splitlines()}
    lines = part.advice.splitlines()
    fresh = [line for line in lines if line not in said]
    return [*fresh, *(["The advice above holds here, too."] if len(fresh) < len(lines) else [])]


def told(verdict: Verdict, hints: int = 0) -> str:
    """A verdict in words, for a terminal or a notebook without colours.

    Args:
        hints: how many the exercise has, to remind of them.
    """
    lines = [f"Exercise {verdict.exercise}, {verdict.title}: {verdict.kind}, "
             f"{verdict.earned} of {verdict.points} points"]
    if verdict.kind == NOT_ATTEMPTED:
        return f"{lines[0]}\n  {verdict.parts[0].words}" if verdict.parts[0].words else lines[0]
    before: tuple[object, ...] = ()
    for at, part in enumerate(verdict.parts):
        mark = "+" if part.kind == RIGHT else "-"
        kind = "" if part.kind in (RIGHT, verdict.kind) else f" ({part.kind})"
        finding = (part.kind, part.line, part.words)
        same = part.words and finding == before
        again = ", the same again" if same else ""
        lines.append(f"  {mark} {part.part} [{part.earned}/{part.points}]{kind}{again}")
        before = finding
        if same:
            continue
        if part.line:
            lines.append(f"      line {part.line}: {part.code}")
        lines += [
            f"      {line}"
            for line in (*part.words.splitlines(), *new_advice(part, verdict.parts[:at]))
        ]
    if verdict.output.strip():
        lines.append("  your code printed:")
        printed = verdict.output.strip().splitlines()
        lines += [f"      {line}" for line in printed[:_PRINTED]]
        if len(printed) > _PRINTED:
            lines.append(f"      ... and {len(printed) - _PRINTED} more lines")
    if not verdict.right:
        lines.append(f"  inputs were drawn with seed {verdict.seed}; the same again: "
                     f"hybridlab grade {verdict.exercise} --seed {verdict.seed}")
        if hints:
            lines.append(f'  a hint: hybridlab grade {verdict.exercise} --hint 1 (of {hints}), or '
                         f'hint("{verdict.exercise}") in a notebook')
    return "\n".join(lines)
