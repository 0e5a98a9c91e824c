"""What each variant gains over the reference, against what it costs: one picture, or two panels.

Points bear numbers and the names stand in a list below: names beside points would cover each
other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hybridlab.ablation.drawing import (
    GRID,
    INK,
    QUIET,
    Numbered,
    middle_cut,
    number_points,
    one_line,
    point,
    short,
    title,
)
from hybridlab.ablation.findings import (
    LEAST_SECONDS,
    LEAST_SHARE,
    Analysis,
    Row,
)
from hybridlab.ablation.tables import count, duration


def cost_plot(analysis: Analysis, cost: str = "both") -> Figure:
    """What each variant gains over the reference, against what it costs.

    Args:
        cost: "parameters" (trainable), "seconds", or "both" in two panels.

    Raises:
        ValueError: another cost, or no variant can be compared.
    """
    if cost not in ("both", "parameters", "seconds"):
        raise ValueError(f"cost is {cost!r}; choose 'parameters', 'seconds' or 'both'")
    drawn = {row.name for row in comparable(analysis)}
    kinds = ["parameters", "seconds"] if cost == "both" else [cost]
    rows = [row for row in analysis.rows
            if row.name in drawn or (row.name == analysis.reference and row.seeds)]
    wide = 4.6 * len(kinds) + 0.6
    room = int(72 * wide / 6.1) - 8  # letters in a line
    columns = 2 if len(kinds) == 2 else 1
    key = [f"{at:>2}  {middle_cut(row.name, room // columns)}" for at, row in enumerate(rows, 1)]
    deep = -(-len(key) // columns)
    tall = 3.9 + 0.21 * (deep + 1)
    figure = Figure(figsize=(wide, tall), facecolor="white", layout="constrained")
    parts = figure.subfigures(2, 1, squeeze=False, height_ratios=[3.9, 0.21 * (deep + 1) + 0.12])
    panels, strip = parts[:, 0]
    grid = panels.subplots(1, len(kinds), squeeze=False, sharey=True)[0]
    for axes, kind in zip(grid, kinds, strict=True):
        _cost_panel(axes, analysis, rows, kind)
    lower = ", lower is better" if analysis.lower_is_better else ""
    label = f"difference in {analysis.metric_name} (points{lower})"
    grid[0].set_ylabel(short(label, 52), color=INK)
    for at, text in enumerate(key):
        strip.text(
            0.03 + (at // deep) * 0.97 / columns, 1 - (at % deep + 0.5) / (deep + 1.4), text,
            fontsize=9, color=INK, va="center", parse_math=False,
        )
    strip.text(
        0.03, 1 - (deep + 0.7) / (deep + 1.4), "diamond: the reference; open mark: no difference "
        f"shown; line: {100 * analysis.level:g} % interval", fontsize=8, color=QUIET, va="center",
    )
    title(panels, _cost_title(analysis), 44 * len(kinds))
    for axes, kind in zip(grid, kinds, strict=True):
        number_points(figure, axes, [
            Numbered(_cost(row, kind), *_ends(row), str(at)) for at, row in enumerate(rows, start=1)
        ])
    return figure


def cost_words(analysis: Analysis) -> str:
    """The plot of gain against cost for those who cannot see it."""
    told = "; ".join(
        f"{row.name}: {count(row.parameters)} trainable parameters, {duration(row.seconds)}, "
        + ("the reference" if row.comparison is None else row.comparison.words)
        for row in analysis.rows if row.seeds
    )
    return f"Difference in {analysis.metric_name} against cost. {told}."


def comparable(analysis: Analysis) -> list[Row]:
    """The rows whose difference to the reference has an interval.

    Raises:
        ValueError: there is none.
    """
    rows = [row for row in analysis.compared()
            if row.comparison is not None and not math.isnan(row.comparison.low)]
    if not rows:
        raise ValueError(
            f"no variant can be compared with {analysis.reference!r}: run more variants, or choose "
            "another reference"
        )
    return rows


def _cost_panel(axes: Axes, analysis: Analysis, rows: Sequence[Row], kind: str) -> None:
    costs = [_cost(row, kind) for row in rows]
    axes.axhline(0, color=INK, linewidth=1.0, zorder=1)
    for row, cost in zip(rows, costs, strict=True):
        other = row.comparison
        if other is None:
            axes.plot([cost], [0], "D", color=INK, markersize=7, zorder=3)
        else:
            point(axes, cost, 100 * other.value, other.verdict,
                   upright=(100 * other.low, 100 * other.high), size=7)
    some = [cost for cost in costs if cost > 0]
    if some and max(some) > 20 * min(some):
        # linear up to the smallest, so that a cost of 0 has its place
        axes.set_xscale("symlog", linthresh=min(some), linscale=0.6)
    axes.margins(x=0.12, y=0.12)
    least = max(LEAST_SHARE * max(costs), LEAST_SECONDS if kind == "seconds" else 0.0)
    if max(costs) - min(costs) < least:
        # Ticks between costs that are the same but for noise would be read as differences.
        middle = (max(costs) + min(costs)) / 2
        reach = max(0.1 * middle, 2 * least, 1.0)
        axes.set_xlim(max(middle - reach, -0.2 * reach), middle + reach)
    axes.set_xlabel(
        "trainable parameters" if kind == "parameters" else "seconds of all stages (median)",
        color=INK,
    )
    if kind == "parameters":
        axes.xaxis.set_major_formatter(lambda value, _: _ticked(value))
    if axes.get_xscale() == "linear":
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=kind == "parameters"))
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _ticked(value: float) -> str:
    for size, letter in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _cost(row: Row, kind: str) -> float:
    value = float(getattr(row, kind) or 0)
    return 0.0 if math.isnan(value) else value


def _ends(row: Row) -> tuple[float, float, float]:
    """Difference in points and the ends of its interval; the reference has 0."""
    other = row.comparison
    return (0.0, 0.0, 0.0) if other is None else (
        100 * other.value, 100 * other.low, 100 * other.high
    )


def _cost_title(analysis: Analysis) -> str:
    verb = "changes against" if analysis.lower_is_better else "gains over"
    return f"What each variant {verb} “{one_line(analysis.reference)}”, and what it costs"
