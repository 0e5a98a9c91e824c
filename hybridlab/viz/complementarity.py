"""Who finds what, drawn: a bar for each group, cut into what both views, one or none find."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from hybridlab.evaluation.complementarity import Found

INK = "#222222"
PARTS = (("both", "#666666"), ("first", "#0072b2"), ("second", "#d55e00"), ("neither", "#e8e8e8"))


def complementarity_figure(
    found: Sequence[Found], first: str, second: str, title: str = "Who finds what"
) -> Figure:
    """Shares of the labels that are there, group below group.

    Args:
        found: of `evaluation.complementarity`.
        first, second: names of the two views.

    Raises:
        ValueError: no group, or none with a label.
    """
    drawn = _drawn(found)
    figure = Figure(figsize=(8.2, 1.3 + 0.5 * len(drawn)), facecolor="white", layout="constrained")
    axes = figure.subplots()
    names = _names(first, second)
    for at, each in enumerate(drawn):
        left = 0.0
        for part, colour in PARTS:
            share = getattr(each, part)
            axes.barh([-at], [100 * share], left=100 * left, height=0.7, color=colour,
                      label=names[part] if at == 0 else None)
            if share >= 0.06:
                ink = INK if part == "neither" else "white"
                axes.text(100 * (left + share / 2), -at, f"{100 * share:.0f}", color=ink,
                          ha="center", va="center", fontsize=9)
            left += share
    axes.set_yticks([-at for at in range(len(drawn))],
                    [f"{each.group} ({each.count:,})" for each in drawn])
    axes.set_xlim(0, 100)
    axes.set_xlabel("of the labels that are there (%)")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.legend(ncols=4, frameon=False, fontsize=9, loc="outside lower center")
    axes.set_title(title, fontsize=12, color=INK)
    return figure


def complementarity_words(found: Sequence[Found], first: str, second: str) -> str:
    """`complementarity_figure` for a reader who cannot see it."""
    names = _names(first, second)
    return "Found, of the labels that are there. " + "; ".join(
        f"{each.group}: " + ", ".join(
            f"{names[part]} {100 * getattr(each, part):.0f} %" for part, _ in PARTS)
        for each in _drawn(found)
    ) + "."


def _names(first: str, second: str) -> dict[str, str]:
    return {"both": "both", "first": f"{first} alone", "second": f"{second} alone",
            "neither": "neither"}


def _drawn(found: Sequence[Found]) -> list[Found]:
    drawn = [each for each in found if each.count]
    if not drawn:
        raise ValueError("no group holds a label that is there; nothing can be drawn")
    return drawn
