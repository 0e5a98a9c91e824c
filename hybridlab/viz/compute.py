"""What a method learns from how much arithmetic: the figure of lesson 03."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

INK, QUIET = "#222222", "#6a6a6a"
# studies' intervals take off what resampling adds to mAP, so a point may stand near an end
BARS = "bars: 95 % intervals, corrected for the bias of resampling"
# Okabe and Ito, each with a line and a mark of its own for print
STYLES = (
    ("#0072b2", "-", "o"), ("#d55e00", "--", "s"), ("#009e73", "-.", "^"), ("#000000", ":", "D"),
    ("#a1507f", (0, (6, 2)), "v"),
)
SPOKEN = {
    "clip": "contrastive (CLIP)", "siglip": "contrastive (SigLIP)", "bow": "bag of words",
    "prefix": "captioner, picture as prefix", "cross": "captioner, cross-attention",
}


@dataclass(frozen=True)
class ComputePoint:
    """One method at one budget.

    Attributes:
        method: its name.
        tflop: training compute, in 10**12 floating-point operations; above 0.
        mean, low, high: the score and the ends of its interval, as shares.
    """

    method: str
    tflop: float
    mean: float
    low: float
    high: float


def compute_points(recorded: Mapping[str, Any], metric: str = "mean_ap") -> list[ComputePoint]:
    """The points of the recorded study `compute`, those less their prior left out.

    Args:
        recorded: `hybridlab.course.recorded("compute")`.
        metric: one of those that were recorded.

    Raises:
        KeyError: another metric; those that there are are named.
    """
    if metric not in recorded["metrics"]:
        raise KeyError(f"metric is {metric!r}; recorded are {', '.join(recorded['metrics'])}")
    found = recorded["metrics"][metric]
    points = []
    for row in found["rows"]:
        config = {**found["recipe"], **row["changes"]}
        if not config["prior"]:
            points.append(ComputePoint(config["method"], float(config["budget"]), row["mean"],
                                       row["low"], row["high"]))
    return points


def compute_figure(
    points: Sequence[ComputePoint], title: str | None = None, score: str = "zero-shot mAP",
    chance: float | None = None,
) -> Figure:
    """Score against training compute, a line for each method, with intervals.

    Args:
        points: of one method or more, in any order.
        title: what to see; else it names the best at the largest compute.
        score: its name, for the axis.
        chance: what scores at random reach, as a share; drawn where it is given. For mAP it is the
            mean share of scenes that have a label.

    Raises:
        ValueError: no points, more than five methods, two points of a method at one budget, or
            numbers that cannot be drawn.
    """
    lines = _by_method(points)
    figure = Figure(figsize=(8.2, 4.0), facecolor="white", layout="constrained")
    axes = figure.subplots()
    budgets = sorted({each.tflop for each in points})
    for at, (line, (colour, dashes, mark)) in enumerate(
        zip(lines.values(), STYLES, strict=False)
    ):
        # side by side, so that intervals at one budget do not hide each other
        nudge = 1.02 ** (at - (len(lines) - 1) / 2)
        x = [each.tflop * nudge for each in line]
        axes.plot(x, [100 * each.mean for each in line], color=colour, linestyle=dashes,
                  marker=mark, linewidth=1.8, markersize=6, zorder=3)
        axes.vlines(x, [100 * each.low for each in line], [100 * each.high for each in line],
                    color=colour, linewidth=1.3, zorder=2)
    if chance is not None:
        axes.axhline(100 * chance, color=QUIET, linewidth=1, linestyle=":", zorder=1)
        axes.annotate(
            "by chance", (0.0, 100 * chance), xycoords=("axes fraction", "data"), ha="left",
            va="top", xytext=(3, -2), textcoords="offset points", fontsize=9, color=QUIET,
        )
    axes.set_xscale("log")
    axes.set_xticks(budgets, [f"{budget:g}" for budget in budgets])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", which="minor", length=0)
    axes.set(xlabel=f"training compute (TFLOP, log scale)\n{BARS}", ylabel=f"{score} (%)")
    axes.spines[["top", "right"]].set_visible(False)
    _name_lines(figure, list(lines.values()))
    axes.set_title(title or _title(lines, score), fontsize=12, color=INK)
    return figure


def compute_words(points: Sequence[ComputePoint], score: str = "zero-shot mAP") -> str:
    """`compute_figure` for a reader who cannot see it."""
    told = []
    for method, line in _by_method(points).items():
        steps = ", ".join(
            f"{100 * each.mean:.1f} % [{100 * each.low:.1f}, {100 * each.high:.1f}] at "
            f"{each.tflop:g}" for each in line
        )
        told.append(f"{SPOKEN.get(method, method)}: {steps}")
    return f"{score} against training compute in TFLOP, with intervals. {'; '.join(told)}."


def _title(lines: Mapping[str, Sequence[ComputePoint]], score: str) -> str:
    most = max(line[-1].tflop for line in lines.values())
    ends = [line[-1] for line in lines.values() if line[-1].tflop == most]
    best = max(ends, key=lambda each: each.mean)
    name = SPOKEN.get(best.method, best.method)
    return f"{most:g} TFLOP buy most with {name}: {score} {100 * best.mean:.1f} %"


def _by_method(points: Sequence[ComputePoint]) -> dict[str, list[ComputePoint]]:
    """Method -> its points, the cheapest first; methods in the order of their first point."""
    lines: dict[str, list[ComputePoint]] = {}
    for each in points:
        if not (0 < each.tflop < math.inf) or not np.isfinite(
            [each.mean, each.low, each.high]
        ).all():
            raise ValueError(f"{each} cannot be drawn; give finite scores, and compute above 0")
        lines.setdefault(each.method, []).append(each)
    if not lines or len(lines) > len(STYLES):
        raise ValueError(f"got {len(lines)} methods; give 1 to {len(STYLES)}")
    for method, line in lines.items():
        line.sort(key=lambda each: each.tflop)
        if len({each.tflop for each in line}) < len(line):
            raise ValueError(f"{method!r} has two points at one budget; give one for each")
    return lines


def _name_lines(figure: Figure, lines: Sequence[Sequence[ComputePoint]]) -> None:
    """Each line's name at its end; names that would touch are moved apart."""
    axes = figure.axes[0]
    low, high = axes.get_ylim()
    least = (high - low) / 16
    order = sorted(range(len(lines)), key=lambda at: lines[at][-1].mean)
    heights: dict[int, float] = {}
    for at in order:
        wanted = 100 * lines[at][-1].mean
        heights[at] = max(wanted, max(heights.values(), default=-math.inf) + least)
    # moved up only, they would drift: back by half of what the last one moved
    back = (heights[order[-1]] - 100 * lines[order[-1]][-1].mean) / 2
    for at, height in heights.items():
        axes.annotate(
            SPOKEN.get(lines[at][-1].method, lines[at][-1].method),
            (1.01, height - back), xycoords=("axes fraction", "data"), va="center", ha="left",
            fontsize=9, color=STYLES[at][0], annotation_clip=False,
        )
