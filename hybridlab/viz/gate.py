"""How a fusion shares its weight between two views: scene by scene, or label by label."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

BLUE, INK, GRID = "#0067a5", "#222222", "#dddddd"


def gate_figure(
    share: ArrayLike, view: str, title: str = "One weight for each scene", what: str = "scenes"
) -> Figure:
    """How many scenes, or labels, give a view which share of the weight.

    Args:
        share: (N,) in [0, 1], of one of the two views.
        view: its name.
        what: the N are.

    Raises:
        ValueError: no share, or shares outside [0, 1].
    """
    share = _checked(share)
    figure = Figure(figsize=(7.2, 2.8), facecolor="white", layout="constrained")
    axes = figure.subplots()
    axes.hist(100 * share, bins=list(range(0, 101, 4)), color=BLUE)
    axes.axvline(50, color=INK, linewidth=1, linestyle=":")
    axes.set_xlim(0, 100)
    axes.set_xlabel(f"share of the {view} (%); dotted: both alike")
    axes.set_ylabel(what)
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, fontsize=12, color=INK)
    return figure


def gate_words(share: ArrayLike, view: str, what: str = "scenes") -> str:
    """`gate_figure` for a reader who cannot see it."""
    share = 100 * _checked(share)
    low, middle, high = np.quantile(share, (0.05, 0.5, 0.95))
    return (f"Share of the {view} in {len(share)} {what}: half of them above {middle:.0f} %, nine "
            f"in ten between {low:.0f} and {high:.0f} %.")


def _checked(share: ArrayLike) -> np.ndarray:
    found = np.asarray(share, dtype=float)
    if found.ndim != 1 or not found.size or not ((found >= 0) & (found <= 1)).all():
        raise ValueError(
            f"share has shape {found.shape}; give one number from 0 to 1 for each, (N,)"
        )
    return found
