"""All weights of three models as places in a triangle, each with what the average scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

INK = "#222222"
MARKS = ("*", "D", "s", "^")
_TOP = float(np.sqrt(3) / 2)


def simplex_figure(
    weights: ArrayLike, values: ArrayLike, names: Sequence[str], chosen: Mapping[str, ArrayLike],
    title: str, metric: str = "mAP",
) -> Figure:
    """A corner stands for one model alone, an edge for two, the middle for all three alike.

    Args:
        weights: (K, 3), each row on the simplex.
        values: (K,) what the average scores, 0 to 1.
        names: of the three models.
        chosen: what it is -> weights (3,), marked.

    Raises:
        ValueError: shapes that do not fit, weights off the simplex, or more marks than there are.
    """
    places, scores = _checked(weights, values, names, chosen)
    figure = Figure(figsize=(7.2, 5.0), facecolor="white", layout="constrained")
    axes = figure.subplots()
    x, y = _place(places)
    drawn = axes.scatter(x, y, c=100 * scores, s=190, marker="h", cmap="viridis", edgecolor="white")
    for (name, each), mark in zip(chosen.items(), MARKS, strict=False):
        (a,), (b,) = _place(np.asarray(each, float)[None])
        axes.plot([a], [b], mark, color="white", markeredgecolor=INK, markeredgewidth=1.6,
                  markersize=14 if mark == "*" else 9, linestyle="none", label=name)
    for corner, (name, where) in enumerate(zip(names, ("right", "left", "center"), strict=True)):
        (a,), (b,) = _place(np.eye(3)[[corner]])
        at = np.flatnonzero(np.isclose(places[:, corner], 1))
        value = f"\n{100 * scores[at[0]]:.1f}" if len(at) else ""
        shift = {"right": (-14, 0), "left": (14, 0), "center": (0, 16)}[where]
        axes.annotate(f"{name}{value}", (a, b), shift, textcoords="offset points", ha=where,
                      va="bottom" if where == "center" else "center", fontsize=10, color=INK)
    axes.set(xlim=(-0.3, 1.3), ylim=(-0.08, _TOP + 0.16), aspect="equal")
    axes.set_axis_off()
    if chosen:
        figure.legend(loc="outside lower center", frameon=False, fontsize=9, ncols=len(chosen))
    figure.colorbar(drawn, ax=axes, label=f"{metric} (%)", shrink=0.7)
    figure.suptitle(title, fontsize=12, color=INK)
    return figure


def simplex_words(
    weights: ArrayLike, values: ArrayLike, names: Sequence[str], chosen: Mapping[str, ArrayLike],
    metric: str = "mAP",
) -> str:
    """`simplex_figure` for a reader who cannot see it."""
    places, scores = _checked(weights, values, names, chosen)
    best = int(np.argmax(scores))
    alone = [f"{name} {100 * scores[at[0]]:.1f}" for corner, name in enumerate(names)
             if len(at := np.flatnonzero(np.isclose(places[:, corner], 1)))]
    told = [f"alone {', '.join(alone)}"] if alone else []
    told.append(f"best {100 * scores[best]:.1f} at {_weighed(places[best], names)}")
    told += [f"{what}: {_weighed(np.asarray(each, float), names)}"
             for what, each in chosen.items()]
    return f"{metric} (%) of weighted averages. " + "; ".join(told) + "."


def _weighed(weights: np.ndarray, names: Sequence[str]) -> str:
    return ", ".join(f"{name} {weight:.2f}" for name, weight in zip(names, weights, strict=True))


def _place(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First corner at the lower left, second at the lower right, third on top."""
    return weights[:, 1] + weights[:, 2] / 2, weights[:, 2] * _TOP


def _checked(
    weights: ArrayLike, values: ArrayLike, names: Sequence[str], chosen: Mapping[str, ArrayLike]
) -> tuple[np.ndarray, np.ndarray]:
    places, scores = np.asarray(weights, float), np.asarray(values, float)
    if places.ndim != 2 or places.shape[1:] != (3,) or scores.shape != places.shape[:1] or (
            len(names) != 3 or not len(places)):
        raise ValueError(
            f"weights are {places.shape}, values {scores.shape} and names {len(names)}; give "
            "(K, 3), (K,) and three names"
        )
    every = np.vstack([places, *(np.asarray(each, float)[None] for each in chosen.values())])
    if (every < -1e-9).any() or not np.allclose(every.sum(axis=1), 1, atol=1e-6):
        raise ValueError("weights must not be negative, and add up to 1 in each row")
    if len(chosen) > len(MARKS):
        raise ValueError(f"{len(chosen)} weights are to be marked; give {len(MARKS)} at most")
    return places, scores
