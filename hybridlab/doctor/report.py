"""The doctor's findings as a table: text for a terminal, HTML for a notebook."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from html import escape
from typing import Any

from hybridlab.doctor.examine import worst
from hybridlab.doctor.finding import Finding

# A sign and a word beside each colour: readable in print and for colour-blind readers.
_SIGN = {"ok": "ok  ", "warn": "note", "fail": "FAIL"}
_COLOUR = {"ok": "#0072b2", "warn": "#e69f00", "fail": "#d55e00"}  # Okabe and Ito's palette
_SUMMARY = {
    "ok": "All is well: this machine is ready for the course.",
    "warn": "The course works here; the notes above are worth reading.",
    "fail": "Something is missing: do what stands beside FAIL, then look again.",
}


def as_text(findings: Sequence[Finding], width: int = 96) -> str:
    """A table for a terminal, with advice under each finding that has some."""
    left = max((len(finding.name) for finding in findings), default=0)
    lines = []
    for finding in findings:
        head = f"{_SIGN[finding.status]}  {finding.name:<{left}}  "
        lines += _wrapped(finding.what, head, width)
        if finding.advice:
            lines += _wrapped(finding.advice, " " * len(head) + "-> ", width)
    return "\n".join([*lines, "", _SUMMARY[worst(findings)]])


def as_html(findings: Sequence[Finding]) -> str:
    """The same as an HTML table; text from the machine is escaped."""
    rows = []
    for finding in findings:
        advice = f"<br><em>{_with_code(finding.advice)}</em>" if finding.advice else ""
        rows.append(
            f'<tr><td style="border-left: 6px solid {_COLOUR[finding.status]}">'
            f"<b>{_SIGN[finding.status].strip()}</b></td>"
            f'<th scope="row" style="text-align: left">{escape(finding.name)}</th>'
            f'<td style="text-align: left">{_with_code(finding.what)}{advice}</td></tr>'
        )
    heads = [
        f'<th scope="col" style="text-align: left">{name}</th>'
        for name in ("status", "what", "found")
    ]
    return (
        "<table><caption>This machine, looked at by the doctor</caption><thead><tr>"
        f"{''.join(heads)}"
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        f"<p><b>{escape(_SUMMARY[worst(findings)])}</b></p>"
    )


def _with_code(text: str) -> str:
    """Escaped, with what stands between backticks as code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))


def show(findings: Sequence[Finding]) -> Any:
    """For the last line of a notebook's cell: HTML where it is drawn, text where it is not."""
    html, text = as_html(findings), as_text(findings)

    class Report:
        def _repr_mimebundle_(self, **options: Any) -> dict[str, str]:
            return {"text/html": html, "text/plain": text}

    return Report()


def _wrapped(text: str, head: str, width: int) -> list[str]:
    return textwrap.wrap(
        text, max(width, len(head) + 20), initial_indent=head, subsequent_indent=" " * len(head),
        break_long_words=False, break_on_hyphens=False,
    ) or [head.rstrip()]
