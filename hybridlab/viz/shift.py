"""How models take a change of style: what each loses, and the same scene in every style.

Marks differ in form as well as in colour. Matplotlib's objects, not pyplot: nothing global changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from hybridlab.ablation.findings import Analysis, Row
from hybridlab.data.openmoji import CREDIT
from hybridlab.data.sample import Sample

INK, QUIET, GRID = "#222222", "#6a6a6a", "#dddddd"
HOME = "colour"  # the style that the models were trained in
TWEMOJI = "Twemoji art: Twitter, Inc and contributors, CC BY 4.0"
# style -> name in print, Okabe and Ito's colour, mark
LOOKS = {
    HOME: ("colour (trained on)", "#222222", "o"),
    "grey": ("grey", "#6a6a6a", "s"),
    "sketch": ("outlines", "#b84a00", "^"),
    "openmoji": ("another artist", "#0067a5", "D"),
}


class Shift(NamedTuple):
    """One model in one style other than its own; all shares, such as 0.612.

    Attributes:
        model, style: names.
        before, after: the metric in its own style and in this one, means over seeds.
        change, low, high: after - before with its paired interval.
        shown: whether the change may be claimed.
    """

    model: str
    style: str
    before: float
    after: float
    change: float
    low: float
    high: float
    shown: bool


def shifts_of(record: Mapping[str, Any]) -> list[Shift]:
    """The shifts of a recorded study with the factors "model" and "style".

    Args:
        record: such as `course.recorded("styles")`; its analyses against each model in its own
            style stand under "also".

    Raises:
        ValueError: the record holds no such analysis.
    """
    found = []
    for reference, data in record.get("also", {}).items():
        analysis = Analysis.from_json(data)
        own = analysis.row(reference)
        if own.levels.get("style") == HOME:
            found += [
                _shift(own, row) for row in analysis.rows
                if row.levels.get("model") == own.levels["model"] and row.name != reference
            ]
    if not found:
        raise ValueError(
            f"the record has no analysis against a variant of style {HOME!r}; record the study "
            "with `hybridlab reproduce`, and name these variants in its ALSO_AGAINST"
        )
    return found


def _shift(own: Row, row: Row) -> Shift:
    other = row.comparison
    if other is None:
        raise ValueError(f"{row.name!r} was not compared with {own.name!r}; run all of the study")
    return Shift(
        own.levels["model"], row.levels["style"], own.mean, row.mean, other.value, other.low,
        other.high, other.shown,
    )


def shift_figure(
    shifts: Sequence[Shift], metric: str = "mAP", title: str | None = None
) -> Figure:
    """A row for each model: left its metric in every style, right what it loses, with intervals.

    Models stand in the order of what they keep in the last style.

    Args:
        shifts: each model in the same styles.
        metric: in print.
        title: what to see; None: who keeps most and who least in the last style.

    Raises:
        ValueError: nothing to draw, or a model without one of the styles.
    """
    models, styles = _ordered(shifts)
    figure = Figure(figsize=(9.6, 1.9 + 0.62 * len(models)), facecolor="white",
                    layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.15, 1))
    by_place = {(each.model, each.style): each for each in shifts}
    for row, model in enumerate(models):
        each = [by_place[model, style] for style in styles]
        ends = [each[0].before, *(one.after for one in each)]
        left.plot([100 * min(ends), 100 * max(ends)], [row, row], color=GRID, linewidth=3, zorder=1)
        _mark(left, 100 * each[0].before, row, HOME, True)
        for at, one in enumerate(each):
            _mark(left, 100 * one.after, row, one.style, True)
            place = row + 0.24 * (at - (len(each) - 1) / 2)
            right.plot(
                [100 * one.low, 100 * one.high], [place, place], color=LOOKS[one.style][1],
                linewidth=1.6, solid_capstyle="butt",
            )
            _mark(right, 100 * one.change, place, one.style, one.shown)
    right.axvline(0, color=INK, linewidth=1)
    left.set_yticks(range(len(models)), models, fontsize=9.5, color=INK, parse_math=False)
    left.set_ylim(len(models) - 0.5, -0.5)
    left.set_xlabel(f"{metric} (%), mean over seeds", color=INK)
    right.set_xlabel(f"change in {metric} (points)\nwith 95 % paired interval; open: not shown",
                     color=INK)
    for axes in (left, right):
        axes.grid(axis="x", color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
    handles = [
        left.plot([], [], LOOKS[style][2], color=LOOKS[style][1], label=LOOKS[style][0])[0]
        for style in (HOME, *styles)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False,
                  fontsize=9.5)
    figure.suptitle(title or _title(shifts, models, styles[-1]), fontsize=12, color=INK,
                    parse_math=False)
    return figure


def shift_words(shifts: Sequence[Shift], metric: str = "mAP") -> str:
    """`shift_figure` for a reader who cannot see it."""
    models, styles = _ordered(shifts)
    by_place = {(each.model, each.style): each for each in shifts}
    told = []
    for model in models:
        each = [by_place[model, style] for style in styles]
        changes = "; ".join(
            f"{LOOKS[one.style][0]} {100 * one.after:.1f} ({100 * one.change:+.1f}, 95 % interval "
            f"{100 * one.low:+.1f} to {100 * one.high:+.1f})" for one in each
        )
        told.append(f"{model}: {100 * each[0].before:.1f} in colour; {changes}.")
    return f"{metric} in percent of each model by style. {' '.join(told)}"


def _ordered(shifts: Sequence[Shift]) -> tuple[list[str], list[str]]:
    """Models by the share that they keep in the last style, most first; styles as they come."""
    if not shifts:
        raise ValueError("there is no shift to draw; pass what `shifts_of` gives")
    styles = [style for style in LOOKS if any(each.style == style for each in shifts)]
    strange = {each.style for each in shifts} - set(styles)
    if strange or HOME in styles:
        raise ValueError(f"styles are {sorted(strange or {HOME})}; expected some of "
                         f"{', '.join(list(LOOKS)[1:])}")
    kept = {each.model: _kept(each) for each in shifts if each.style == styles[-1]}
    for each in shifts:
        if {one.style for one in shifts if one.model == each.model} != set(styles):
            raise ValueError(f"{each.model!r} has not all of the styles {', '.join(styles)}")
    return sorted(kept, key=lambda model: -kept[model]), styles


def _kept(shift: Shift) -> float:
    return shift.after / shift.before if shift.before else 0.0


def _title(shifts: Sequence[Shift], models: Sequence[str], style: str) -> str:
    ends = [next(each for each in shifts if each.model == model and each.style == style)
            for model in (models[0], models[-1])]
    if len(models) == 1:
        return f"{models[0]} keeps {100 * _kept(ends[0]):.0f} % with {LOOKS[style][0]}"
    return (
        f"With {LOOKS[style][0]}, “{models[0]}” keeps {100 * _kept(ends[0]):.0f} % of its score, "
        f"“{models[-1]}” {100 * _kept(ends[1]):.0f} %"
    )


def _mark(axes: Any, x: float, y: float, style: str, filled: bool) -> None:
    _, colour, mark = LOOKS[style]
    axes.plot([x], [y], mark, color=colour, markersize=7, markeredgewidth=1.4, zorder=3,
              markerfacecolor=colour if filled else "white")


def style_sheet(
    scenes: Mapping[str, Sequence[Sample]], names: Sequence[str], title: str | None = None
) -> Figure:
    """The same scenes in each style: a row for each scene, a column for each style.

    Under it stands whose art it is. With OpenMoji's, the whole figure is under CC BY-SA 4.0.

    Args:
        scenes: style -> the same scenes in that style.
        names: label names in the order of the columns of `targets`.
        title: what to see.

    Raises:
        ValueError: no scene, an unknown style, or scenes that differ in more than their style.
    """
    styles = list(scenes)
    unknown = set(styles) - set(LOOKS)
    if unknown:
        raise ValueError(f"unknown styles {sorted(unknown)}; known ones: {', '.join(LOOKS)}")
    count = len(next(iter(scenes.values()), ()))
    if not count:
        raise ValueError("there is no scene to draw; pass one or more for each style")
    for style, each in scenes.items():
        same = len(each) == count and all(
            np.array_equal(one.targets, other.targets)
            for one, other in zip(each, scenes[styles[0]], strict=False)
        )
        if not same:
            raise ValueError(
                f"the scenes in style {style!r} are not those in {styles[0]!r}; draw both with the "
                "same split, indices and dials"
            )
    height = 1.15 + 2.75 * count
    figure = Figure(figsize=(2.5 * len(styles) + 0.1, height), facecolor="white")
    grid = figure.subplots(count, len(styles), squeeze=False)
    for row in range(count):
        present = np.flatnonzero(scenes[styles[0]][row].targets > 0)
        for axes, style in zip(grid[row], styles, strict=True):
            axes.imshow(scenes[style][row].image, interpolation="nearest")
            axes.axis("off")
            if row == 0:
                axes.set_title(LOOKS[style][0].partition(" (")[0], fontsize=10, color=INK)
        grid[row, 0].text(
            0, -0.04, ", ".join(names[int(column)] for column in present),
            transform=grid[row, 0].transAxes, ha="left", va="top", fontsize=9, color=INK,
        )
    credits = ([TWEMOJI] if set(styles) - {"openmoji"} else []) + (
        [CREDIT] if "openmoji" in styles else []
    )
    licence = " This figure: CC BY-SA 4.0." if "openmoji" in styles else ""
    figure.text(0.01, 0.12 / height, f"{'. '.join(credits)}. Changed: scaled, turned, blended, "
                f"blurred.{licence}", fontsize=7.5, color=QUIET, ha="left", va="bottom", wrap=True)
    figure.suptitle(title or "The same scenes, drawn in other ways", fontsize=12, color=INK,
                    y=1 - 0.12 / height, va="top")
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.62 / height, top=1 - 0.68 / height,
                           wspace=0.04, hspace=0.16)
    return figure
