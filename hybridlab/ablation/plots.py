"""Pictures of an analysis: forest, interaction, and gain against cost.

Each has a function of words beside it, for alternative text.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hybridlab.ablation.cost_plot import comparable, cost_plot, cost_words
from hybridlab.ablation.drawing import (
    GRID,
    INK,
    LINES,
    QUIET,
    one_line,
    point,
    short,
    title,
)
from hybridlab.ablation.findings import Analysis, Cell, Row
from hybridlab.ablation.tables import interval

__all__ = [
    "cost_plot",
    "cost_words",
    "forest_plot",
    "forest_words",
    "interaction_plot",
    "interaction_words",
]


def forest_plot(analysis: Analysis) -> Figure:
    """The difference of each variant to the reference: interval, and a dot for each seed.

    Raises:
        ValueError: no variant can be compared.
    """
    rows = comparable(analysis)
    names = [short(row.name) for row in rows]
    depth = [max(1.35, 0.75 + 0.55 * name.count("\n")) for name in names]
    figure = Figure(figsize=(8.4, 1.55 + 0.36 * sum(depth)), facecolor="white",
                    layout="constrained")
    axes = figure.subplots()
    places = np.cumsum(depth) - np.array(depth) / 2
    axes.axvline(0, color=INK, linewidth=1.0, zorder=1)
    for place, row in zip(places, rows, strict=True):
        other = row.comparison
        assert other is not None
        point(axes, 100 * other.value, place - 0.12, other.verdict,
               across=(100 * other.low, 100 * other.high))
        axes.plot(
            [100 * value for value in other.per_seed], [place + 0.3] * len(other.per_seed), "|",
            color=QUIET, markersize=6, markeredgewidth=1.2, zorder=2,
        )
    axes.set_yticks(places, names, fontsize=9, color=INK, parse_math=False)
    axes.set_ylim(sum(depth), 0)
    figures = axes.secondary_yaxis("right")
    figures.set_yticks(places, [
        interval(row.comparison.value, row.comparison.low, row.comparison.high, "+")
        for row in rows if row.comparison is not None
    ], fontsize=9, color=INK)
    for side in (axes, figures):
        side.tick_params(axis="y", length=0)
        side.spines[["left", "right", "top"]].set_visible(False)
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel(
        f"difference in {analysis.metric_name} to “{one_line(analysis.reference)}” "
        f"(points{', lower is better' if analysis.lower_is_better else ''})\n"
        f"mark and line: mean and {100 * analysis.level:g} % interval; ticks under it: single "
        "seeds; open mark: not shown",
        fontsize=9, color=INK, parse_math=False,
    )
    title(figure, _forest_title(analysis, rows), 78)
    return figure


def forest_words(analysis: Analysis) -> str:
    """The forest plot for those who cannot see it."""
    told = "; ".join(
        f"{row.name}: {row.comparison.words}" for row in analysis.rows if row.comparison
    )
    return (
        f"Differences in {analysis.metric_name} to {analysis.reference}, with intervals. {told}."
    )


def interaction_plot(analysis: Analysis, factors: tuple[str, str] | None = None) -> Figure:
    """Means at every combination of two factors: lines that are not parallel show interaction.

    Args:
        factors: the one along the axis and the one of the lines; by default the first two.

    Raises:
        ValueError: the analysis has no such pair.
    """
    one, two, cells = _pair(analysis, factors)
    along = list(dict.fromkeys(levels[0] for levels in cells))
    lines = list(dict.fromkeys(levels[1] for levels in cells))
    figure = Figure(figsize=(8.0, 4.6), facecolor="white", layout="constrained")
    axes = figure.subplots()
    # beside each other, so that intervals do not cover each other
    shift = np.linspace(-0.12, 0.12, len(lines)) if len(lines) > 1 else [0.0]
    for at, level in enumerate(lines):
        colour, mark, dash = LINES[at % len(LINES)]
        found = [cells[each, level] for each in along]
        x = np.arange(len(along)) + shift[at]
        mean = np.array([100 * cell.mean for cell in found])
        low = mean - [100 * cell.low for cell in found]
        high = np.array([100 * cell.high for cell in found]) - mean
        axes.errorbar(
            x, mean, yerr=np.maximum([low, high], 0), color=colour, marker=mark, linestyle=dash,
            linewidth=1.6, markersize=7, elinewidth=1.1, capsize=3, label=short(level, 24),
        )
    axes.set_xticks(range(len(along)), [short(each, 70 // len(along)) for each in along],
                    fontsize=9, parse_math=False)
    axes.set_xlim(-0.45, len(along) - 0.55)
    axes.set_xlabel(one_line(one), color=INK, parse_math=False)
    axes.set_ylabel(f"{analysis.metric_name} (%), {100 * analysis.level:g} % intervals", color=INK)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=7))
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    legend = figure.legend(
        loc="outside right center", frameon=False, fontsize=9, title=short(two, 24),
        handlelength=3.2, labelspacing=0.9,
    )
    for text in (*legend.get_texts(), legend.get_title()):
        text.set_parse_math(False)
    title(figure, _interaction_title(analysis, one, two), 72)
    return figure


def interaction_words(analysis: Analysis, factors: tuple[str, str] | None = None) -> str:
    """The interaction plot for those who cannot see it.

    Raises:
        ValueError: as `interaction_plot`.
    """
    one, two, cells = _pair(analysis, factors)
    told = "; ".join(
        f"{one}={a}, {two}={b}: {interval(cell.mean, cell.low, cell.high)}"
        for (a, b), cell in cells.items()
    )
    return (
        f"{analysis.metric_name} in percent by {one} and {two}: {told}. "
        f"{_interaction_title(analysis, one, two)}."
    )


def _forest_title(analysis: Analysis, rows: Sequence[Row]) -> str:
    shown = sum(row.comparison is not None and row.comparison.shown for row in rows)
    name = one_line(analysis.reference)
    if len(analysis.seeds) == 1:
        return f"One seed: how trained models differ from “{name}”, not how methods do"
    if not shown:
        return f"No difference to “{name}” in {analysis.metric_name} is shown"
    verb = "differs" if shown == 1 else "differ"
    variants = "variant" if len(rows) == 1 else "variants"
    return f"{shown} of {len(rows)} {variants} {verb} from “{name}” in {analysis.metric_name}"


def _pair(
    analysis: Analysis, factors: tuple[str, str] | None
) -> tuple[str, str, dict[tuple[str, str], Cell]]:
    """Two factors, and the cell of each pair of their levels."""
    pairs = list(dict.fromkeys(cell.factors for cell in analysis.cells))
    if not pairs:
        raise ValueError("the analysis has no two factors; make a study with Study.factorial")
    wanted = tuple(factors or pairs[0])
    if wanted not in pairs and wanted[::-1] not in pairs:
        raise ValueError(
            f"factors is {factors}; choose one of {', '.join(map(str, pairs))}, in either order"
        )
    one, two = wanted
    cells: dict[tuple[str, str], Cell] = {}
    for cell in analysis.cells:
        if set(cell.factors) == {one, two}:
            levels = dict(zip(cell.factors, cell.levels, strict=True))
            cells[levels[one], levels[two]] = cell
    return one, two, cells


def _interaction_title(analysis: Analysis, one: str, two: str) -> str:
    shown = any(
        set(effect.factors) == {one, two} and effect.comparison.shown
        for effect in analysis.interactions
    )
    pair = f"“{one_line(one, 24)}” and “{one_line(two, 24)}”"
    if shown:
        return f"What {pair} add to {analysis.metric_name} depends on each other"
    return f"No interaction of {pair} in {analysis.metric_name} is shown"
