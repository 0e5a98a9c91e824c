"""Does attention stand where the thing is? Its share inside the label's box, against chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

Box = tuple[float, float, float, float]


class Pointing(NamedTuple):
    """Of one step.

    Attributes:
        inside: share of the attention that lies in the box, in [0, 1].
        area: the box's share of the picture: what attention that is spread evenly would have.
        hit: the place that is looked at most lies in the box (its middle does).
    """

    inside: float
    area: float
    hit: bool


def pointing(
    attention: np.ndarray, boxes: Sequence[Box], size: tuple[int, int]
) -> Pointing:
    """How much of a map of attention lies in a label's boxes (the pointing game: Zhang et al. 2018,
    arXiv 1608.00507, asks for the hit alone).

    Places are rectangles of the picture, and count by the share of theirs that boxes cover.

    Args:
        attention: (h, w), 0 or more, with a sum above 0.
        boxes: (left, top, right, bottom) in pixels, one for each object of the label.
        size: (H, W) of the picture, in pixels.

    Raises:
        ValueError: no box, one without area or outside the picture, or attention that is no such
            map.
    """
    height, width = size
    attention = np.asarray(attention, np.float64)
    if attention.ndim != 2 or not attention.sum() > 0 or attention.min() < 0:
        raise ValueError(
            f"attention has shape {attention.shape} and sum {attention.sum():.3g}; expected (h, w) "
            "of weights of 0 or more, not all 0"
        )
    if not boxes or any(not (0 <= left < right <= width and 0 <= top < bottom <= height)
                        for left, top, right, bottom in boxes):
        raise ValueError(f"boxes are {list(boxes)} in a picture of {width} x {height} pixels")
    # the union of boxes, exact: on the grid of all their edges and those of the places
    rows = _cuts(height, attention.shape[0], [edge for box in boxes for edge in (box[1], box[3])])
    columns = _cuts(width, attention.shape[1], [edge for box in boxes for edge in (box[0], box[2])])
    y, x = (rows[:-1] + rows[1:]) / 2, (columns[:-1] + columns[1:]) / 2
    covered = np.zeros((len(y), len(x)), bool)
    for left, top, right, bottom in boxes:
        covered |= ((top < y) & (y < bottom))[:, None] & ((left < x) & (x < right))
    parts = covered * np.diff(rows)[:, None] * np.diff(columns)
    place_y = (y * attention.shape[0] / height).astype(int)
    place_x = (x * attention.shape[1] / width).astype(int)
    shares = np.zeros(attention.shape)
    np.add.at(shares, (place_y[:, None], place_x[None]), parts)
    shares /= height * width / attention.size
    most = np.unravel_index(int(attention.argmax()), attention.shape)
    middle_y = (most[0] + 0.5) * height / attention.shape[0]
    middle_x = (most[1] + 0.5) * width / attention.shape[1]
    return Pointing(
        float((attention * shares).sum() / attention.sum()),
        float(parts.sum() / (height * width)),
        any(left <= middle_x < right and top <= middle_y < bottom
            for left, top, right, bottom in boxes),
    )


def _cuts(length: int, places: int, edges: Sequence[float]) -> np.ndarray:
    return np.unique([*np.linspace(0, length, places + 1), *edges])
