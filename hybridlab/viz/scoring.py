"""How good is a ranking, and what does a threshold do to it? Figures of one label's scores."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hybridlab.evaluation.metrics import average_precision

# Okabe and Ito: told apart by colour-blind readers, and by lightness in grey
RIGHT, WRONG, INK, QUIET = "#0072b2", "#e69f00", "#222222", "#6a6a6a"


def ranking_figure(scores: ArrayLike, targets: ArrayLike, title: str | None = None) -> Figure:
    """A ranking of a few images, and the area that is its average precision.

    Args:
        scores: (N,) of one label; equal scores are drawn in the order in which they come.
        targets: (N,) 1 or 0.

    Raises:
        ValueError: no positive, or more than 30 images, which nobody could read.
    """
    scored, truth = np.asarray(scores, float), np.asarray(targets)
    if not (truth == 1).any() or len(truth) > 30:
        raise ValueError(
            f"{len(truth)} images with {int((truth == 1).sum())} positives; give at most 30, and a "
            "positive among them"
        )
    order = np.argsort(-scored, kind="stable")
    hits = np.cumsum(truth[order] == 1)
    precision, recall = hits / np.arange(1, len(order) + 1), hits / hits[-1]
    figure = Figure(figsize=(9.2, 3.3), facecolor="white", layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.35, 1))
    for place, row in enumerate(order.tolist(), start=1):
        there = truth[row] == 1
        left.bar(
            place, scored[row], color=RIGHT if there else "white", edgecolor=RIGHT if there else
            QUIET, linewidth=1.2, hatch=None if there else "///",
        )
        if there:
            left.text(
                place, scored[row], f"{hits[place - 1]}/{place}", ha="center", va="bottom",
                fontsize=9, color=INK,
            )
    left.set_xlabel("place in the ranking, best score first")
    left.set_ylabel("score")
    left.set_xticks(range(1, len(order) + 1))
    left.set_title("filled: the label is there; above it, hits / place", fontsize=10, color=INK)
    edges = np.concatenate([[0.0], recall])
    for place in np.flatnonzero(truth[order] == 1).tolist():
        right.bar(
            edges[place], precision[place], width=recall[place] - edges[place], align="edge",
            color=RIGHT, alpha=0.35, edgecolor=RIGHT,
        )
    right.plot(recall, precision, "o", color=INK, markersize=3)
    right.set(xlim=(0, 1.02), ylim=(0, 1.08), xlabel="recall", ylabel="precision")
    value = average_precision(scored, truth)
    right.set_title(f"the area by steps is the AP: {value:.3f}", fontsize=10, color=INK)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title or f"A ranking with an AP of {value:.3f}", fontsize=12, color=INK)
    return figure


def threshold_figure(
    scores: ArrayLike, targets: ArrayLike, threshold: float, label: str = "the label"
) -> Figure:
    """What a threshold does to one label: who gets a yes, and precision and recall of that.

    Args:
        scores: (N,) probabilities.
        targets: (N,) 1 or 0; -1 is left out.
        threshold: yes from here up.
        label: its name, for the title.

    Raises:
        ValueError: no positive, or scores that are no probabilities.
    """
    scored, truth = np.asarray(scores, float), np.asarray(targets)
    scored, truth = scored[truth >= 0], truth[truth >= 0]
    if not (truth == 1).any():
        raise ValueError(f"{label} is in none of the images; choose a label that is in some")
    if not ((scored >= 0) & (scored <= 1)).all():
        raise ValueError("scores holds something else than probabilities; apply a sigmoid first")
    grid = np.linspace(0, 1, 201)
    precision, recall = _rates(scored, truth, grid)
    now_precision, now_recall = (each[0] for each in _rates(scored, truth, np.array([threshold])))
    figure = Figure(figsize=(9.2, 3.4), facecolor="white", layout="constrained")
    left, right = figure.subplots(1, 2)
    bins = np.linspace(0, 1, 26)
    for value, colour, name, hatch in ((0, WRONG, "not there", "///"), (1, RIGHT, "there", None)):
        left.hist(
            scored[truth == value], bins, color=colour if value else "white", edgecolor=colour,
            hatch=hatch, alpha=0.85, label=f"{label} is {name}",
        )
    left.set_yscale("symlog", linthresh=1)
    left.set(xlabel="probability", ylabel="images (log scale)", xlim=(0, 1))
    left.legend(fontsize=9, frameon=False)
    right.plot(grid, recall, color=RIGHT, label="recall")
    right.plot(grid, precision, color=INK, linestyle="--", label="precision")
    right.plot([threshold], [now_recall], "o", color=RIGHT)
    right.plot([threshold], [now_precision], "s", color=INK)
    right.set(xlabel="threshold", xlim=(0, 1), ylim=(0, 1.05))
    right.legend(fontsize=9, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    for axes in (left, right):
        axes.axvline(threshold, color=INK, linewidth=1)
        axes.spines[["top", "right"]].set_visible(False)
    yes, there = scored >= threshold, truth == 1
    figure.suptitle(
        f"“{label}” from {threshold:.2f} up: {int((yes & there).sum())} right, "
        f"{int((yes & ~there).sum())} wrong, {int((~yes & there).sum())} missed",
        fontsize=12, color=INK,
    )
    return figure


def threshold_words(scores: ArrayLike, targets: ArrayLike, threshold: float, label: str) -> str:
    """`threshold_figure` for a reader who cannot see it."""
    scored, truth = np.asarray(scores, float), np.asarray(targets)
    scored, truth = scored[truth >= 0], truth[truth >= 0]
    precision, recall = (each[0] for each in _rates(scored, truth, np.array([threshold])))
    return (
        f"Left, how probable the classifier finds {label}, for images with and without it; right, "
        f"precision and recall at every threshold. At {threshold:.2f} precision is "
        f"{precision:.2f} and recall {recall:.2f}. A higher threshold gives less recall."
    )


def _rates(scored: np.ndarray, truth: np.ndarray, grid: np.ndarray) -> tuple[np.ndarray, ...]:
    """Precision (NaN where nothing gets a yes) and recall at each threshold."""
    yes = scored[None, :] >= grid[:, None]
    hits, said = (yes & (truth == 1)).sum(axis=1), yes.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(said > 0, hits / said, np.nan), hits / (truth == 1).sum()
