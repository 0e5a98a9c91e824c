"""Gains on a reference across several studies: along a dial, or from regime to regime.

Drawn from recorded analyses; `gain_words` says the same in words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from hybridlab.ablation.findings import Analysis

CROWDED = 20  # letters of all places together that still fit below a panel side by side
INK, GRID = "#222222", "#dddddd"
# Okabe and Ito; marks differ, too
LOOKS = (("#0072b2", "o"), ("#d55e00", "s"), ("#009e73", "^"), ("#6a6a6a", "v"), ("#e69f00", "D"))
PRINTED = {"mean_ap": "mAP", "of1": "OF1", "cf1": "CF1", "macro_f1": "macro-F1",
           "exact_match": "exact match", "map@10": "MAP@10", "of1@3": "OF1 of the top 3",
           "cf1@3": "CF1 of the top 3"}


@dataclass(frozen=True)
class Gain:
    """What a variant gains on its study's reference.

    Attributes:
        place: of the study on the dial, or the name of the regime.
        variant, metric: as in the study.
        reference, value: of the two, 0 to 1.
        change, low, high: value - reference, with its paired interval.
        shown: the study's verdict is "better" or "worse".
    """

    place: str
    variant: str
    metric: str
    reference: float
    value: float
    change: float
    low: float
    high: float
    shown: bool


def gains_of(records: Mapping[str, Mapping[str, Any]], metrics: Sequence[str]) -> list[Gain]:
    """The gains in recorded studies that have the same variants and reference.

    Args:
        records: place -> what `course.recorded` gives.
        metrics: those wanted.

    Raises:
        ValueError: no study; studies that differ in variants; or a metric that was not recorded.
    """
    found, names = [], None
    for place, record in records.items():
        for metric in metrics:
            if metric not in record["metrics"]:
                known = ", ".join(record["metrics"])
                raise ValueError(
                    f"metric {metric!r} was not recorded at {place}; there are {known}"
                )
            analysis = Analysis.from_json(record["metrics"][metric])
            rows = [row for row in analysis.rows if row.comparison is not None]
            if names is None:
                names = [row.name for row in rows]
            if [row.name for row in rows] != names:
                raise ValueError(f"the study at {place} has other variants than the first one")
            base = analysis.row(analysis.reference).mean
            for row in rows:
                change = row.comparison
                assert change is not None
                found.append(Gain(
                    place, row.name, metric, base, row.mean, change.value, change.low, change.high,
                    change.verdict in ("better", "worse"),
                ))
    if not found:
        raise ValueError("records is empty; give the recorded studies by their place")
    return found


def gain_figure(
    gains: Sequence[Gain], variants: Sequence[str], across: str, title: str, reference: str
) -> Figure:
    """A panel for each metric: the gain of each variant at each place, with intervals.

    Args:
        variants: those that are drawn, in the order of the legend.
        across: what the places are, for the axis.
        title: what to see.
        reference: what 0 stands for.

    Raises:
        ValueError: a variant without a gain, or more than there are looks for.
    """
    known = list(dict.fromkeys(each.variant for each in gains))
    if not variants or len(variants) > len(LOOKS) or set(variants) - set(known):
        raise ValueError(
            f"variants is {list(variants)}; give 1 to {len(LOOKS)} of {', '.join(known)}"
        )
    places = list(dict.fromkeys(each.place for each in gains))
    metrics = list(dict.fromkeys(each.metric for each in gains))
    figure = Figure(
        figsize=(1.2 + 2.6 * len(metrics), 3.9), facecolor="white", layout="constrained"
    )
    by_key = {(each.metric, each.variant, each.place): each for each in gains}
    panels = figure.subplots(1, len(metrics), squeeze=False)[0]
    for axes, metric in zip(panels, metrics, strict=True):
        for at, (variant, (colour, mark)) in enumerate(zip(variants, LOOKS, strict=False)):
            spread = 0.13 * (at - (len(variants) - 1) / 2)
            for x, place in enumerate(places):
                each = by_key[metric, variant, place]
                axes.plot([x + spread] * 2, [100 * each.low, 100 * each.high], color=colour,
                          linewidth=1.6)
                axes.plot([x + spread], [100 * each.change], mark, color=colour, markersize=6,
                          markerfacecolor=colour if each.shown else "white")
        axes.axhline(0, color=INK, linewidth=1)
        axes.set_xticks(range(len(places)), places, fontsize=9)
        if sum(map(len, places)) > CROWDED:
            axes.tick_params(axis="x", rotation=45)
        axes.set_title(PRINTED.get(metric, metric), fontsize=11, color=INK)
        axes.set_xlabel(across, fontsize=9)
        axes.grid(axis="y", color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel(f"points above {reference}")
    handles = [
        panels[0].plot([], [], mark, color=colour, label=variant)[0]
        for variant, (colour, mark) in zip(variants, LOOKS, strict=False)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(3, len(handles)),
                  frameon=False, fontsize=9.5, title="95 % paired intervals; open: not shown",
                  title_fontsize=9)
    figure.suptitle(title, fontsize=12, color=INK)
    return figure


def gain_words(gains: Sequence[Gain], variants: Sequence[str], reference: str) -> str:
    """`gain_figure` for a reader who cannot see it."""
    told = []
    for metric in dict.fromkeys(each.metric for each in gains):
        for variant in variants:
            row = [each for each in gains if (each.metric, each.variant) == (metric, variant)]
            told.append(f"{PRINTED.get(metric, metric)}, {variant}: " + "; ".join(
                f"{100 * each.change:+.1f} [{100 * each.low:+.1f}, {100 * each.high:+.1f}] at "
                f"{each.place}{'' if each.shown else ' (not shown)'}" for each in row
            ))
    return f"Points above {reference}. " + ". ".join(told) + "."


def gain_table(gains: Sequence[Gain], variants: Sequence[str]) -> str:
    """The figures behind `gain_figure`, in points; brackets where no difference is shown.

    Args:
        variants: the rows, in this order; each once for every metric.

    Raises:
        ValueError: a variant without a gain.
    """
    known = list(dict.fromkeys(each.variant for each in gains))
    if not variants or set(variants) - set(known):
        raise ValueError(f"variants is {list(variants)}; give some of {', '.join(known)}")
    metrics = dict.fromkeys(each.metric for each in gains)
    rows = [("", [f"{place} " for place in dict.fromkeys(each.place for each in gains)])]
    rows += [
        (f"{variant}, {PRINTED.get(metric, metric)}", [
            f"{100 * each.change:+.1f} " if each.shown else f"({100 * each.change:+.1f})"
            for each in gains if (each.metric, each.variant) == (metric, variant)
        ])
        for variant in variants for metric in metrics
    ]
    wide = max(len(name) for name, _ in rows)
    each_wide = 2 + max(len(cell) for _, cells in rows for cell in cells)
    return "\n".join(
        (f"{name:{wide}}" + "".join(f"{cell:>{each_wide}}" for cell in cells)).rstrip()
        for name, cells in rows
    )
