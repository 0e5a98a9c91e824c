"""Fusions drawn: which step read which patch and which patch read which step, and what each fusion
earns for its cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from hybridlab.viz.decoding import lit, place_in_words

BLUE, INK, QUIET, GRID = "#0067a5", "#222222", "#6a6a6a", "#dddddd"
MOST_STEPS = 7


def reading_figure(
    image: np.ndarray, steps: Sequence[str], reads: np.ndarray, read_by: np.ndarray,
    title: str = "Each step reads patches, and each patch reads steps",
) -> Figure:
    """Attention both ways between the steps of a decoder and the patches of a picture.

    Above, for each step the picture, lit where it read most. Below, for each step the picture
    again, lit where patches read that step most.

    Args:
        image: (H, W, 3) uint8.
        steps: what each step wrote.
        reads: (T, h, w), weights of each step over patches.
        read_by: (T, h, w), weights of each patch over steps: where a patch reads step t.

    Raises:
        ValueError: shapes that do not fit, or no step.
    """
    shape = np.shape(reads)
    if not steps or len(shape) != 3 or len(shape) != np.ndim(read_by) or (
        np.shape(read_by) != shape or shape[0] != len(steps)
    ):
        raise ValueError(
            f"reads is {shape} and read_by {np.shape(read_by)} for {len(steps)} steps; give two "
            "of (T, h, w)"
        )
    shown = min(len(steps), MOST_STEPS)
    figure = Figure(figsize=(max(5.0, 1.9 * shown), 4.4), facecolor="white", layout="constrained")
    grid = figure.subplots(2, shown, squeeze=False)
    most = float(np.max(read_by)) or 1.0  # one scale: patches share their weight among steps
    for at in range(shown):
        own = float(np.max(reads[at])) or 1.0
        for row, light in ((0, reads[at] / own), (1, read_by[at] / most)):
            axes = grid[row, at]
            axes.imshow(lit(image, np.asarray(light, np.float32)), interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
        grid[0, at].set_title(steps[at], fontsize=10, color=INK, parse_math=False)
    grid[0, 0].set_ylabel("the step reads here", fontsize=9)
    grid[1, 0].set_ylabel("read by these patches", fontsize=9)
    figure.suptitle(title, fontsize=12, color=INK)
    return figure


def reading_words(steps: Sequence[str], reads: np.ndarray, read_by: np.ndarray) -> str:
    """`reading_figure` for a reader who cannot see it."""
    told = []
    for at, step in enumerate(steps[:MOST_STEPS]):
        share = 100 * float(np.max(reads[at])) / max(float(np.sum(reads[at])), 1e-12)
        told.append(
            f"{step}: reads the {place_in_words(reads[at])} most ({share:.0f} % of its weight on "
            f"one patch), and is read most by the {place_in_words(read_by[at])} "
            f"(with {100 * float(np.max(read_by[at])):.0f} % of that patch's weight)"
        )
    return "Attention both ways. " + "; ".join(told) + "."


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
    """A mark for each fusion, its cost to the right (in powers of ten), its gain upwards.

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
    figure = Figure(figsize=(8.4, 4.6), facecolor="white", layout="constrained")
    axes = figure.subplots()
    axes.set_xscale("log")
    axes.axhline(0, color=INK, linewidth=1)
    for each in earned:
        axes.plot([each.cost] * 2, [each.low, each.high], color=BLUE, linewidth=1.6)
        axes.plot([each.cost], [each.gain], "o", color=BLUE, markersize=7,
                  markerfacecolor=BLUE if each.shown else "white")
    axes.margins(x=0.15, y=0.12)
    for each, (x, y) in zip(earned, _beside(earned), strict=True):
        axes.annotate(each.name, (each.cost, each.gain), (x, y), textcoords="offset points",
                      fontsize=9, color=INK, va="center", parse_math=False)
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
