"""Where labels stand and how large they are, as arrays beside `targets`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from hybridlab.data.sample import Sample


class LabelBoxes(NamedTuple):
    """The largest box of each label of each image; NaN where an image has none of the label.

    Attributes:
        areas: (N, L), in square pixels.
        centres: (N, L, 2), x and y of the box's middle, in pixels.
        visible: (N, L), share of the object's pixels that nothing covers.
        height: H of the images, in pixels.
    """

    areas: np.ndarray
    centres: np.ndarray
    visible: np.ndarray
    height: int


def label_boxes(samples: Iterable[Sample], n_labels: int) -> LabelBoxes:
    """The boxes of a split, whose samples are drawn for it.

    Raises:
        ValueError: a sample has labels and no objects: its boxes are not known; or images differ
            in height.
    """
    areas, centres, visible, heights = [], [], [], set()
    for sample in samples:
        if not sample.objects and (sample.targets > 0).any():
            raise ValueError(
                f"sample {sample.index} has labels but no boxes; orders by size or place need a "
                "data set with boxes: choose another order"
            )
        heights.add(sample.image.shape[0])
        area = np.full(n_labels, np.nan)
        centre, seen = np.full((n_labels, 2), np.nan), np.full(n_labels, np.nan)
        for each in sample.objects:
            width, height = each.size
            if not width * height <= area[each.label]:  # NaN, or smaller
                area[each.label], centre[each.label] = width * height, each.centre
                seen[each.label] = each.visible
        areas.append(area)
        centres.append(centre)
        visible.append(seen)
    if len(heights) > 1:
        raise ValueError(f"images are {sorted(heights)} pixels high; resize them to one size")
    empty = np.zeros((0, n_labels))
    return LabelBoxes(
        np.array(areas) if areas else empty,
        np.array(centres) if areas else np.zeros((0, n_labels, 2)),
        np.array(visible) if areas else empty,
        heights.pop() if heights else 1,
    )


def kinds_of(boxes: LabelBoxes, there: np.ndarray) -> dict[str, np.ndarray]:
    """Which of the labels that are there (N, L) are of which kind, by their largest box.

    Returns:
        "small" and "large", the third with the smallest and that with the largest boxes; "hidden",
        less than 80 % of the object is seen, and "clear", 95 % or more; each (N, L) bool.

    Raises:
        ValueError: there has another shape than the boxes.
    """
    if there.shape != boxes.areas.shape:
        raise ValueError(f"there is {there.shape} for boxes of {boxes.areas.shape}; give (N, L)")
    areas = boxes.areas[there]
    low, high = np.quantile(areas, [1 / 3, 2 / 3]) if len(areas) else (0.0, 0.0)
    return {
        "small": there & (boxes.areas <= low), "large": there & (boxes.areas >= high),
        "hidden": there & (boxes.visible < 0.8), "clear": there & (boxes.visible >= 0.95),
    }
