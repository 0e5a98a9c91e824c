"""A verdict as HTML for notebooks, and the same in words.

Marks and words say everything; colours only repeat it, and there are two that colour-blind readers
tell apart. Text takes the colour of the page, so that it reads in the dark and in print. What comes
from a learner is escaped and stands in `code` or `pre`, where notebooks typeset no formulas.
"""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hybridlab.grading import verdict as kinds
from hybridlab.grading.verdict import PartVerdict, Verdict, new_advice, told

_GOOD, _BAD, _OPEN = "#0072b2", "#d55e00", "#767676"  # blue and vermilion of Okabe and Ito
_SHADE = "background:rgba(127,127,127,.13);"
_PRE = (
    f'style="{_SHADE}color:inherit;margin:.2em 0;padding:.3em .6em;white-space:pre-wrap;'
    'overflow-wrap:anywhere;unicode-bidi:isolate;font-size:.92em"'
)
_MOST_LINES, _MOST_CHARACTERS, _MOST_PICTURES = 20, 2000, 2
# control characters, and those that turn the direction of what follows
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True)
class Shown:
    """HTML for a notebook, words for a terminal; `display` takes the one it can show."""

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


def shown(verdict: Verdict, hints: int = 0, notes: Sequence[str] = ()) -> Shown:
    """A verdict.

    Args:
        hints: how many the exercise has, to remind of them.
        notes: more lines about it, in plain text.
    """
    colour, mark = _look(verdict.kind)
    inner = [
        f"<div><strong>{mark} Exercise {text(verdict.exercise)}, {text(verdict.title)}: "
        f"{text(verdict.kind)}</strong>, {verdict.earned} of {verdict.points} points</div>"
    ]
    if verdict.kind == kinds.NOT_ATTEMPTED:
        words = next((part.words for part in verdict.parts if part.words), "")
        inner.append(f"<div>{_prose(words)}</div>")
    else:
        drawn = [part for part in verdict.parts if part.picture][:_MOST_PICTURES]
        inner += [
            _part(part, verdict.parts[:at], part in drawn) for at, part in enumerate(verdict.parts)
        ]
        if verdict.output.strip():
            inner.append(
                "<details><summary>your code printed</summary>"
                f"{_pre(verdict.output.strip())}</details>"
            )
    inner += [f"<div>{_prose(note)}</div>" for note in notes]
    inner += [f'<div style="font-size:.92em">{line}</div>' for line in _next(verdict, hints)]
    words = "\n".join([told(verdict, hints), *(f"  {note}" for note in notes)])
    return Shown(_box("\n".join(inner), colour), words)


def line(words: str, good: bool | None = None) -> Shown:
    """One remark.

    Args:
        good: True, False, or None where it is neither.
    """
    colour = _OPEN if good is None else _GOOD if good else _BAD
    return Shown(_box(f"<div>{_prose(words)}</div>", colour), words)


