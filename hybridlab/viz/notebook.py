"""Showing figures in a notebook so that everybody can read them: with a title and alt text."""

from __future__ import annotations

import inspect
import io
from collections.abc import Sequence
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


def show_labelled(samples: Sequence[Any], predictions: Sequence[Any], vocabulary: Any) -> Any:
    """Scenes with what a `Predictor` found, missed and wrongly gave under each, and the same as
    alternative text.

    Args:
        samples: with `image` and `targets`.
        predictions: one `Prediction` per sample.
        vocabulary: the names of the columns of both.
    """
    from hybridlab.viz.predictions import in_words, prediction_figure

    targets = [sample.targets for sample in samples]
    decisions = [each.probs >= each.thresholds for each in predictions]
    probs = [each.probs for each in predictions]
    figure = prediction_figure(
        [sample.image for sample in samples], vocabulary, targets, decisions, probs
    )
    return show(figure, alt=in_words(vocabulary, targets, decisions))


def has_title(figure: Figure) -> bool:
    """Whether the figure says what to see: a figure title, free text, or a title of an axes."""
    texts = [*figure.texts, *(axes.title for axes in figure.axes)]
    return any(text.get_text().strip() for text in texts)


def show_source(thing: Any) -> Any:
    """The real source of a function or class, coloured: notebooks show it, never a copy."""
    from IPython.display import Code

    class Source(Code):
        def _repr_html_(self) -> str:  # exported pages have code in the font of what is around it
            return f'<div style="font-family: monospace">{super()._repr_html_()}</div>'

    return Source(inspect.getsource(thing), language="python")
