"""The parts of an HTML page that stands alone: no script, no network, readable dark and printed."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape

from matplotlib.figure import Figure

from hybridlab.ablation.tables import Table

GENERATOR = "hybridlab report"
# Wide tables scroll by themselves, with the keyboard too.
_SCROLL = '<div class="scroll" tabindex="0">'

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin-bottom: .4rem; }
h2 { font-size: 1.2rem; margin-top: 2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .82rem; margin-bottom: 1.2rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .5rem; text-align: left; border-bottom: 1px solid #ccc;
  vertical-align: top; overflow-wrap: normal; }
thead th { border-bottom: 2px solid #777; vertical-align: bottom; }
tbody th { font-weight: 600; }
.figures th, .figures td { text-align: right; } .figures td { white-space: nowrap; }
.figures th:first-child { text-align: left; }
.verdict th:nth-child(2), .verdict td:nth-child(2) { text-align: left; white-space: normal; }
.costs th:not(:first-child), .costs td { text-align: right; }
tbody th { min-width: 9rem; max-width: 20rem; overflow-wrap: anywhere; }
caption { text-align: left; padding-bottom: .4rem; }
figure { margin: 1.5rem 0; } img { max-width: 100%; height: auto; background: #fff; }
figcaption, .quiet { color: #555; font-size: .85rem; }
code, pre { font-size: .85rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.warn { border-left: 4px solid #b84a00; padding-left: 1.8rem; }
.short { border-left: 4px solid #0067a5; padding-left: 1.8rem; }
@media (prefers-color-scheme: dark) {
  body { color: #e6e6e6; background: #16181b; } figcaption, .quiet { color: #b4b4b4; }
  th, td { border-color: #555; } thead th { border-color: #999; }
  img { padding: .4rem; border-radius: 4px; }
  .warn { border-color: #ff9248; } .short { border-color: #6db9e8; }
}
@media print {
  @page { size: A4 landscape; margin: 14mm; }
  :root { color-scheme: light; }
  body { color: #000; background: #fff; max-width: none; margin: 0; padding: 0; font-size: 11px; }
  table { font-size: 9px; } th, td { padding: .15rem .3rem; border-color: #999; }
  thead { display: table-header-group; } thead th { border-color: #555; }
  .scroll { overflow: visible; }
  .figures td { white-space: normal; }
  figure, tr, pre { break-inside: avoid; } h1, h2, caption { break-after: avoid; }
  figure img { max-height: 150mm; width: auto; }
  figcaption, .quiet { color: #333; } img { padding: 0; }
}
"""


def page(title: str, body: Iterable[str], author: str = "") -> str:
    """A whole page; `title` and `author` are text, `body` is HTML."""
    writer = [f'<meta name="author" content="{escape(author)}">'] if author else []
    # The policy forbids what the page does not have: scripts, and anything from elsewhere.
    return "\n".join([
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta name="generator" content="{GENERATOR}">',
        *writer,
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style></head><body>",
        *body,
        "</body></html>",
        "",
    ])


def heading(text: str) -> str:
    """A heading of a part."""
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of text; `kind` is a class of the style: "quiet", "warn" or "short"."""
    return f"<p{_class(kind)}>{escape(text)}</p>"


def listing(items: Sequence[str], kind: str = "") -> str:
    """A list of texts."""
    return f"<ul{_class(kind)}>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"


def pairs(rows: Iterable[tuple[str, str]]) -> str:
    """Names and values, such as a recipe's."""
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td><code>{escape(value)}</code></td></tr>'
        for name, value in rows
    )
    return f'{_SCROLL}<table>{body}</table></div>'


def html_table(table: Table, caption: str, kind: str = "figures") -> str:
    """A table with its caption; `kind` is "figures", "figures verdict" (in words, second),
    "costs" or "words"."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.header)
    body = []
    for at, row in enumerate(table.rows):
        cells = [
            f"<strong>{escape(cell)}</strong>" if (at, column) in table.bold else escape(cell)
            for column, cell in enumerate(row)
        ]
        first, *others = cells
        body.append(f'<tr><th scope="row">{first}</th>'
                    + "".join(f"<td>{cell}</td>" for cell in others) + "</tr>")
    return (
        f'{_SCROLL}<table class="{kind}"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def picture(figure: Figure, alt: str, caption: str) -> str:
    """A figure inside the page itself."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130, facecolor="white", metadata={"Software": None})
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{escape(alt)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def preformatted(text: str) -> str:
    """A command to be copied."""
    return f"<pre><code>{escape(text)}</code></pre>"


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