def table(title: str, verdicts: Sequence[Verdict]) -> Shown:
    """Several exercises, one a row, and the sum."""
    earned, points = sum(each.earned for each in verdicts), sum(each.points for each in verdicts)
    cell = 'style="text-align:left;padding:.15em .8em"'
    rows, lines = [], [f"{title}: {earned} of {points} points"]
    for each in verdicts:
        mark = _look(each.kind)[1]
        shares = f"{each.earned} of {each.points}"
        rows.append("<tr>" + "".join(
            f"<td {cell}>{value}</td>"
            for value in (text(each.exercise), text(each.title),
                          f"{mark} {text(each.kind)}", shares)
        ) + "</tr>")
        lines.append(f"  {mark} {each.exercise:5} {each.title:34} {each.kind:20} {shares}")
    head = "".join(
        f'<th scope="col" {cell}>{name}</th>'
        for name in ("Exercise", "Title", "Verdict", "Points")
    )
    inner = (
        f"<table><caption {cell}><strong>{text(title)}: {earned} of {points} points</strong>"
        f"</caption><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )
    return Shown(_box(inner, _GOOD if earned == points else _OPEN), "\n".join(lines))


def text(words: str) -> str:
    """Escaped, without characters that cannot be seen."""
    return html.escape(_UNSEEN.sub("\ufffd", str(words)))


def _look(kind: str) -> tuple[str, str]:
    if kind == kinds.RIGHT:
        return _GOOD, "✓"
    return (_OPEN, "○") if kind == kinds.NOT_ATTEMPTED else (_BAD, "✗")


def _box(inner: str, colour: str) -> str:
    return (
        f'<div style="border-left:4px solid {colour};padding:.2em .8em;margin:.4em 0;'
        f'max-width:60em;color:inherit;line-height:1.5">\n{inner}\n</div>'
    )


def _part(part: PartVerdict, before: Sequence[PartVerdict], drawn: bool) -> str:
    mark = _look(part.kind)[1]
    inner = [f"{mark} {text(part.part)}: {text(part.kind)}, {part.earned} of {part.points}"]
    if part.words and any(_finding(part) == _finding(each) for each in before):
        return f'<div style="margin:.25em 0 .25em 1em">{inner[0]}; as above</div>'
    if part.line:
        inner.append(f"<div>line {part.line}: {_code(part.code)}</div>")
    if part.words:
        inner.append(_pre(part.words))
    inner += [f"<div>{_prose(line)}</div>" for line in new_advice(part, before)]
    if part.picture and drawn:
        inner.append(_image(part.picture))
    return f'<div style="margin:.25em 0 .25em 1em">{"".join(inner)}</div>'


def _finding(part: PartVerdict) -> tuple[object, ...]:
    return part.kind, part.words, part.line, part.advice


def _code(words: str, look: str = _SHADE) -> str:
    """In `code`, in which notebooks typeset no formulas."""
    if not words:
        return ""
    return f'<code style="{look}color:inherit;white-space:pre-wrap">{text(words)}</code>'


def _prose(words: str) -> str:
    """Text in which backticks enclose code. The rest only looks as if it were none."""
    plain = "background:none;font-family:inherit;font-size:inherit;padding:0;"
    pieces = str(words).split("`")
    if len(pieces) % 2 == 0:  # a backtick without its partner
        pieces = [str(words)]
    return "".join(
        _code(piece, _SHADE if at % 2 else plain) for at, piece in enumerate(pieces)
    )


def _pre(words: str) -> str:
    lines = words[:_MOST_CHARACTERS].splitlines()[:_MOST_LINES]
    cut = "\n..." if len("\n".join(lines)) < len(words.rstrip()) else ""
    return f"<pre {_PRE}>{text(chr(10).join(lines))}{cut}</pre>"


def _image(picture: dict[str, Any]) -> str:
    from hybridlab.grading.picture import alt, draw  # matplotlib: only where there is a picture

    try:
        figure = draw(picture)
        if figure is None:
            return ""
        words, buffer = alt(picture), io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110, facecolor="white")
    except (ValueError, OverflowError, FloatingPointError):  # values that cannot be drawn
        return ""
    data = base64.b64encode(buffer.getvalue()).decode()
    return (
        f'<div><img style="max-width:100%;background:white" alt="{text(words)}" '
        f'src="data:image/png;base64,{data}"></div>'
    )


def _next(verdict: Verdict, hints: int) -> list[str]:
    """What can be done now."""
    if verdict.right:
        return []
    id, found = text(verdict.exercise), []
    if verdict.kind != kinds.NOT_ATTEMPTED:
        again = f'check("{verdict.exercise}", seed={verdict.seed})'
        found.append(
            f"Inputs were drawn with seed {verdict.seed}; the same again: {_code(again)}"
        )
    if hints:
        call = f'hint("{verdict.exercise}")'
        found.append(f"Stuck with {id}? {_code(call)} gives a hint; there are {hints}.")
    return found
