"""Rare labels and losses for them: figures of lesson 01."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

INK, QUIET = "#222222", "#6a6a6a"
# Okabe and Ito, each with a line and a mark of its own for print
STYLES = (
    ("#000000", "-", "o"), ("#0072b2", "--", "s"), ("#d55e00", "-.", "^"), ("#009e73", ":", "D"),
)


def frequency_figure(
    names: Sequence[str], counts: ArrayLike, total: int, title: str | None = None
) -> Figure:
    """How often each label occurs, the most frequent first.

    Args:
        names: L labels.
        counts: (L,) images with it.
        total: N images.
    """
    count = np.asarray(counts)
    order = np.argsort(-count, kind="stable")
    figure = Figure(figsize=(9.2, 3.0), facecolor="white", layout="constrained")
    axes = figure.subplots()
    axes.bar(range(len(order)), 100 * count[order] / total, color="#0072b2")
    axes.set(xlabel="labels, the most frequent first", ylabel="share of scenes (%)")
    axes.margins(x=0.01)
    for place in (0, len(order) - 1):
        axes.annotate(
            f"{names[order[place]]}: {count[order[place]]:.0f}",
            (place, 100 * count[order[place]] / total), ha="left" if place == 0 else "right",
            va="bottom", xytext=(0, 3), textcoords="offset points", fontsize=9, color=INK,
        )
    axes.spines[["top", "right"]].set_visible(False)
    most, least = int(count.max()), max(int(count.min()), 1)
    axes.set_title(
        title or f"The most frequent label is in {most / least:.0f} times as many scenes as the "
        "rarest", fontsize=12, color=INK,
    )
    return figure


def loss_figure(losses: Mapping[str, tuple[ArrayLike, ArrayLike]], probs: ArrayLike) -> Figure:
    """What one entry costs under each loss, by the probability that the model gives it.

    Args:
        losses: name -> (cost where the label is there, cost where it is not), each (P,).
        probs: (P,) probabilities.
    """
    figure = Figure(figsize=(9.2, 3.5), facecolor="white", layout="constrained")
    both = figure.subplots(1, 2, sharey=True)
    for at, (axes, words) in enumerate(zip(both, ("is there", "is not there"), strict=True)):
        for (name, costs), (colour, line, _) in zip(losses.items(), STYLES, strict=False):
            axes.plot(probs, costs[at], color=colour, linestyle=line, label=name, linewidth=1.8)
        axes.set(xlabel="probability that the model gives", ylim=(0, 4), xlim=(0, 1))
        axes.set_title(f"the label {words}", fontsize=10, color=INK)
        axes.spines[["top", "right"]].set_visible(False)
    both[0].set_ylabel("loss of this entry")
    both[0].legend(fontsize=9, frameon=False)
    figure.suptitle(
        "Focal loss and ASL forget what is easy; a weight raises the price of a miss",
        fontsize=12, color=INK,
    )
    return figure


def by_frequency_figure(
    counts: ArrayLike, values: Mapping[str, ArrayLike], metric: str, title: str, groups: int = 4
) -> Figure:
    """A metric of each label against how often it occurs, as means over groups of labels.

    Args:
        counts: (L,) training images with each label.
        values: method -> (L,) the metric, NaN where it is not defined.
        metric: its name, for the axis.
        groups: of labels with neighbouring frequency.
    """
    count = np.asarray(counts)
    parts = np.array_split(np.argsort(count, kind="stable"), groups)
    figure = Figure(figsize=(7.6, 3.6), facecolor="white", layout="constrained")
    axes = figure.subplots()
    for (name, each), (colour, line, mark) in zip(values.items(), STYLES, strict=False):
        means = [100 * float(np.nanmean(np.asarray(each)[part])) for part in parts]
        axes.plot(range(groups), means, color=colour, linestyle=line, marker=mark, label=name)
    axes.set_xticks(
        range(groups), [f"{count[part].min():.0f} to {count[part].max():.0f}" for part in parts]
    )
    axes.set(xlabel="training scenes with the label (groups of labels)", ylabel=f"{metric} (%)")
    axes.legend(fontsize=9, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, fontsize=12, color=INK)
    return figure
