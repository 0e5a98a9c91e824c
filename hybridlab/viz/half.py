"""Why half of the best F1 is the best threshold for honest probabilities, seen on one label."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

BLUE, GREY, ORANGE, INK = "#0072b2", "#c8c8c8", "#d55e00", "#222222"


def half_figure(probs: ArrayLike, title: str, most: int = 30) -> Figure:
    """Bars: the probabilities of a label, the highest first, filled where taking one more pays.
    Line: the F1 that can be expected when all up to there are taken. The dashed line, half of its
    peak, parts the bars that pay from those that do not.

    Args:
        probs: (N,) honest probabilities of one label.
        most: bars that are drawn; all N count.

    Raises:
        ValueError: no probability above 0, or something that is no probability.
    """
    ranked, f1, best = _expected(probs)
    shown = min(most, len(ranked))
    figure = Figure(figsize=(9.2, 3.6), facecolor="white", layout="constrained")
    axes = figure.subplots()
    places = np.arange(1, shown + 1)
    axes.bar(places, ranked[:shown], color=[BLUE if at <= best else GREY for at in places],
             label="probability; blue: taking it pays")
    axes.plot(places, f1[:shown], "o-", color=ORANGE, markersize=4, markeredgecolor="white",
              label="expected F1 if all up to here are taken")
    if best <= shown:
        axes.plot([best], [f1[best - 1]], "o", color=ORANGE, markersize=10, markeredgecolor=INK)
    axes.axhline(f1[best - 1] / 2, color=INK, linestyle="--", linewidth=1.2,
                 label=f"half of the best F1: {f1[best - 1] / 2:.2f}")
    axes.set(xlabel="place in the ranking", ylim=(0, 1.05), xlim=(0.4, shown + 0.6))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    axes.set_title(title, fontsize=12, color=INK)
    return figure


def half_words(probs: ArrayLike) -> str:
    """`half_figure` for a reader who cannot see it."""
    ranked, f1, best = _expected(probs)
    after = f"{ranked[best]:.2f}" if best < len(ranked) else "none"
    return (
        f"Of {len(ranked)} probabilities the {best} highest are worth taking: the expected F1 "
        f"rises to {f1[best - 1]:.2f} there. The last that is taken is {ranked[best - 1]:.2f}, the "
        f"next {after}; half of the best F1, {f1[best - 1] / 2:.2f}, lies between them."
    )


def _expected(probs: ArrayLike) -> tuple[np.ndarray, np.ndarray, int]:
    """Ranked probabilities, the expected F1 of taking 1, 2, ..., N, and how many are best."""
    given = np.asarray(probs, float)
    if given.ndim != 1 or not ((given >= 0) & (given <= 1)).all() or not given.any():
        raise ValueError(
            f"probs has shape {given.shape}; give one label's probabilities (N,), in [0, 1] and "
            "one of them above 0"
        )
    ranked = np.sort(given)[::-1]
    f1 = 2 * np.cumsum(ranked) / (np.arange(1, len(ranked) + 1) + ranked.sum())
    return ranked, f1, int(np.argmax(f1)) + 1
