"""The expected beside theirs: what a verdict has to draw, and the same in words."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

INK, EXPECTED, YOURS = "#222222", "#0072b2", "#d55e00"  # the last two: Okabe and Ito
_WRITTEN = 8  # rows and columns up to which the numbers stand in the cells
_FRAMED = 16  # and up to which cells that differ are framed
_LARGEST = 1e12  # beyond it, one scale for both shows nothing


def draw(picture: dict[str, Any]) -> Figure | None:
    """Two heat maps with one scale, or two lines; None where nothing would be seen.

    Args:
        picture: of a `PartVerdict`.
    """
    got, expected = _arrays(picture)
    if got.shape != expected.shape or not np.isfinite([got, expected]).any():
        return None
    if max(_size(got), _size(expected)) > _LARGEST:
        return None
    figure = Figure(figsize=(7.2, 3.3), facecolor="white", layout="constrained")
    figure.suptitle(_cut(picture["title"]), fontsize=12, color=INK, parse_math=False)
    if picture["kind"] == "matrix":
        _matrices(figure, got, expected)
    else:
        _curves(figure, got, expected)
    return figure


def alt(picture: dict[str, Any]) -> str:
    """What one would tell a reader who cannot see it."""
    got, expected = _arrays(picture)
    differs = _differs(got, expected)
    what = "two heat maps" if picture["kind"] == "matrix" else "two curves"
    shape = " by ".join(map(str, expected.shape))
    words = (
        f"{_cut(picture['title'])}: {what} of {shape} values, yours and the expected; "
        f"{int(differs.sum())} of {differs.size} values differ"
    )
    if differs.any():
        at = tuple(int(place) for place in np.argwhere(differs)[0])
        where = ", ".join(map(str, at))
        words += f", first at [{where}]: yours {got[at]:.4g}, expected {expected[at]:.4g}"
    return words


def _arrays(picture: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    # None, which stands for what is not finite, becomes NaN
    return np.asarray(picture["got"], float), np.asarray(picture["expected"], float)


def _size(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.abs(finite).max()) if finite.size else 0.0


def _differs(got: np.ndarray, expected: np.ndarray) -> np.ndarray:
    return ~np.isclose(got, expected, rtol=1e-4, atol=1e-6, equal_nan=True)


def _matrices(figure: Figure, got: np.ndarray, expected: np.ndarray) -> None:
    both = np.stack([got, expected])
    low, high = float(np.nanmin(both)), float(np.nanmax(both))
    rows, columns = expected.shape
    aspect = "equal" if max(rows, columns) <= 4 * min(rows, columns) else "auto"
    differs = _differs(got, expected)
    framed = max(rows, columns) <= _FRAMED and differs.mean() <= 0.5
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, values, title in (
        (left, got, "yours (framed: it differs)" if framed else "yours"),
        (right, expected, "expected"),
    ):
        # viridis: one direction of lightness, so it also reads in grey and for colour-blind readers
        image = axes.imshow(
            values, cmap="viridis", vmin=low, vmax=high if high > low else low + 1,
            interpolation="nearest", aspect=aspect,
        )
        axes.set_title(title, fontsize=10.5, color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        if max(rows, columns) <= _WRITTEN:
            _write(axes, values, low, high)
    if framed:
        for row, column in np.argwhere(differs):
            left.add_patch(Rectangle(
                (column - 0.46, row - 0.46), 0.92, 0.92, fill=False, edgecolor="white", linewidth=3,
            ))
            left.add_patch(Rectangle(
                (column - 0.46, row - 0.46), 0.92, 0.92, fill=False, edgecolor=YOURS, linewidth=1.6,
            ))
    figure.colorbar(image, ax=[left, right], shrink=0.85)


def _write(axes: Any, values: np.ndarray, low: float, high: float) -> None:
    for (row, column), value in np.ndenumerate(values):
        dark = high > low and (value - low) / (high - low) < 0.6
        axes.text(
            column, row, f"{value:.3g}" if np.isfinite(value) else "n/a", fontsize=8,
            ha="center", va="center", color="white" if dark else "black",
        )


def _curves(figure: Figure, got: np.ndarray, expected: np.ndarray) -> None:
    axes = figure.subplots()
    marker = "o" if expected.size <= 40 else None
    axes.plot(expected, color=EXPECTED, linewidth=3.5, alpha=0.55, label="expected (wide line)")
    axes.plot(
        got, color=YOURS, linewidth=1.4, linestyle="--", marker=marker, markersize=3.5,
        label="yours (dashed)",
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)


def _cut(title: Any) -> str:
    return str(title)[:100]
