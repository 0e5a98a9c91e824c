"""Curves of several trainings, told apart by their stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from matplotlib.figure import Figure

from hybridlab.training.reports import EpochReport
from hybridlab.viz.live import STAGE_COLOURS

INK, GRID = "#222222", "#dddddd"


def curves_figure(
    runs: Mapping[str, Sequence[EpochReport]], title: str, score: str = "validation mAP (%)"
) -> Figure:
    """Scores by step, a curve for each run; a dot for each epoch, a line where a stage begins.

    Raises:
        ValueError: no run, or one without an epoch.
    """
    if not runs or not all(runs.values()):
        raise ValueError(f"runs are {list(runs)}; give one or more, each with an epoch or more")
    figure = Figure(figsize=(7.6, 3.6), facecolor="white", layout="constrained")
    axes = figure.subplots()
    begins = set()
    for (name, epochs), colour in zip(
        runs.items(), STAGE_COLOURS * (1 + len(runs) // len(STAGE_COLOURS)), strict=False
    ):
        axes.plot([each.step for each in epochs], [100 * each.score for each in epochs], "o-",
                  color=colour, markersize=3.5, label=name)
        begins |= {one.step for one, two in pairwise(epochs)
                   if one.stage != two.stage}
    for step in sorted(begins):
        axes.axvline(step, color=INK, linewidth=0.8, linestyle=":")
    axes.set(xlabel="step (dotted: the next stage begins)", ylabel=score)
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    axes.set_title(title, fontsize=12, color=INK)
    return figure


def curves_words(runs: Mapping[str, Sequence[EpochReport]]) -> str:
    """`curves_figure` for a reader who cannot see it."""
    told = []
    for name, epochs in runs.items():
        ends: dict[str, float] = {}
        for each in epochs:
            ends[each.stage] = each.score
        told.append(f"{name}: " + ", ".join(
            f"{100 * value:.1f} after {stage}" for stage, value in ends.items()))
    return "Validation scores by step. " + "; ".join(told) + "."
