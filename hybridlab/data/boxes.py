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
