"""Decoding drawn: where each step looked and what it thought of, and the tree of a beam search.

Drawn from a `Trace`; each figure has a function beside it that says the same in words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from PIL import Image

if TYPE_CHECKING:
    from hybridlab.decoder.trace import BeamNode, Trace

BLUE, PALE, ORANGE, INK, QUIET = "#0067a5", "#9fc3da", "#e69f00", "#222222", "#6a6a6a"
MOST_STEPS = 7
_DARK = 0.25  # light that is left where nothing looked
STOP = "STOP"


def decoding_figure(image: np.ndarray, trace: Trace) -> Figure:
    """Each step of the best sequence: where it looked, and the likeliest next labels as bars.

    Args:
        image: (H, W, 3) uint8.

    Raises:
        ValueError: image is not (H, W, 3).
    """
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image has shape {image.shape}, expected (H, W, 3)")
    steps = trace.steps[:MOST_STEPS]
    figure = Figure(
        figsize=(max(6.0, 2.2 * len(steps)), 4.4), facecolor="white", layout="constrained"
    )
    grid = figure.subplots(2, len(steps), squeeze=False, height_ratios=[1.25, 1])
    for at, step in enumerate(steps):
        _look(grid[0, at], image, step.attention)
        grid[0, at].set_title(
            f"step {at + 1}: {step.chosen}", fontsize=10, color=INK, parse_math=False
        )
        axes = grid[1, at]
        names = [name for name, _ in step.best][::-1]
        values = [100 * prob for _, prob in step.best][::-1]
        axes.barh(
            range(len(names)), values,
            color=[ORANGE if name == STOP else BLUE if name == step.chosen else PALE
                   for name in names],
            edgecolor=[INK if name == step.chosen else "none" for name in names],
        )
        for place, name in enumerate(names):
            axes.annotate(name, (2, place), va="center", fontsize=9, color=INK, parse_math=False,
                          path_effects=[withStroke(linewidth=2.5, foreground="white")])
        axes.set_yticks([])
        axes.set_xlim(0, 100)
        axes.set_xlabel("%", fontsize=8)
        axes.tick_params(axis="x", labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    written = ", ".join(trace.sequences[0]) or "nothing"
    figure.suptitle(f"It writes {written}, and stops", fontsize=12, color=INK, parse_math=False)
    return figure


def decoding_words(trace: Trace) -> str:
    """`decoding_figure` for a reader who cannot see it."""
    told = []
    for at, step in enumerate(trace.steps[:MOST_STEPS], start=1):
        others = ", ".join(
            f"{name} {100 * prob:.0f} %" for name, prob in step.best if name != step.chosen
        )
        told.append(
            f"Step {at} looks at the {place_in_words(step.attention)} and writes {step.chosen} "
            f"({100 * step.prob:.0f} %; then {others})"
        )
    return ". ".join(told) + f". {trace.why_it_stopped}"


def tree_figure(trace: Trace) -> Figure:
    """The tree of a beam search: a column for each step, the best partial sequence on top. What
    led to a final sequence is blue, the best one thick; what was dropped is grey."""
    nodes = trace.nodes
    steps, ranks = max(node.step for node in nodes) + 1, max(node.rank for node in nodes) + 1
    figure = Figure(
        figsize=(1.6 + 1.75 * steps, 1.3 + 0.55 * ranks), facecolor="white", layout="constrained"
    )
    axes = figure.subplots()
    axes.plot([-1], [0], "o", color=INK, markersize=6)
    axes.annotate("start", (-1, 0), (0, 7), textcoords="offset points", ha="center", fontsize=9)
    for node in nodes:
        colour, width = _kind(node)
        above = node.parent if node.step else 0
        axes.plot([node.step - 1, node.step], [-above, -node.rank], color=colour, linewidth=width,
                  linestyle="-" if node.chosen else ":", zorder=1 if node.kept else 2)
        if node.chosen:
            axes.plot([node.step], [-node.rank], "s" if node.chosen == STOP else "o", color=colour,
                      markersize=6, zorder=3)
            axes.annotate(
                f"{node.chosen} {node.log_prob:.1f}", (node.step, -node.rank), (0, 6),
                textcoords="offset points", ha="center", fontsize=8, zorder=4,
                color=INK if node.kept >= 0 else QUIET, parse_math=False,
                bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.85},
            )
    axes.set_xticks(range(steps), [str(1 + step) for step in range(steps)])
    axes.set_yticks([])
    axes.set_xlabel(
        "step; labels with the log-probability of the sequence so far; squares end it, dotted: "
        "it waits"
    )
    axes.set_xlim(-1.3, steps - 0.5)
    axes.set_ylim(0.7 - ranks, 0.7)
    axes.spines[["top", "right", "left"]].set_visible(False)
    found = "The best of the beams is " + (", ".join(trace.sequences[0]) or "the empty set")
    axes.set_title(found, fontsize=12, color=INK, parse_math=False)
    return figure


def tree_words(trace: Trace) -> str:
    """`tree_figure` for a reader who cannot see it."""
    rows = zip(trace.sequences, trace.log_probs, strict=True)
    told = "; ".join(
        f"{', '.join(labels) or 'the empty set'} with a log-probability of {value:.1f}"
        for labels, value in rows
    )
    dropped = sum(node.kept == -1 for node in trace.nodes)
    return f"A tree of partial sequences, {dropped} of which were dropped. It ends in: {told}."


def _look(axes: Any, image: np.ndarray, attention: np.ndarray) -> None:
    """The image, lit where the step looked: full light is where it looked most."""
    axes.imshow(lit(image, attention / attention.max()), interpolation="nearest")
    axes.set_axis_off()


def lit(image: np.ndarray, light: np.ndarray) -> np.ndarray:
    """An image (H, W, 3) uint8, dark where light (h, w) is 0 and as it is where it is 1."""
    height, width = image.shape[:2]
    small = Image.fromarray(light.astype(np.float32))
    whole = np.asarray(small.resize((width, height), Image.Resampling.BILINEAR))
    return (image * (_DARK + (1 - _DARK) * whole.clip(0, 1))[..., None]).astype(np.uint8)


def place_in_words(attention: np.ndarray) -> str:
    """Where (h, w) weights are largest: "top left", "middle centre" and so on."""
    row, column = np.unravel_index(int(attention.argmax()), attention.shape)
    down = ("top", "middle", "bottom")[min(2, 3 * int(row) // attention.shape[0])]
    across = ("left", "centre", "right")[min(2, 3 * int(column) // attention.shape[1])]
    return f"{down} {across}"


def _kind(node: BeamNode) -> tuple[str, float]:
    if node.kept == -1:
        return "#b0b0b0", 1.0
    return BLUE, 3.0 if node.kept == 0 else 1.4
