"""Pictures and words in one space: figures of lesson 03."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from numpy.typing import ArrayLike

INK, QUIET = "#222222", "#6a6a6a"
# Okabe and Ito, each with a line and a mark of its own for print
STYLES = (("#0072b2", "-", "o"), ("#d55e00", "--", "s"), ("#009e73", "-.", "^"))
MOST = 16  # pairs in one table: more could not be read


def pairs_figure(
    images: Sequence[ArrayLike], captions: Sequence[str], title: str, across: int = 4
) -> Figure:
    """Pictures, each with its caption under it.

    Args:
        images: (H, W, 3) uint8 each.
        captions: one a picture.

    Raises:
        ValueError: no picture, or another number of captions.
    """
    if not len(images) or len(images) != len(captions):
        raise ValueError(
            f"got {len(images)} pictures and {len(captions)} captions; give one caption for each "
            "picture, and one picture or more"
        )
    down = -(-len(images) // across)
    told = [textwrap.fill(caption, 32) for caption in captions]
    lines = max(text.count("\n") + 1 for text in told)
    figure = Figure(
        figsize=(9.2, 0.4 + (2.35 + 0.17 * lines) * down), facecolor="white", layout="constrained"
    )
    for axes in (grid := figure.subplots(down, across, squeeze=False)).flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for axes, image, caption in zip(grid.flat, images, told, strict=False):
        axes.imshow(np.asarray(image), interpolation="nearest")
        # empty lines up to the longest: pictures of a row then keep one height
        axes.set_xlabel(
            caption + "\n" * (lines - 1 - caption.count("\n")), fontsize=9, color=INK,
            parse_math=False,
        )
    figure.suptitle(title, fontsize=12, color=INK)
    return figure


def similarity_figure(
    tables: Mapping[str, ArrayLike], images: Sequence[ArrayLike], captions: Sequence[str],
    title: str,
) -> Figure:
    """Tables of cosines, pictures by captions, beside each other on one scale of colour.

    Args:
        tables: name -> (B, B) cosines, such as "before" and "after".
        images: B pictures, the rows.
        captions: B texts, the columns.

    Raises:
        ValueError: no table, one of another shape, more than 16 pairs, or NaN.
    """
    values = {name: np.asarray(each, float) for name, each in tables.items()}
    _require_tables(list(values.values()), images, captions)
    low = min(each.min() for each in values.values())
    panels = [_Panel(name, table, low) for name, table in values.items()]
    return _tables(panels, images, captions, title, "cosine")


def _require_tables(
    tables: Sequence[np.ndarray], images: Sequence[ArrayLike], captions: Sequence[str]
) -> None:
    count, shapes = len(images), {each.shape for each in tables}
    if shapes != {(count, count)} or len(captions) != count or not 1 <= count <= MOST:
        raise ValueError(
            f"got {count} pictures, {len(captions)} captions and tables of shape {shapes}; give 1 "
            f"to {MOST} pairs, and tables of pictures by captions"
        )
    if not all(np.isfinite(each).all() for each in tables):
        raise ValueError("a table holds NaN or infinity; look for a diverged model")


@dataclass(frozen=True)
class _Panel:
    name: str
    table: np.ndarray
    low: float  # where the colours begin; they end at 1


def _tables(
    panels: Sequence[_Panel], images: Sequence[ArrayLike], captions: Sequence[str], title: str,
    bar: str,
) -> Figure:
    """Tables side by side, pictures at the rows of the first, captions under each."""
    figure = Figure(figsize=(9.2, 4.8), facecolor="white", layout="constrained")
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    names = [_ending(each, 26) for each in captions]
    for axes, panel in zip(row, panels, strict=True):
        picture = axes.imshow(
            panel.table, cmap="viridis", vmin=panel.low, vmax=1, interpolation="nearest"
        )
        axes.set_xticks(
            range(len(names)), names, rotation=60, ha="right", fontsize=8, parse_math=False
        )
        axes.set_yticks(range(len(names)), [""] * len(names))
        axes.tick_params(length=0)
        axes.set_title(panel.name, fontsize=10, color=INK)
    _thumbnails(row[0], images)
    lows = {panel.low for panel in panels}
    for axes in row if len(lows) > 1 else []:
        figure.colorbar(axes.images[0], ax=axes, shrink=0.6)
    if len(lows) == 1:
        figure.colorbar(picture, ax=list(row), label=bar, shrink=0.6)
    figure.get_layout_engine().set(h_pad=0.12)  # type: ignore[union-attr, call-arg]
    figure.suptitle(title, fontsize=12, color=INK)
    return figure


def _ending(caption: str, width: int) -> str:
    """The last words of a caption, which tell most: "... of a kitchen knife"."""
    words = caption.split()
    kept = words[-1:]
    while len(kept) < len(words) and len(" ".join(words[-len(kept) - 1 :])) + 4 <= width:
        kept = words[-len(kept) - 1 :]
    return caption if len(kept) == len(words) else "... " + " ".join(kept)


def _thumbnails(axes: Axes, images: Sequence[ArrayLike]) -> None:
    for row, image in enumerate(images):
        pixels = np.asarray(image)
        box = OffsetImage(pixels, zoom=17 / max(pixels.shape[:2]))
        axes.add_artist(
            AnnotationBbox(box, (0, row), xybox=(-13, 0), xycoords=("axes fraction", "data"),
                           boxcoords="offset points", frameon=False, annotation_clip=False)
        )


def softmax_rows(similarity: ArrayLike, scale: float) -> np.ndarray:
    """What the softmax makes of each row of cosines: (B, U), rows add up to 1.

    Raises:
        ValueError: no table, or a scale that is not a positive number.
    """
    cosines = np.asarray(similarity, float)
    if cosines.ndim != 2 or not 0 < scale < math.inf:
        raise ValueError(
            f"similarity is {cosines.shape} and scale {scale}; give a table and a scale above 0"
        )
    logits = scale * cosines
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def temperature_figure(
    similarity: ArrayLike, scale: float, images: Sequence[ArrayLike], captions: Sequence[str]
) -> Figure:
    """One table of cosines, and what the softmax at this scale makes of each row of it.

    Args:
        similarity: (B, B) cosines, picture i beside its caption i.
        scale: 1 / temperature.
        images, captions: of the rows and the columns.

    Raises:
        ValueError: another shape, more than 16 pairs, NaN, or a scale that is not above 0.
    """
    cosines = np.asarray(similarity, float)
    _require_tables([cosines], images, captions)
    shares = softmax_rows(cosines, scale)
    own, loss = _own(shares)
    panels = [_Panel("cosine", cosines, float(cosines.min())),
              _Panel("softmax of scale x cosine, row by row", shares, 0.0)]
    title = (
        f"Temperature 1/{scale:g}: a picture gives its own caption {100 * own:.0f} %, "
        f"loss of the rows {loss:.2f}"
    )
    return _tables(panels, images, captions, title, "")


def temperature_words(similarity: ArrayLike, scale: float) -> str:
    """`temperature_figure` for a reader who cannot see it."""
    own, loss = _own(softmax_rows(similarity, scale))
    return (
        "Left, the cosines of pictures and captions; right, each row after a softmax at a scale of "
        f"{scale:g}. A picture's own caption gets {100 * own:.0f} % on average; the loss of the "
        f"rows is {loss:.2f}. A larger scale makes each row spikier."
    )


def _own(shares: np.ndarray) -> tuple[float, float]:
    own = np.diagonal(shares)
    return float(own.mean()), float(-np.log(np.maximum(own, 1e-300)).mean())


def learning_figure(
    losses: Mapping[str, Sequence[float]], batch_size: int, title: str | None = None
) -> Figure:
    """Loss by step, smoothed a little, with the line of a model that knows nothing: ln B.

    Args:
        losses: name -> the loss of each step.
        batch_size: B; a guess among B captions costs ln B.

    Raises:
        ValueError: nothing to draw.
    """
    if not losses or not all(len(each) for each in losses.values()):
        raise ValueError("losses is empty; give one run with one step or more")
    figure = Figure(figsize=(7.6, 3.4), facecolor="white", layout="constrained")
    axes = figure.subplots()
    for (name, each), (colour, line, _) in zip(losses.items(), STYLES, strict=False):
        axes.plot(_smooth(each), color=colour, linestyle=line, label=name, linewidth=1.8)
    axes.axhline(math.log(batch_size), color=QUIET, linewidth=1, linestyle=":")
    axes.annotate(
        f"a guess among {batch_size}: ln {batch_size} = {math.log(batch_size):.2f}",
        (1, math.log(batch_size)), xycoords=("axes fraction", "data"), ha="right", va="bottom",
        fontsize=9, color=QUIET,
    )
    axes.set(xlabel="step", ylabel="loss", ylim=(0, None))
    axes.margins(x=0.01)
    if len(losses) > 1:
        axes.legend(fontsize=9, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title or "The loss falls below that of a guess", fontsize=12, color=INK)
    return figure


def _smooth(values: Sequence[float], window: int = 5) -> np.ndarray:
    """Mean of the last few steps."""
    each = np.asarray(values, float)
    total = np.cumsum(np.concatenate([[0.0], each]))
    first = np.maximum(np.arange(len(each)) - window + 1, 0)
    last = np.arange(1, len(each) + 1)
    return (total[last] - total[first]) / (last - first)


def recall_figure(
    tables: Mapping[str, Mapping[int, tuple[float, float]]], candidates: int, title: str
) -> Figure:
    """Retrieval both ways: R@k of each model, with what guessing would reach.

    Args:
        tables: name -> {k: (image to text, text to image)}, as `contrastive.recall_table` gives.
        candidates: how many there are to choose from.

    Raises:
        ValueError: no model, or models with other k.
    """
    if candidates < 1:
        raise ValueError(f"candidates is {candidates}; give how many there are to choose from")
    ks = [tuple(each) for each in tables.values()]
    if not ks or len(set(ks)) > 1:
        raise ValueError(f"the models have k = {ks}; give one model or more, all with the same k")
    figure = Figure(figsize=(9.2, 3.2), facecolor="white", layout="constrained")
    both = figure.subplots(1, 2, sharey=True)
    places, width = np.arange(len(ks[0])), 0.8 / len(tables)
    for way, (axes, words) in enumerate(
        zip(both, ("picture -> caption", "caption -> picture"), strict=True)
    ):
        for at, (name, table) in enumerate(tables.items()):
            values = [100 * table[k][way] for k in ks[0]]
            bars = axes.bar(
                places + (at - (len(tables) - 1) / 2) * width, values, width, label=name,
                color=STYLES[at % len(STYLES)][0], alpha=0.9,
                hatch=(None, "///", "...")[at % 3], edgecolor="white",
            )
            axes.bar_label(bars, fmt="%.0f", fontsize=8, color=INK)
        for place, k in enumerate(ks[0]):
            guess = 100 * min(1.0, k / candidates)
            axes.plot([place - 0.45, place + 0.45], [guess, guess], color=INK, linewidth=1.2,
                      linestyle=":", label="guessing" if place == 0 else None)
        axes.set_xticks(places, [f"R@{k}" for k in ks[0]])
        axes.set_title(words, fontsize=10, color=INK)
        axes.spines[["top", "right"]].set_visible(False)
    both[0].set(ylabel=f"found among {candidates} (%)", ylim=(0, 108))
    named = dict(zip(*reversed(both[0].get_legend_handles_labels()), strict=True))
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=len(named),
                  fontsize=9, frameon=False)
    figure.suptitle(title, fontsize=12, color=INK)
    return figure
