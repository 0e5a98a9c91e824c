"""What a tower still names after it was tuned, beside what the tuning brought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from hybridlab.ablation.findings import Analysis

BLUE, ORANGE, INK, GRID = "#0072b2", "#d55e00", "#222222", "#dddddd"


@dataclass(frozen=True)
class Kept:
    """What one way to train brings, and what its tower keeps.

    Attributes:
        name: of the way.
        mean_ap: of the hybrid, over seeds, 0 to 1.
        naming: share of the things that no scene shows that the tower names, a number per seed.
        before: the same share before any tuning.
    """

    name: str
    mean_ap: float
    naming: tuple[float, ...]
    before: float


def kept_of(record: Mapping[str, Any], only: Sequence[str] | None = None) -> list[Kept]:
    """From a recorded study whose runs tell "naming_before" and "naming_after".

    Args:
        record: as `course.recorded` gives it.
        only: variants, in this order; all if None.

    Raises:
        ValueError: a variant of which that was not recorded.
    """
    rows = {row.name: row.mean for row in Analysis.from_json(record["metrics"]["mean_ap"]).rows}
    names = list(rows) if only is None else list(only)
    extra = record.get("extra", {})
    if missing := [name for name in names
                   if name not in rows or not all("naming_after" in each for each in
                                                  extra.get(name, [{}]))]:
        raise ValueError(f"no naming was recorded of {missing}; there are {', '.join(extra)}")
    return [
        Kept(name, rows[name], tuple(each["naming_after"] for each in extra[name]),
             float(np.mean([each["naming_before"] for each in extra[name]])))
        for name in names
    ]


def forgetting_figure(kept: Sequence[Kept], title: str) -> Figure:
    """A row for each way: its mAP on the left, what its tower still names on the right, a dot for
    each seed; the dotted line is the tower before.

    Raises:
        ValueError: nothing to draw.
    """
    if not kept:
        raise ValueError("kept is empty; give one way to train or more")
    figure = Figure(figsize=(9.2, 1.3 + 0.36 * len(kept)), facecolor="white", layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    places = range(len(kept))
    left.barh(places, [100 * each.mean_ap for each in kept], color=BLUE, height=0.6)
    right.barh(places, [100 * float(np.mean(each.naming)) for each in kept], color=ORANGE,
               height=0.6, alpha=0.75)
    for place, each in zip(places, kept, strict=True):
        right.plot([100 * value for value in each.naming], [place] * len(each.naming), "o",
                   color=INK, markersize=3)
        left.annotate(f"{100 * each.mean_ap:.1f}", (100 * each.mean_ap, place), (-4, 0),
                      textcoords="offset points", ha="right", va="center", fontsize=8.5,
                      color="white")
    right.axvline(100 * kept[0].before, color=INK, linewidth=1, linestyle=":")
    left.set_yticks(places, [each.name for each in kept], fontsize=9)
    left.invert_yaxis()
    left.set_xlabel("mAP of the hybrid on test scenes (%)")
    right.set_xlabel("named, of things that no scene shows (%)\ndotted: before tuning; dots: seeds")
    for axes in (left, right):
        axes.set_xlim(left=0)
        axes.grid(axis="x", color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, fontsize=12, color=INK)
    return figure


def forgetting_words(kept: Sequence[Kept]) -> str:
    """`forgetting_figure` for a reader who cannot see it."""
    told = "; ".join(
        f"{each.name}: mAP {100 * each.mean_ap:.1f}, names {100 * float(np.mean(each.naming)):.0f} "
        "% afterwards" for each in kept
    )
    return (f"Before tuning the tower names {100 * kept[0].before:.0f} % of the things that no "
            f"scene shows. {told}.")
