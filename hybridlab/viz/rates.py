"""Learning rates by step, as shares of the peak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from hybridlab.viz.live import STAGE_COLOURS

INK, GRID = "#222222", "#dddddd"
DASHES = ("-", "--", ":", "-.")


def rates_figure(shares: Mapping[str, Sequence[float]], title: str) -> Figure:
    """A line for each schedule.

    Raises:
        ValueError: no schedule, or one without a step.
    """
    if not shares or not all(len(each) for each in shares.values()):
        raise ValueError("shares is empty, or one of them is; give one step or more for each")
    figure = Figure(figsize=(6.8, 2.6), facecolor="white", layout="constrained")
    axes = figure.subplots()
    for number, (name, values) in enumerate(shares.items()):
        axes.plot(range(len(values)), list(values), DASHES[number % len(DASHES)],
                  color=STAGE_COLOURS[number % len(STAGE_COLOURS)], label=name, linewidth=1.8)
    axes.set(xlabel="step", ylabel="share of the peak rate")
    axes.set_ylim(0, 1.05)
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    axes.set_title(title, fontsize=12, color=INK)
    return figure


def rates_words(shares: Mapping[str, Sequence[float]]) -> str:
    """`rates_figure` for a reader who cannot see it."""
    told = []
    for name, values in shares.items():
        top = max(range(len(values)), key=lambda at, found=values: found[at])  # type: ignore[misc]
        told.append(f"{name}: begins at {values[0]:.2f}, is highest at step {top}, ends at "
                    f"{values[-1]:.2f}")
    return "Shares of the peak rate by step. " + "; ".join(told) + "."
