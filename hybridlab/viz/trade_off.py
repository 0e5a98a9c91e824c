"""Precision against recall of one label, and where a threshold stands on both sides of a split."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

SEEN, NEW, INK, QUIET = "#d55e00", "#0072b2", "#222222", "#8a8a8a"
LEVELS = (0.2, 0.4, 0.6, 0.8)  # of F1, a faint line each


class Column(NamedTuple):
    """One label's probabilities (N,) and targets (N,) in {1, 0, -1 = not annotated}."""

    scores: ArrayLike
    targets: ArrayLike


class _Point(NamedTuple):
    precision: float
    recall: float
    f1: float


def trade_off_figure(seen: Column, new: Column, threshold: float, label: str) -> Figure:
    """On the left what precision a label has for each recall, on the right its F1 at each
    threshold: on the scenes that choose, and on new ones. Marks show where the threshold is.

    Args:
        seen, new: of the label, on the scenes that choose and on others.
        threshold: yes from here up.
        label: its name, for the title.

    Raises:
        ValueError: no positive on one side, or scores that are no probabilities.
    """
    figure = Figure(figsize=(9.2, 3.9), facecolor="white", layout="constrained")
    left, right = figure.subplots(1, 2)
    for level in LEVELS:
        recall = np.linspace(level / (2 - level), 1, 60)
        left.plot(recall, level * recall / (2 * recall - level), color=QUIET, linewidth=0.7,
                  linestyle=":")
        left.annotate(f"F1 {level:.1f}", (1, level / (2 - level)), (-2, 2), ha="right",
                      textcoords="offset points", fontsize=7.5, color=QUIET)
    for split, colour, mark, style, name in (
        (seen, SEEN, "s", "--", "scenes that choose"), (new, NEW, "o", "-", "new scenes")
    ):
        scored, truth = _checked(split, label)
        cuts, precision, recall, f1 = _curves(scored, truth)
        now = _at(scored, truth, threshold)
        left.step(recall, precision, where="post", color=colour, linestyle=style, label=name)
        right.step(cuts, f1, where="pre", color=colour, linestyle=style, label=name)
        for axes, x, y in ((left, now.recall, now.precision), (right, threshold, now.f1)):
            axes.plot([x], [y], mark, color=colour, markersize=9, markeredgecolor=INK,
                      clip_on=False)
    right.axvline(threshold, color=INK, linewidth=1)
    left.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.05))
    right.set(xlabel="threshold", ylabel="F1", xlim=(0, 1), ylim=(0, 1.05))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2,
                  frameon=False, fontsize=9)
    chose, told = (_at(*_checked(each, label), threshold) for each in (seen, new))
    figure.suptitle(
        f"“{label}” from {threshold:.2f} up: F1 {chose.f1:.2f} on the scenes that choose, "
        f"{told.f1:.2f} on new ones", fontsize=12, color=INK,
    )
    return figure


def trade_off_words(seen: Column, new: Column, threshold: float, label: str) -> str:
    """`trade_off_figure` for a reader who cannot see it."""
    told = []
    for split, name in ((seen, "on the scenes that choose"), (new, "on new scenes")):
        scored, truth = _checked(split, label)
        cuts, _, _, f1 = _curves(scored, truth)
        now, best = _at(scored, truth, threshold), int(np.argmax(f1))
        told.append(
            f"{name} ({int(truth.sum())} with it) precision is {now.precision:.2f}, recall "
            f"{now.recall:.2f} and F1 {now.f1:.2f}; the best F1 there would be {f1[best]:.2f}, at "
            f"{cuts[best]:.2f}"
        )
    return f"{label} from {threshold:.2f} up: " + "; ".join(told) + "."


def _curves(scored: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, ...]:
    """Thresholds, and precision, recall and F1 of each."""
    from sklearn.metrics import precision_recall_curve

    precision, recall, cuts = precision_recall_curve(truth, scored)
    precision, recall = precision[:-1], recall[:-1]  # the last one has no threshold
    both = precision + recall
    f1 = np.where(both > 0, 2 * precision * recall / np.where(both > 0, both, 1), 0.0)
    return cuts, precision, recall, f1


def _at(scored: np.ndarray, truth: np.ndarray, threshold: float) -> _Point:
    """Nothing taken has a precision of 0 (trap 1)."""
    yes = scored >= threshold
    hits, taken, positives = int((yes & truth).sum()), int(yes.sum()), int(truth.sum())
    return _Point(hits / max(taken, 1), hits / positives, 2 * hits / (taken + positives))


def _checked(split: Column, label: str) -> tuple[np.ndarray, np.ndarray]:
    scored, found = np.asarray(split.scores, float), np.asarray(split.targets)
    if scored.ndim != 1 or scored.shape != found.shape:
        raise ValueError(
            f"{label} has scores of shape {scored.shape} and targets of shape {found.shape}; give "
            "one column (N,) of both"
        )
    scored, found = scored[found >= 0], found[found >= 0]
    if not (found == 1).any():
        raise ValueError(f"{label} is in none of the scenes; choose a label that is in some")
    if not ((scored >= 0) & (scored <= 1)).all():
        raise ValueError("scores holds something else than probabilities; apply a sigmoid first")
    return scored, found == 1
