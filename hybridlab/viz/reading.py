"""Attention of a fusion drawn both ways: which patches a step read, and which step a patch read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from hybridlab.viz.decoding import INK, MOST_STEPS, lit, place_in_words


def reading_figure(
    image: np.ndarray, steps: Sequence[str], reads: np.ndarray, read_by: np.ndarray,
    title: str = "Each step reads patches, and each patch reads steps",
) -> Figure:
    """Attention both ways between the steps of a decoder and the patches of a picture.

    Above, for each step the picture, lit where it read most. Below, for each step the picture
    again, lit where patches read that step most; under it, the share of their weight that all
    patches together give to the step, for each picture is lit by its own largest weight.

    Args:
        image: (H, W, 3) uint8.
        steps: what each step wrote.
        reads: (T, h, w), weights of each step over patches.
        read_by: (T, h, w), weights of each patch over steps: where a patch reads step t.

    Raises:
        ValueError: shapes that do not fit, or no step.
    """
    shape = np.shape(reads)
    if not steps or len(shape) != 3 or len(shape) != np.ndim(read_by) or (
        np.shape(read_by) != shape or shape[0] != len(steps)
    ):
        raise ValueError(
            f"reads is {shape} and read_by {np.shape(read_by)} for {len(steps)} steps; give two "
            "of (T, h, w)"
        )
    shown = min(len(steps), MOST_STEPS)
    figure = Figure(figsize=(max(5.0, 1.9 * shown), 4.4), facecolor="white", layout="constrained")
    grid = figure.subplots(2, shown, squeeze=False)
    for at in range(shown):
        for row, weights in ((0, reads[at]), (1, read_by[at])):
            axes, light = grid[row, at], np.asarray(weights) / (float(np.max(weights)) or 1.0)
            axes.imshow(lit(image, light.astype(np.float32)), interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
        grid[0, at].set_title(steps[at], fontsize=10, color=INK, parse_math=False)
        grid[1, at].set_xlabel(f"{100 * float(np.mean(read_by[at])):.0f} % of all", fontsize=9)
    grid[0, 0].set_ylabel("the step reads here", fontsize=9)
    grid[1, 0].set_ylabel("read by these patches", fontsize=9)
    figure.suptitle(title, fontsize=12, color=INK)
    return figure


def reading_words(steps: Sequence[str], reads: np.ndarray, read_by: np.ndarray) -> str:
    """`reading_figure` for a reader who cannot see it."""
    told = []
    for at, step in enumerate(steps[:MOST_STEPS]):
        share = 100 * float(np.max(reads[at])) / max(float(np.sum(reads[at])), 1e-12)
        told.append(
            f"{step}: reads the {place_in_words(reads[at])} most ({share:.0f} % of its weight on "
            f"one patch), and is read most by the {place_in_words(read_by[at])} "
            f"(with {100 * float(np.max(read_by[at])):.0f} % of that patch's weight)"
        )
    return "Attention both ways. " + "; ".join(told) + "."
