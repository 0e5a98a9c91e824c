"""Pieces of Markdown from what strangers wrote: tables, blocks of code, text that means itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from hybridlab.data.images import shown
from hybridlab.evaluation.bootstrap import Interval


def table_lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table and an empty line; what stands in a cell is made `plain`."""
    filled = [[plain(cell) for cell in line] for line in (head, *rows)]
    for line in (filled[0], ["---"] * len(head), *filled[1:]):
        yield "| " + " | ".join(line) + " |"
    yield ""


def fenced(text: str, language: str = "") -> Iterator[str]:
    """A block of code and an empty line; no text can end it."""
    mark = "```"
    while mark in text:
        mark += "`"
    yield f"{mark}{language}"
    yield text
    yield mark
    yield ""


def json_lines(found: Mapping[str, Any]) -> str:
    """As JSON, a line for each key."""
    rows = (f"  {json.dumps(key)}: {json.dumps(each, sort_keys=True)}"
            for key, each in sorted(found.items()))
    return "{\n" + ",\n".join(rows) + "\n}"


def plain(value: str) -> str:
    """One line of Markdown that means itself, whoever wrote it."""
    text = " ".join(shown(str(value)).split())
    marks = "\\|`*<>" + ("[" if "](" in text else "")  # an interval is no link
    return "".join("\\" + mark if mark in marks else mark for mark in text)


def short(value: Any) -> str:
    """Text as it is and anything else as JSON, cut to a cell's length."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."


def listed(names: Sequence[str]) -> str:
    """The first twenty names, and how many more there are."""
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return ", ".join(plain(name) for name in names[:20]) + more


def percent(share: float) -> str:
    """In per cent without the sign; a dash for NaN."""
    return "–" if np.isnan(share) else f"{100 * share:.1f}"


def ends(found: Interval) -> str:
    """[low, high], in per cent."""
    return f"[{percent(found.low)}, {percent(found.high)}]"
