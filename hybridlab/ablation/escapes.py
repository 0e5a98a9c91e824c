"""Text that Markdown and LaTeX show as it is."""

from __future__ import annotations

import re


def markdown_text(text: str) -> str:
    """Text that Markdown, GitHub's and Jupyter's, shows as it is."""
    for mark in "\\`*_|~$":
        text = text.replace(mark, "\\" + mark)
    text = re.sub(r"<(?=[A-Za-z/!?])", r"\<", text)  # a tag; "< 0.001" is none
    text = re.sub(r"&(?=#?\w+;)", "&amp;", text)
    return re.sub(r"\](?=[(\[:])", r"\]", text)  # a link; "[1.0, 2.0]" is none


def latex_text(text: str) -> str:
    """Text that LaTeX shows as it is, also at the start of a row of a table."""
    written = "".join(_LATEX.get(letter, letter) for letter in text)
    # after the \\ of the row before, these would be read as its arguments
    return f"{{{written[0]}}}{written[1:]}" if written[:1] in ("[", "*") else written


_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%",
    "#": r"\#", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": "$<$", ">": "$>$", "|": "$|$", '"': r"\symbol{34}", "–": "--", "×": r"$\times$",
}
