"""Figures of lesson 04: prompts, scores that are no probabilities, false alarms, image pairs.

Drawn from plain results; each figure has a function beside it that says the same in words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from scipy.special import expit

if TYPE_CHECKING:
    from hybridlab.zeroshot.audit_table import AuditRow
    from hybridlab.zeroshot.ensembles import EnsembleSize
    from hybridlab.zeroshot.sensitivity import PromptSpread

# Okabe and Ito: told apart by colour-blind readers, and by lightness in grey
RIGHT, WRONG, INK, QUIET = "#0072b2", "#e69f00", "#222222", "#6a6a6a"


def prompt_figure(
    spread: PromptSpread, printed: str = "mAP", groups: Mapping[str, Sequence[str]] | None = None
) -> Figure:
    """Every prompt's value with its interval, the best on top, and the median prompt as a line.

    Args:
        spread: as `sensitivity.prompt_spread` gives it.
        printed: the metric's name for readers.
        groups: two at most, each with its prompts, for a mark of its own each.

    Raises:
        ValueError: more than two groups, or a prompt in none of them.
    """
    marks = _marks(spread.names, groups)
    order = np.argsort(spread.values, kind="stable")
    ends = 100 * np.array([spread.each[at] for at in order])  # (T, 3)
    tall = 1.4 + 0.3 * len(order)
    figure = Figure(figsize=(8.2, tall), facecolor="white", layout="constrained")
    axes = figure.subplots()
    rows = np.arange(len(order))
    for name, (colour, mark, mine) in marks.items():
        some = np.flatnonzero([spread.names[at] in mine for at in order])
        axes.hlines(some, ends[some, 1], ends[some, 2], color=colour, linewidth=1.6)
        axes.plot(ends[some, 0], some, mark, color=colour, markersize=6, label=name)
    if groups:
        axes.legend(fontsize=9, frameon=False)
    axes.axvline(100 * float(np.median(spread.values)), color=QUIET, linestyle="--", linewidth=1)
    axes.set_yticks(rows, [f"“{spread.names[at]}”" for at in order], fontsize=9)
    axes.set_xlabel(f"{printed} (%), with its interval over images; dashed: the median prompt")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(
        f"The wording alone moves {printed} by {100 * spread.range:.1f} points", fontsize=12,
        color=INK,
    )
    return figure


def _marks(
    names: Sequence[str], groups: Mapping[str, Sequence[str]] | None
) -> dict[str, tuple[str, str, set[str]]]:
    """Of each group its colour, its mark and its prompts."""
    mine = {name: set(prompts) for name, prompts in (groups or {"": names}).items()}
    left = [name for name in names if not any(name in prompts for prompts in mine.values())]
    if left or len(mine) > 2:
        raise ValueError(f"got {len(mine)} groups, and in none of them {left}; give one or two "
                         "that hold every prompt")
    looks = ((RIGHT, "o"), (WRONG, "s"))
    return {name: (*look, mine[name]) for name, look in zip(mine, looks, strict=False)}


def prompt_words(spread: PromptSpread, printed: str = "mAP") -> str:
    """`prompt_figure` for a reader who cannot see it."""
    values = spread.values
    worst = spread.names[int(np.argmin(values))]
    gap = spread.best_minus_median
    return (
        f"{len(values)} prompts by {printed}, each with its interval over images. The best is "
        f"“{spread.best}” with {100 * values.max():.1f}, the worst “{worst}” with "
        f"{100 * values.min():.1f}. The best is {100 * gap.value:.1f} points above the median "
        f"prompt, with an interval from {100 * gap.low:.1f} to {100 * gap.high:.1f}."
    )


def ensemble_figure(sizes: Sequence[EnsembleSize], printed: str = "mAP") -> Figure:
    """A dot for each subset of prompts, and the mean of each size of ensemble as a line.

    Raises:
        ValueError: no size.
    """
    if not sizes:
        raise ValueError("sizes is empty; give what `ensembles.ensemble_sizes` returns")
    figure = Figure(figsize=(6.6, 3.4), facecolor="white", layout="constrained")
    axes = figure.subplots()
    for one in sizes:
        axes.plot([one.size] * len(one.values), 100 * np.array(one.values), "o", color=WRONG,
                  markersize=4, alpha=0.6, markeredgewidth=0)
    axes.plot([one.size for one in sizes], [100 * one.mean for one in sizes], "s-", color=RIGHT)
    axes.set_xticks([one.size for one in sizes])
    axes.set(xlabel="prompts in the ensemble; dots: some of its subsets", ylabel=f"{printed} (%)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(ensemble_words(sizes, printed), fontsize=12, color=INK)
    return figure


def ensemble_words(sizes: Sequence[EnsembleSize], printed: str = "mAP") -> str:
    """From the smallest ensemble to the largest, in words."""
    first, last = sizes[0], sizes[-1]
    return (
        f"From {first.size} to {last.size} prompts, mean {printed} goes from "
        f"{100 * first.mean:.1f} to {100 * last.mean:.1f}"
    )


def score_figure(cosines: ArrayLike, targets: ArrayLike) -> Figure:
    """Why a cosine is no probability: cosines, sigmoid(cos) and sigmoid(100 cos) (trap 9).

    Args:
        cosines: (N, L).
        targets: (N, L) 1 or 0; -1 is left out.

    Raises:
        ValueError: a cosine outside [-1, 1].
    """
    scored, truth = _known(cosines, targets)
    figure = Figure(figsize=(10.8, 3.3), facecolor="white", layout="constrained")
    panels = zip(figure.subplots(1, 3), _three(scored), strict=True)
    for axes, (name, values, ends) in panels:
        bins = np.linspace(*ends, 41)
        for value, colour, words, hatch in (
            (1, RIGHT, "label there", None), (0, WRONG, "label absent", "///")
        ):
            some = values[truth == value]
            axes.hist(
                some, bins, weights=np.full(len(some), 100 / max(1, len(some))), label=words,
                facecolor=RIGHT if value else "none", edgecolor=colour, hatch=hatch,
            )
        low, high = np.quantile(values, [0.05, 0.95])
        axes.set_title(f"{name}: 90 % in {low:.2f} to {high:.2f}", fontsize=10, color=INK)
        axes.set(xlabel=name, xlim=ends)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("share of its entries (%)")
    figure.axes[0].legend(fontsize=9, frameon=False)
    figure.suptitle("A cosine is no probability, and neither sigmoid makes it one", fontsize=12,
                    color=INK)
    return figure


def score_words(cosines: ArrayLike, targets: ArrayLike) -> str:
    """`score_figure` for a reader who cannot see it."""
    scored, truth = _known(cosines, targets)
    parts = []
    for name, values, _ in _three(scored):
        there, absent = (np.median(values[truth == value]) for value in (1, 0))
        parts.append(f"{name}: median {there:.2f} where the label is there, {absent:.2f} where "
                     "it is not")
    return "Three histograms. " + "; ".join(parts) + "."


def audit_figure(rows: Sequence[AuditRow], what: str = "in its group") -> Figure:
    """The worst pairs of an audit as a table whose cells are coloured by their rate.

    Args:
        rows: as `Audit.worst` or `Audit.at` give them.
        what: what the groups are, for the head of the first column: "on this background".

    Raises:
        ValueError: no row.
    """
    if not rows:
        raise ValueError("rows is empty; no pair of the audit has images on both sides")
    rates = 100 * np.array([(row.rate, row.others_rate) for row in rows])
    tall = 1.5 + 0.34 * len(rows)
    figure = Figure(figsize=(8.4, tall), facecolor="white", layout="constrained")
    axes = figure.subplots()
    top = max(float(np.nanmax(rates)), 1e-9)
    drawn = axes.imshow(rates, cmap="cividis", vmin=0, vmax=top, aspect="auto")
    for at, row in enumerate(rows):
        for side, (false, images) in enumerate(
            ((row.false, row.images), (row.others_false, row.others))
        ):
            axes.text(
                side, at, f"{rates[at, side]:.1f} %  ({false} of {images})", ha="center",
                va="center", fontsize=9, color="white" if rates[at, side] < 0.55 * top else INK,
            )
    axes.set_xticks([0, 1], [what, "elsewhere"])
    axes.xaxis.tick_top()
    axes.set_yticks(
        range(len(rows)),
        [f"{row.label} ({row.group}){'' if row.p_holm < 0.05 else ' n.s.'}" for row in rows],
        fontsize=9,
    )
    figure.colorbar(drawn, ax=axes, label="false positives (% of images without the label)")
    figure.suptitle(_found(rows), fontsize=12, color=INK)
    return figure


def audit_words(rows: Sequence[AuditRow]) -> str:
    """`audit_figure` for a reader who cannot see it."""
    shown = sum(row.p_holm < 0.05 for row in rows)
    return (
        f"A table of {len(rows)} pairs of label and group, by how much surer false positives are "
        f"there than elsewhere. The first: {_worst(rows)}. {shown} of the {len(rows)} differences "
        "are shown after correction; the others are marked n.s., not significant."
    )


def similarity_figure(same: ArrayLike, other: ArrayLike, auc: float | None = None) -> Figure:
    """Cosines of pairs of images that show the same, and of other pairs.

    Args:
        same, other: the cosines, any number of each.
        auc: chance that a pair of the same is closer, for the title.

    Raises:
        ValueError: one of the two is empty.
    """
    kinds = [np.asarray(each, float).ravel() for each in (same, other)]
    if not all(len(each) for each in kinds):
        many, few = map(len, kinds)
        raise ValueError(f"got {many} pairs of the same and {few} others; give some of both")
    figure = Figure(figsize=(7.2, 3.4), facecolor="white", layout="constrained")
    axes = figure.subplots()
    ends = float(min(map(np.min, kinds))), float(max(map(np.max, kinds))) + 1e-9
    bins = np.linspace(*ends, 46).tolist()
    for values, colour, words, hatch in zip(
        reversed(kinds), (WRONG, RIGHT), ("other pairs", "pairs that show the same"),
        ("///", None), strict=True,
    ):
        axes.hist(values, bins, weights=np.full(len(values), 100 / len(values)), label=words,
                  color="white" if hatch else colour, edgecolor=colour, hatch=hatch, alpha=0.75)
        axes.axvline(float(values.mean()), color=colour, linewidth=1.5, linestyle="--")
    axes.set(xlabel="cosine of two image embeddings; dashed: means", ylabel="share of pairs (%)")
    axes.legend(fontsize=9, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    title = f"Pairs that show the same {'are' if kinds[0].mean() > kinds[1].mean() else 'are not'}"
    title += " closer"
    won = "" if auc is None else f": in {100 * auc:.0f} % of comparisons with another pair"
    axes.set_title(title + won, fontsize=12, color=INK)
    return figure


def similarity_words(same: ArrayLike, other: ArrayLike) -> str:
    """`similarity_figure` for a reader who cannot see it."""
    one, two = (float(np.mean(np.asarray(each, float))) for each in (same, other))
    return ("Two histograms of the cosine of two pictures. Pairs that show the same have a mean of "
            f"{one:.2f}, other pairs of {two:.2f}.")


def _found(rows: Sequence[AuditRow]) -> str:
    """A title that claims no more than the correction leaves."""
    shown = [row for row in rows if row.p_holm < 0.05]
    if shown:
        return _worst(shown)
    return f"None of these {len(rows)} differences holds after correction (n.s.: not significant)"


def _worst(rows: Sequence[AuditRow]) -> str:
    row = rows[0]
    return (
        f"“{row.label}” with “{row.group}”: {100 * row.rate:.1f} % false positives, "
        f"{100 * row.others_rate:.1f} % elsewhere"
    )


def _known(cosines: ArrayLike, targets: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    scored, truth = np.asarray(cosines, float).ravel(), np.asarray(targets).ravel()
    scored, truth = scored[truth >= 0], truth[truth >= 0]
    if not (np.abs(scored) <= 1 + 1e-6).all():
        raise ValueError("cosines holds something outside [-1, 1]; pass cosines, not scaled logits")
    return scored, truth


def _three(scored: np.ndarray) -> tuple[tuple[str, np.ndarray, tuple[float, float]], ...]:
    return (
        ("cosine", scored, (-1.0, 1.0)),
        ("sigmoid(cosine)", expit(scored), (0.0, 1.0)),
        ("sigmoid(100 · cosine)", expit(100 * scored), (0.0, 1.0)),
    )
