"""The map of the course: a box for each lesson, an arrow to each lesson that builds on it."""

from __future__ import annotations

from collections.abc import Collection

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from hybridlab.course import LESSONS, Lesson

WIDTH, HEIGHT = 1.75, 0.72  # of a box
ACROSS = 2.25  # from one column to the next
# (column, row) of each lesson; Part II stands below
PLACES = {
    0: (0, 1.5), 1: (1, 1.5), 2: (2, 2), 3: (2, 1), 4: (3, 1), 5: (4, 1.5), 6: (5, 1), 7: (5, 2),
    8: (6, 1), 9: (6, 2), 11: (2, 3.6), 10: (4, 3.6), 12: (3, 4.6), 13: (5, 4.6), 14: (6, 3.6),
}  # fmt: skip
COLOURS = {0: "#fff2cc", 1: "#d6e9f8", 2: "#fbe3d3"}
INK = "#222222"


def course_map(here: Collection[int]) -> Figure:
    """Draw all lessons.

    Args:
        here: numbers of the lessons whose notebooks exist; the others are drawn with dashes.
    """
    figure = Figure(figsize=(11, 5.4), facecolor="white", layout="constrained")
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set_title("The two views, CNN-RNN and CLIP, meet in lesson 05", fontsize=13)
    boxes = {lesson.number: _box(axes, lesson, lesson.number in here) for lesson in LESSONS}
    for lesson in LESSONS:
        for need in lesson.needs:
            _arrow(axes, boxes, need, lesson.number)
    for text, row in (("Part I: the hybrid classifier", 0.35), ("Part II: its family", 2.95)):
        axes.text(-0.9, 1.15 * row, text, fontsize=11, color=INK, weight="bold", va="center")
    axes.text(
        -0.9, 1.15 * 5.3, "solid frame: here; dashed frame: to come", fontsize=9, color=INK,
        va="center",
    )
    axes.set_xlim(-0.95, ACROSS * 6 + 0.95)
    axes.set_ylim(1.15 * 5.5, 0)  # row 0 on top
    return figure


def _middle(number: int) -> tuple[float, float]:
    column, row = PLACES[number]
    return ACROSS * column, 1.15 * row


def _box(axes: Axes, lesson: Lesson, here: bool) -> FancyBboxPatch:
    x, y = _middle(lesson.number)
    box = FancyBboxPatch(
        (x - WIDTH / 2, y - HEIGHT / 2), WIDTH, HEIGHT, boxstyle="round,pad=0.02",
        facecolor=COLOURS[lesson.part], edgecolor=INK, linewidth=1.6 if here else 1.0,
        linestyle="-" if here else "--", zorder=2,
    )
    axes.add_patch(box)
    axes.text(
        x, y - 0.14, f"{lesson.number:02d}", ha="center", va="center", fontsize=10, color=INK,
        weight="bold", zorder=3,
    )
    axes.text(x, y + 0.17, lesson.title, ha="center", va="center", fontsize=8, color=INK, zorder=3)
    return box


def _arrow(axes: Axes, boxes: dict[int, FancyBboxPatch], start: int, end: int) -> None:
    axes.add_patch(
        FancyArrowPatch(
            _middle(start), _middle(end), patchA=boxes[start], patchB=boxes[end], shrinkA=1,
            shrinkB=1, arrowstyle="-|>", mutation_scale=11, color="#777777", linewidth=1.1,
            zorder=1,
        )
    )
