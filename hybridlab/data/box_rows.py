"""Boxes of annotation files, checked as they are read."""

from __future__ import annotations

from array import array

import numpy as np

from hybridlab.data.photos import Boxes

_FAR = 1e7  # pixels: no picture reaches so far, and float32 still counts them


def four_numbers(box: object) -> tuple[float, float, float, float]:
    """The numbers of a box.

    Raises:
        ValueError: not four finite numbers.
    """
    if isinstance(box, list | tuple) and len(box) == 4 and all(
        isinstance(each, int | float) and not isinstance(each, bool) and abs(each) < _FAR
        for each in box  # a NaN is not below
    ):
        return box[0], box[1], box[2], box[3]
    text = repr(box)
    raise ValueError(f"the box is {text[:60]}; expected four finite numbers of pixels")


class BoxRows:
    """Rows of a table of boxes, in the order in which they are met."""

    def __init__(self) -> None:
        self.pictures, self.labels, self.corners = array("q"), array("i"), array("f")

    def add(self, picture: int, label: int, corners: object) -> bool:
        """One object.

        Args:
            picture, label: numbers that the reader chooses.
            corners: left, top, right, bottom in pixels.

        Returns:
            False, and nothing is added, for a box without an area: some published ones have none.

        Raises:
            ValueError: not four finite numbers.
        """
        left, top, right, bottom = numbers = four_numbers(corners)
        if not (left < right and top < bottom):
            return False
        self.pictures.append(picture)
        self.labels.append(label)
        self.corners.extend(numbers)
        return True

    def boxes(self, pictures: np.ndarray, columns: np.ndarray, sizes: np.ndarray) -> Boxes:
        """The table.

        Args:
            pictures: number -> picture 0 to N - 1, or -1 where it is not in the data set.
            columns: number -> column.
            sizes: (N, 2) as `Boxes.sizes`.
        """
        of = pictures[np.asarray(self.pictures, np.int64)]
        kept = of >= 0
        return Boxes.of(
            of[kept], columns[np.asarray(self.labels, np.int64)][kept],
            np.asarray(self.corners, np.float32).reshape(-1, 4)[kept], sizes,
        )
