"""Showing figures in a notebook so that everybody can read them: with a title and alt text."""

from __future__ import annotations

import inspect
import io
from typing import Any

from matplotlib.figure import Figure


def show(figure: Figure, alt: str, dpi: int = 100) -> Any:
    """A figure as a picture with alternative text, for the last line of a cell.

    Args:
        figure: with a title, of the figure or of its axes.
        alt: what one would tell a reader who cannot see it.

    Raises:
        ValueError: no alt text or no title.
    """
    from IPython.display import Image

    if not alt.strip():
        raise ValueError("alt is empty; say in a sentence what the figure shows")
    if not has_title(figure):
        raise ValueError("the figure has no title; give it one that says what to see")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, facecolor="white")
    return Image(buffer.getvalue(), format="png", alt=alt)


def has_title(figure: Figure) -> bool:
    """Whether the figure says what to see: a figure title, free text, or a title of an axes."""
    texts = [*figure.texts, *(axes.title for axes in figure.axes)]
    return any(text.get_text().strip() for text in texts)


def show_source(thing: Any) -> Any:
    """The real source of a function or class, coloured: notebooks show it, never a copy."""
    from IPython.display import Code

    return Code(inspect.getsource(thing), language="python")
