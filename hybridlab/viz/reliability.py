"""Reliability diagrams: how often forecasts come true, beside how many there are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from hybridlab.evaluation.calibration import Reliability
from hybridlab.viz.live import STAGE_COLOURS

INK, GRID = "#222222", "#dddddd"
MARKS = "os^vD"


def reliability_figure(found: Mapping[str, Reliability], title: str) -> Figure:
    """Above, the frequency of each bin against its forecast, a line for each model, and the
    diagonal of honest ones; below, how many forecasts each bin holds, in powers of ten.

    Raises:
        ValueError: no model, or one without a forecast.
    """
    if not found or not all(each.count.sum() for each in found.values()):
        raise ValueError("found is empty, or one of them is; give one reliability or more")
    figure = Figure(figsize=(6.2, 5.2), facecolor="white", layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    above.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=":", label="honest")
    for number, (name, each) in enumerate(found.items()):
        colour, mark = STAGE_COLOURS[number % len(STAGE_COLOURS)], MARKS[number % len(MARKS)]
        some = each.count > 0
        above.plot(each.forecast[some], each.frequency[some], f"{mark}-", color=colour,
                   markersize=4.5, label=f"{name} (ECE {100 * each.ece:.1f} %)")
        middle = (each.edges[1:] + each.edges[:-1]) / 2
        below.step(middle, np.maximum(each.count, 0.5), where="mid", color=colour)
    above.set(ylabel="came true", xlim=(0, 1), ylim=(0, 1))
    below.set(xlabel="forecast", ylabel="how many", yscale="log")
    for axes in (above, below):
        axes.grid(color=GRID, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    above.yaxis.set_major_formatter(PercentFormatter(1.0))
    below.xaxis.set_major_formatter(PercentFormatter(1.0))
    above.legend(frameon=False, fontsize=9)
    above.set_title(title, fontsize=12, color=INK)
    return figure


def reliability_words(found: Mapping[str, Reliability]) -> str:
    """`reliability_figure` for a reader who cannot see it."""
    told = []
    for name, each in found.items():
        some = np.flatnonzero(each.count)
        gap = some[np.argmax(np.abs(each.forecast[some] - each.frequency[some]))]
        told.append(
            f"{name}: expected calibration error {100 * each.ece:.1f} %, furthest off where "
            f"{100 * each.forecast[gap]:.0f} % are forecast and {100 * each.frequency[gap]:.0f} % "
            "come true")
    return "Forecast against frequency. " + "; ".join(told) + "."
