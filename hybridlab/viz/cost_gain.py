"""What each of several methods earns for what it costs."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from hybridlab.ablation.findings import Analysis

BLUE, INK, GRID = "#0067a5", "#222222", "#dddddd"
HALO = withStroke(linewidth=3, foreground="white")  # a name stays legible on a line


@dataclass(frozen=True)
class Earned:
    """What a fusion costs and earns.

    Attributes:
        name: of the fusion.
        cost: parameters, say, or operations.
        gain: in points, on a common reference; with its interval.
        low, high: of the interval.
        shown: the study's verdict is "better" or "worse".
    """

    name: str
    cost: float
    gain: float
    low: float
    high: float
    shown: bool


def cost_gain_figure(
    earned: Sequence[Earned], cost: str, gain: str, title: str = "What each fusion earns"
) -> Figure:
    """A mark for each fusion, its cost to the right (in powers of ten), its gain upwards; with
    numbers, for names would cover each other, and a key beside.

    Args:
        cost, gain: what the axes count.

    Raises:
        ValueError: nothing to draw, or a cost that is not above 0.
    """
    if not earned or any(each.cost <= 0 for each in earned):
        raise ValueError(
            f"costs are {[each.cost for each in earned]}; give one fusion or more, each with a "
            "cost above 0"
        )
    figure = Figure(figsize=(9.4, 4.6), facecolor="white", layout="constrained")
    axes, key = figure.subplots(1, 2, width_ratios=[3, 1.6])
    axes.set_xscale("log")
    axes.axhline(0, color=INK, linewidth=1)
    for each in earned:
        axes.plot([each.cost] * 2, [each.low, each.high], color=BLUE, linewidth=1.6)
        axes.plot([each.cost], [each.gain], "o", color=BLUE, markersize=7,
                  markerfacecolor=BLUE if each.shown else "white")
    axes.margins(x=0.15, y=0.12)
    for number, (each, (x, y)) in enumerate(zip(earned, _beside(earned), strict=True), start=1):
        axes.annotate(str(number), (each.cost, each.gain), (x, y), textcoords="offset points",
                      fontsize=9, color=INK, va="center", path_effects=[HALO])
    key.axis("off")
    told = [f"{number:2}  " + textwrap.fill(each.name, 34, subsequent_indent="     ")
            for number, each in enumerate(earned, start=1)]
    key.text(0, 1, "\n".join(told), fontsize=8.5, color=INK, va="top", linespacing=1.5,
             parse_math=False)
    axes.set_xlabel(f"{cost}, in powers of ten")
    axes.set_ylabel(f"{gain} (95 % interval; open: not shown)")
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, fontsize=12, color=INK)
    return figure


def cost_gain_words(earned: Sequence[Earned], cost: str, gain: str) -> str:
    """`cost_gain_figure` for a reader who cannot see it."""
    return f"{gain} for {cost}. " + "; ".join(
        f"{each.name}: {each.gain:+.1f} [{each.low:+.1f}, {each.high:+.1f}] for "
        f"{each.cost:,.0f}{'' if each.shown else ' (not shown)'}"
        for each in sorted(earned, key=lambda one: one.cost)
    ) + "."


def _beside(earned: Sequence[Earned]) -> list[tuple[float, float]]:
    """Where each name stands, in points from its mark: to the right, and moved up or down from
    others nearby."""
    costs = np.log10([each.cost for each in earned])
    gains = np.array([each.gain for each in earned])
    wide = max(float(np.ptp(costs)), 1e-9)
    tall = max(max(e.high for e in earned) - min(e.low for e in earned), 1e-9)
    places: list[tuple[float, float]] = []
    for at in range(len(earned)):
        near = [
            other for other in range(len(earned)) if other != at
            and abs(costs[other] - costs[at]) / wide < 0.25
            and abs(gains[other] - gains[at]) / tall < 0.06
        ]
        above = sum((gains[other], other) < (gains[at], at) for other in near)
        places.append((8.0, 11.0 * (above - len(near) / 2)))
    return places


def earned_of(
    record: Mapping[str, Any], names: Sequence[str], cost: str, metric: str = "mean_ap"
) -> list[Earned]:
    """What variants of a recorded study earn on its reference, in points.

    Args:
        record: as `course.recorded` gives it, with the cost among what its runs told ("extra").
        names: of the variants; the reference itself earns 0.
        cost: its name there, such as "fusion_parameters".

    Raises:
        ValueError: an unknown variant, metric or cost; the message lists the known ones.
    """
    if metric not in record["metrics"]:
        recorded = ", ".join(record["metrics"])
        raise ValueError(f"metric {metric!r} was not recorded; there are {recorded}")
    analysis = Analysis.from_json(record["metrics"][metric])
    known = [row.name for row in analysis.rows]
    found = []
    for name in names:
        if name not in known:
            raise ValueError(f"unknown variant {name!r}; known ones: {', '.join(known)}")
        told = record.get("extra", {}).get(name, [{}])[0]
        if cost not in told:
            raise ValueError(f"{name!r} tells no {cost!r}; it tells {', '.join(told) or 'nothing'}")
        change = analysis.row(name).comparison
        found.append(
            Earned(name, told[cost], 0.0, 0.0, 0.0, True) if change is None else
            Earned(name, told[cost], 100 * change.value, 100 * change.low, 100 * change.high,
                   change.verdict in ("better", "worse"))
        )
    return found
