"""Two views of one picture, blended by alpha: decision-level fusion by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

BLUE, INK = "#0067a5", "#222222"


def blend_figure(
    image: np.ndarray, names: Sequence[str], first: np.ndarray, second: np.ndarray, alpha: float,
    truth: np.ndarray, views: tuple[str, str] = ("CNN-RNN", "CLIP"), most: int = 8,
) -> Figure:
    """Two views' probabilities of one picture, blended: alpha * first + (1 - alpha) * second.

    A bar for each of the likeliest labels of the blend, blue where the label is there, and marks
    for what each view says by itself.

    Args:
        image: (H, W, 3) uint8.
        names: of the L labels.
        first, second: (L,) in [0, 1].
        alpha: share of the first view, in [0, 1].
        truth: (L,), above 0 where a label is there.
        most: bars.

    Raises:
        ValueError: alpha outside [0, 1], or sizes that do not fit.
    """
    _check_blend(names, first, second, alpha, truth)
    blend, best = _blended(first, second, alpha, most)
    figure = Figure(figsize=(8.2, 0.9 + 0.36 * len(best)), facecolor="white", layout="constrained")
    picture, axes = figure.subplots(1, 2, width_ratios=[1, 2.4])
    picture.imshow(image, interpolation="nearest")
    picture.set_axis_off()
    rows = -np.arange(len(best))
    there = np.asarray(truth)[best] > 0
    axes.barh(rows, 100 * blend[best], color=[BLUE if each else "#c8c8c8" for each in there])
    for values, mark, name in ((first, "<", views[0]), (second, ">", views[1])):
        axes.plot(100 * np.asarray(values)[best], rows, mark, color=INK, markerfacecolor="white",
                  markersize=7, linestyle="none", label=f"{name} alone")
    axes.set_yticks(rows, [names[at] for at in best])
    axes.set_xlim(0, 100)
    axes.set_xlabel("probability (%); blue: the label is there")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    figure.suptitle(f"{100 * alpha:.0f} % {views[0]}, {100 * (1 - alpha):.0f} % {views[1]}",
                    fontsize=12, color=INK)
    return figure


def blend_words(
    names: Sequence[str], first: np.ndarray, second: np.ndarray, alpha: float, truth: np.ndarray,
    views: tuple[str, str] = ("CNN-RNN", "CLIP"), most: int = 8,
) -> str:
    """`blend_figure` for a reader who cannot see it."""
    _check_blend(names, first, second, alpha, truth)
    blend, best = _blended(first, second, alpha, most)
    return f"{100 * alpha:.0f} % {views[0]}, {100 * (1 - alpha):.0f} % {views[1]}. " + "; ".join(
        f"{names[at]}{' (there)' if truth[at] > 0 else ''} {100 * blend[at]:.0f} % "
        f"({views[0]} {100 * first[at]:.0f}, {views[1]} {100 * second[at]:.0f})" for at in best
    ) + "."


def _blended(
    first: np.ndarray, second: np.ndarray, alpha: float, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """The blend (L,), and its likeliest labels, best first."""
    blend = alpha * np.asarray(first) + (1 - alpha) * np.asarray(second)
    return blend, np.argsort(-blend, kind="stable")[:most]


def _check_blend(
    names: Sequence[str], first: np.ndarray, second: np.ndarray, alpha: float, truth: np.ndarray
) -> None:
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is {alpha}; give the first view's share, from 0 to 1")
    sizes = [np.shape(each) for each in (first, second, truth)]
    if any(size != (len(names),) for size in sizes):
        raise ValueError(f"first, second and truth are {sizes} for {len(names)} names; give (L,)")
