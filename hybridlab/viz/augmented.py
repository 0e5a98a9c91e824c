"""Augmentation drawn: the same scene changed in several ways, and which labels it still shows."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from hybridlab.data.sample import Sample
from hybridlab.training.augmentation import Augmentation, object_boxes

INK, KEPT, LOST = "#222222", "#0067a5", "#d55e00"


def augmented_figure(
    sample: Sample, names: Sequence[str], changes: Sequence[tuple[str, Augmentation]],
    draws: int = 4, seed: int = 0,
) -> Figure:
    """A scene with the boxes of its objects; in a row for each augmentation, what it makes of it.

    Args:
        names: of the labels, in the order of the columns of `targets`.
        changes: (name, augmentation) pairs.
        draws: pictures in a row.

    Raises:
        ValueError: no augmentation, or draws below 1.
    """
    if not changes or draws < 1:
        raise ValueError(f"{len(changes)} augmentations and draws {draws}; give 1 or more of both")
    figure = Figure(figsize=(1.9 * (draws + 1), 2.35 * len(changes)), facecolor="white",
                    layout="constrained")
    grid = figure.subplots(len(changes), draws + 1, squeeze=False)
    image = torch.from_numpy(sample.image).permute(2, 0, 1)[None]
    targets, boxes = torch.from_numpy(sample.targets)[None], object_boxes([sample])
    there = {names[each.label] for each in sample.objects}
    for row, (name, change) in enumerate(changes):
        first = grid[row, 0]
        first.imshow(sample.image, interpolation="nearest")
        for each in sample.objects:
            left, top, right, bottom = each.box
            first.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False,
                                      edgecolor=KEPT, linewidth=1.2))
        first.set_ylabel(name, fontsize=10, color=INK)
        _under(first, sorted(there), [])
        for at in range(draws):
            changed, kept = change(image, targets, [(seed, row, at)], boxes)
            axes = grid[row, at + 1]
            axes.imshow(changed[0].permute(1, 2, 0).numpy(), interpolation="nearest")
            still = {names[int(column)] for column in np.flatnonzero(kept[0].numpy() > 0)}
            _under(axes, sorted(still), sorted(there - still))
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
    return figure


def _under(axes, kept: Sequence[str], lost: Sequence[str]) -> None:  # type: ignore[no-untyped-def]
    axes.set_xlabel(textwrap.fill(", ".join(kept) or "nothing", 26), fontsize=7.5, color=INK)
    if lost:
        axes.set_title(textwrap.fill("lost: " + ", ".join(lost), 26), fontsize=7.5, color=LOST)


def augmented_words(
    sample: Sample, names: Sequence[str], changes: Sequence[tuple[str, Augmentation]],
    draws: int = 4, seed: int = 0,
) -> str:
    """`augmented_figure` for a reader who cannot see it."""
    image = torch.from_numpy(sample.image).permute(2, 0, 1)[None]
    targets, boxes = torch.from_numpy(sample.targets)[None], object_boxes([sample])
    told = []
    for row, (name, change) in enumerate(changes):
        lost = sum(
            int((targets > 0).sum() - (change(image, targets, [(seed, row, at)], boxes)[1] > 0)
                .sum()) for at in range(draws)
        )
        told.append(f"{name}: {lost} labels lost in {draws} pictures")
    shown = ", ".join(sorted({names[each.label] for each in sample.objects}))
    return f"A scene with {shown}, with boxes, and beside it as augmented. " + "; ".join(told) + "."
