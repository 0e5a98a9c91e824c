"""What rules for thresholds score where they were chosen, and what elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from hybridlab.viz.gains import GRID, INK, LOOKS, PRINTED


@dataclass(frozen=True)
class Flattery:
    """A rule at one number of positives; a number for each seed, 0 to 1.

    Attributes:
        rule: its name.
        positives: of a label, as a mean over labels, on the scenes that chose the thresholds.
        fitted: on those scenes.
        crossed: on those scenes, each decided by thresholds that were fitted without it; empty
            where that was not tried.
        elsewhere: on other scenes.
    """

    rule: str
    positives: int
    fitted: tuple[float, ...]
    crossed: tuple[float, ...]
    elsewhere: tuple[float, ...]

    @property
    def optimism(self) -> tuple[float, ...]:
        """By how much the rule flatters itself: fitted minus elsewhere."""
        return tuple(a - b for a, b in zip(self.fitted, self.elsewhere, strict=True))


def flattery_of(
    records: Mapping[int, Mapping[str, Any]], rules: Sequence[str], metric: str = "of1"
) -> list[Flattery]:
    """Rules in the recorded studies `deciding_...`.

    Args:
        records: positives -> what `course.recorded` gives.
        rules: those wanted, in this order.
        metric: "of1", "cf1" or "macro_f1".

    Raises:
        ValueError: no study, a rule that was not recorded, or a metric that was not.
    """
    if not records or not rules:
        raise ValueError("records or rules is empty; give the recorded studies by their positives")
    found = []
    for rule in rules:
        for positives, record in records.items():
            extra = record.get("extra", {})
            if rule not in extra:
                raise ValueError(f"no {rule!r} was recorded; there are {', '.join(extra)}")
            if f"fitted_{metric}" not in extra[rule][0]:
                known = [name[7:] for name in extra[rule][0] if name.startswith("fitted_")
                         and name != "fitted_on"]
                raise ValueError(f"no {metric!r} was recorded; there are {', '.join(known)}")
            fitted, crossed, elsewhere = (
                tuple(each[f"{where}_{metric}"] for each in extra[rule]
                      if f"{where}_{metric}" in each)
                for where in ("fitted", "crossed", "elsewhere"))
            found.append(Flattery(rule, positives, fitted, crossed, elsewhere))
    return found


def flattery_figure(found: Sequence[Flattery], metric: str, title: str) -> Figure:
    """On the left what each rule scores elsewhere, on the right by how much it flatters itself,
    against the positives that it was fitted on; a faint dot for each seed.

    Args:
        found: up to five rules.
        metric: for the axes.

    Raises:
        ValueError: no rule, or more than there are looks for.
    """
    rules = list(dict.fromkeys(each.rule for each in found))
    if not 1 <= len(rules) <= len(LOOKS):
        raise ValueError(f"there are {len(rules)} rules; give 1 to {len(LOOKS)}")
    places = list(dict.fromkeys(each.positives for each in found))
    figure = Figure(figsize=(9.2, 4.4), facecolor="white", layout="constrained")
    left, right = figure.subplots(1, 2)
    handles = []
    for at, (rule, (colour, mark)) in enumerate(zip(rules, LOOKS, strict=False)):
        its = sorted((each for each in found if each.rule == rule), key=lambda one: one.positives)
        spread = 0.08 * (at - (len(rules) - 1) / 2)
        x = [places.index(each.positives) + spread for each in its]
        for axes, values in ((left, [each.elsewhere for each in its]),
                             (right, [each.optimism for each in its])):
            for place, each in zip(x, values, strict=True):
                axes.plot([place] * len(each), 100 * np.array(each), mark, color=colour,
                          markersize=3, alpha=0.45)
            (drawn,) = axes.plot(x, [100 * float(np.mean(each)) for each in values], f"{mark}-",
                                 color=colour, markersize=6.5, label=rule)
        handles.append(drawn)
    printed = PRINTED.get(metric, metric)
    left.set_ylabel(f"{printed} on other scenes (%)")
    right.set_ylabel("flatters itself by (points)")
    right.axhline(0, color=INK, linewidth=1)
    for axes in (left, right):
        axes.set_xticks(range(len(places)), [str(place) for place in places])
        axes.set_xlabel("positives of a label, on the scenes that chose")
        axes.grid(axis="y", color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=12, color=INK)
    return figure


def flattery_words(found: Sequence[Flattery], metric: str) -> str:
    """`flattery_figure` for a reader who cannot see it."""
    return f"{PRINTED.get(metric, metric)} on other scenes, and flattery in points. " + "; ".join(
        f"{each.rule}, {each.positives} positives: {_percent(each.elsewhere):.1f} %, flatters "
        f"itself by {_percent(each.optimism):.1f}" for each in found
    ) + "."


def flattery_table(found: Sequence[Flattery]) -> str:
    """Means over seeds: for each rule and number of positives the score on the scenes that chose,
    what cross-fitting says of it, and the score elsewhere, in percent.

    Raises:
        ValueError: nothing to tell.
    """
    if not found:
        raise ValueError("found is empty; give one rule or more")
    wide = max(len(each.rule) for each in found)
    lines = [f"{'':{wide}}  positives  where chosen  cross-fitted  elsewhere"]
    for each in found:
        crossed = f"{_percent(each.crossed):12.1f}" if each.crossed else f"{'–':>12}"
        lines.append(f"{each.rule:{wide}}  {each.positives:9}  {_percent(each.fitted):12.1f}  "
                     f"{crossed}  {_percent(each.elsewhere):9.1f}")
    return "\n".join(lines)


def _percent(values: Sequence[float]) -> float:
    return 100 * float(np.mean(values))
