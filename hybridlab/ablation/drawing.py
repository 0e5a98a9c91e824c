"""What the pictures of an analysis share: colours and marks by verdict, titles, short names.

A difference that is shown has a filled mark, blue and round where it is better, vermilion and
square where it is worse; one that is not shown has an open mark. So they can be told apart in
grey print and by colour-blind readers. Matplotlib's objects, not pyplot: nothing global changes.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from hybridlab.ablation.findings import BETTER, SHOWN, WORSE

INK, QUIET, GRID = "#222222", "#6a6a6a", "#dddddd"
# Okabe and Ito's blue and vermilion, dark enough for white paper
COLOURS = {BETTER: "#0067a5", WORSE: "#b84a00"}
MARKS = {BETTER: "o", WORSE: "s"}
# colour, mark and dashes of lines, so that no two differ by colour alone
LINES = (
    ("#0067a5", "o", "-"), ("#b84a00", "s", "--"), ("#222222", "^", ":"), ("#8a6d00", "D", "-."),
    ("#7a3b78", "v", (0, (6, 2))), ("#00765a", "P", (0, (1, 1, 4, 1))),
)

FAR = 16  # typographic points from which a line leads from a mark to its number


class Numbered(NamedTuple):
    """A point that gets a number: its place, and the ends of its interval, in data units."""

    x: float
    y: float
    low: float
    high: float
    text: str


def point(
    axes: Axes, x: float, y: float, verdict: str, across: tuple[float, float] | None = None,
    upright: tuple[float, float] | None = None, size: float = 8,
) -> None:
    """A mark by its verdict, with its interval along x or y."""
    colour = COLOURS.get(verdict, QUIET)
    if across is not None:
        axes.plot(across, [y, y], color=colour, linewidth=1.8, zorder=2, solid_capstyle="butt")
    if upright is not None:
        axes.plot([x, x], upright, color=colour, linewidth=1.3, zorder=2, solid_capstyle="butt")
    axes.plot(
        [x], [y], MARKS.get(verdict, "o"), color=colour, markersize=size, zorder=3,
        markerfacecolor=colour if verdict in SHOWN else "white", markeredgewidth=1.5,
    )


def title(figure: Figure | SubFigure, text: str, letters: int) -> None:
    """A title that says what to see, in lines of at most so many letters, and room above it."""
    figure.suptitle(short(text, letters), fontsize=12, color=INK, parse_math=False)
    root = figure.figure
    engine = root.get_layout_engine() if isinstance(root, Figure) else None
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(h_pad=0.09)  # inches: room above the letters


def short(text: str, width: int = 30, lines: int = 3) -> str:
    """Text in lines of at most `width` letters; an ellipsis where more than `lines` are needed."""
    found = textwrap.wrap(text, max(width, 8))
    if len(found) > lines:
        found = [*found[: lines - 1], one_line(" ".join(found[lines - 1 :]), max(width, 8))]
    return "\n".join(found) or text


def one_line(text: str, width: int = 40) -> str:
    """Text of at most `width` letters."""
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"


def middle_cut(text: str, width: int) -> str:
    """Text of at most `width` letters that keeps both ends: names often differ at the end."""
    if len(text) <= width:
        return text
    return f"{text[: width // 2].rstrip()}…{text[-((width - 1) // 2) :].lstrip()}"


def number_points(figure: Figure, axes: Axes, points: Sequence[Numbered]) -> None:
    """Write a number beside each point, where it meets no mark, interval or other number.

    The figure must have all its parts: its layout is worked out here.
    """
    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    scale = 72 / figure.dpi

    def place(x: float, y: float) -> np.ndarray:
        return axes.transData.transform((x, y)) * scale  # in typographic points

    frame = axes.get_window_extent()
    inside = np.array([frame.x0, frame.y0, frame.x1, frame.y1]) * scale
    taken = [_box(place(each.x, each.y), 5, 5) for each in points]
    zero = place(points[0].x, 0.0)[1]
    taken.append(np.array([inside[0], zero - 1, inside[2], zero + 1]))
    for each in points:
        x, low = place(each.x, each.low)
        high = place(each.x, each.high)[1]
        taken.append(np.array([x - 1.5, min(low, high), x + 1.5, max(low, high)]))
    for each in points:
        here = place(each.x, each.y)
        half = 3.2 * len(each.text) + 1
        tried = [
            distance * np.array([np.cos(angle), np.sin(angle)])
            for distance in (11, 15, 20, 26, 33, 41)
            for angle in np.pi * np.array([0, 1, 0.25, 0.75, -0.25, -0.75, 0.5, -0.5])
        ]

        def cost(offset: np.ndarray, here: np.ndarray = here, half: float = half) -> float:
            # the line that leads to a number far away shall not cross another one
            way = [_box(here + part * offset, 1, 1) for part in (0.55, 0.75)]
            boxes = [_box(here + offset, half, 5.5), *(way if np.hypot(*offset) > FAR else [])]
            return sum(_overlap(box, taken, inside) for box in boxes)

        offset = min(tried, key=cost)  # the first of equals, hence the nearest
        taken.append(_box(here + offset, half, 5.5))
        far = float(np.hypot(*offset)) > FAR
        axes.annotate(
            each.text, (each.x, each.y), xytext=(offset[0], offset[1]),
            textcoords="offset points", fontsize=9, color=INK, ha="center", va="center",
            zorder=4, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": QUIET, "linewidth": 0.6} if far else None,
        )


def _box(middle: np.ndarray, half_width: float, half_height: float) -> np.ndarray:
    x, y = middle
    return np.array([x - half_width, y - half_height, x + half_width, y + half_height])


def _overlap(box: np.ndarray, others: Sequence[np.ndarray], inside: np.ndarray) -> float:
    """Area that a box shares with others, and much more for what stands outside the frame."""
    found = 0.0
    for other in others:
        wide = min(box[2], other[2]) - max(box[0], other[0])
        high = min(box[3], other[3]) - max(box[1], other[1])
        found += max(wide, 0.0) * max(high, 0.0)
    outside = np.maximum(inside[:2] - box[:2], 0).sum() + np.maximum(box[2:] - inside[2:], 0).sum()
    return found + 50 * float(outside)
