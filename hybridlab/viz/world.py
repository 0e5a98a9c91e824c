"""Pictures of the small world itself: a sheet of scenes, and which labels appear together.

matplotlib's object interface, not pyplot: nothing global is changed, and no window opens.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from hybridlab.data.sample import Sample
from hybridlab.data.world import CONTEXT_NAMES, LABELS_PER_CONTEXT

ACROSS = 4  # scenes in a row
INK = "#222222"


def scene_sheet(
    samples: Sequence[Sample], names: Sequence[str], title: str | None = None
) -> Figure:
    """Scenes side by side, each with its labels under it.

    Args:
        samples: scenes of one size.
        names: label names in the order of the columns of `targets`.
        title: what to see; None: how many scenes there are.

    Raises:
        ValueError: no scenes.
    """
    if not samples:
        raise ValueError("there is no scene to draw; pass one or more samples")
    across = min(ACROSS, len(samples))
    down = -(-len(samples) // across)
    figure = Figure(figsize=(2.6 * across, 0.5 + 3.15 * down), facecolor="white")
    figure.suptitle(
        title or f"{len(samples)} scenes of the small world, and what is in them",
        fontsize=12, color=INK, y=1 - 0.15 / (0.5 + 3.15 * down), va="top",
    )
    grid = figure.subplots(down, across, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, sample in zip(grid.flat, samples, strict=False):
        axes.imshow(sample.image, interpolation="nearest")
        present = [names[int(column)] for column in np.flatnonzero(sample.targets > 0)]
        axes.text(
            0.5, -0.03, textwrap.fill(", ".join(present), 34), transform=axes.transAxes,
            ha="center", va="top", fontsize=8.5, color=INK,
        )
    figure.subplots_adjust(
        left=0.01, right=0.99, bottom=0.5 / (0.5 + 3.15 * down),
        top=1 - 0.5 / (0.5 + 3.15 * down), wspace=0.04, hspace=0.28,
    )
    return figure


def conditional_cooccurrence(targets: np.ndarray) -> np.ndarray:
    """How often label j is there when label i is: (L, L), rows i; NaN on the diagonal.

    Args:
        targets: (N, L); only entries above 0 count as present.
    """
    present = (np.asarray(targets) > 0).astype(np.float64)
    count = present.sum(axis=0)
    # a label that never appears has no row
    share = (present.T @ present) / np.where(count > 0, count, np.nan)[:, None]
    np.fill_diagonal(share, np.nan)
    return share


def cooccurrence_figure(targets: np.ndarray, title: str | None = None) -> Figure:
    """The co-occurrence matrix of the world, its labels grouped by context.

    Args:
        targets: (N, L) with the world's L labels; see `data.scenes.label_matrix`.
        title: what to see.

    Raises:
        ValueError: targets of another vocabulary.
    """
    contexts = len(CONTEXT_NAMES)
    if np.ndim(targets) != 2 or np.shape(targets)[1] != contexts * LABELS_PER_CONTEXT:
        raise ValueError(
            f"targets has shape {np.shape(targets)}, expected (N, {contexts * LABELS_PER_CONTEXT}):"
            " the labels of the small world"
        )
    share = 100 * conditional_cooccurrence(targets)
    figure = Figure(figsize=(7.2, 6.2), facecolor="white", layout="constrained")
    axes = figure.subplots()
    # viridis: one direction of lightness, so it also reads in grey and for colour-blind readers
    picture = axes.imshow(share, cmap="viridis", vmin=0, interpolation="nearest")
    middles = (np.arange(contexts) + 0.5) * LABELS_PER_CONTEXT - 0.5
    axes.set_xticks(middles, CONTEXT_NAMES, rotation=45, ha="right", fontsize=9)
    axes.set_yticks(middles, CONTEXT_NAMES, fontsize=9)
    axes.tick_params(length=0)
    for edge in np.arange(1, contexts) * LABELS_PER_CONTEXT - 0.5:
        axes.axhline(edge, color="white", linewidth=0.4)
        axes.axvline(edge, color="white", linewidth=0.4)
    axes.set_xlabel("... how often is this label there too?")
    axes.set_ylabel("when this label is in a scene ...")
    axes.set_title(
        title or "Labels of one context come together, and partners most of all", fontsize=12
    )
    figure.colorbar(picture, ax=axes, label="share of scenes (%)", shrink=0.8)
    return figure
