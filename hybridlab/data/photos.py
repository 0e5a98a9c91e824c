"""Pictures in files with their labels: index -> sample, as `SceneDataset` gives them.

The readers of real formats (`folder`, `voc`, `coco`, `nus_wide`) all end here.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hybridlab.data.images import load_image
from hybridlab.data.sample import Sample, SceneObject, Vocabulary

Columns = tuple[int, ...]


@dataclass(frozen=True)
class Boxes:
    """The objects of N pictures in one table of M rows, those of a picture next to each other.

    Attributes:
        starts: (N + 1,), where the rows of each picture begin, and M.
        labels: (M,), columns of their labels.
        corners: (M, 4), left, top, right, bottom in pixels of the file, from 0.
        sizes: (N, 2), width and height that the annotation gives the picture; 0 where it does not.
    """

    starts: np.ndarray
    labels: np.ndarray
    corners: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(
        cls, pictures: np.ndarray, labels: np.ndarray, corners: np.ndarray, sizes: np.ndarray
    ) -> Boxes:
        """From rows in any order.

        Args:
            pictures: (M,), the picture of each row, 0 to N - 1.
        """
        order = np.argsort(pictures, kind="stable")
        counts = np.bincount(pictures, minlength=len(sizes))
        return cls(np.append(0, np.cumsum(counts)), labels[order], corners[order], sizes)

    def rows(self, pictures: Sequence[int]) -> Boxes:
        """Of some pictures."""
        spans = [np.arange(self.starts[at], self.starts[at + 1]) for at in pictures]
        rows = np.concatenate(spans) if spans else np.zeros(0, np.int64)
        counts = [len(span) for span in spans]
        return Boxes(np.append(0, np.cumsum(counts, dtype=np.int64)), self.labels[rows],
                     self.corners[rows], self.sizes[list(pictures)])


@dataclass(frozen=True)
class Annotations:
    """What an annotation file says of N pictures.

    Attributes:
        names: of the files, below the folder of the pictures, with slashes.
        present: columns of the labels that each picture has.
        unknown: columns that are not annotated; all others are absent.
        boxes: where they are known.
    """

    names: tuple[str, ...]
    present: tuple[Columns, ...]
    unknown: tuple[Columns, ...]
    boxes: Boxes | None = None

    def rows(self, pictures: Sequence[int]) -> Annotations:
        """Of some pictures."""
        return Annotations(
            tuple(self.names[at] for at in pictures), tuple(self.present[at] for at in pictures),
            tuple(self.unknown[at] for at in pictures),
            None if self.boxes is None else self.boxes.rows(pictures),
        )


class PhotoDataset:
    """Pictures of a folder, read when they are asked for.

    Args:
        root: the folder.
        annotations: names and labels.
        vocabulary: the names of the columns.
        split: for messages and reports.
        image_size: side in pixels of the square to which each picture is squashed, so that pictures
            can be stacked; None leaves each as it is. The aspect changes, no object is cut off.
        max_pixels: largest width x height that is decoded.

    A sample's `objects` have no depth (0), and how much of each is hidden is not known (NaN).

    Raises:
        ValueError: a column that the vocabulary does not have, or an image size below 1.
        ImageError: on access, if the file gives no picture: it is named, and no other takes its
            place. `readable` leaves such files out, and says which.
        IndexError: an index outside 0..N-1 (negative ones count from the end).
    """

    def __init__(
        self, root: str | os.PathLike[str], annotations: Annotations, vocabulary: Vocabulary,
        split: str = "", image_size: int | None = None, max_pixels: int = 50_000_000,
    ):
        if image_size is not None and image_size < 1:
            raise ValueError(f"image_size is {image_size}; give a side of 1 pixel or more")
        for rows in (annotations.present, annotations.unknown):
            if rows and not all(0 <= at < len(vocabulary) for row in set(rows) for at in row):
                raise ValueError(
                    f"a picture has a label outside of the {len(vocabulary)} columns; give the "
                    "vocabulary that the annotations were read with"
                )
        self.root, self.annotations, self.vocabulary = Path(root), annotations, vocabulary
        self.split, self.image_size, self.max_pixels = split, image_size, max_pixels

    def __len__(self) -> int:
        return len(self.annotations.names)

    def __getitem__(self, index: int) -> Sample:
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(f"picture {index} was asked for, but the data set has {len(self)}")
        image = load_image(self.path(index), max_pixels=self.max_pixels)
        width, height = image.size
        if self.image_size is not None:
            # as an encoder's preprocessing would squash it: bicubic, antialiased
            image = image.resize((self.image_size, self.image_size), resample=_BICUBIC)
        scale = (image.width / width, image.height / height)
        return Sample(np.array(image), self.targets(index),
                      self._objects(index, (width, height), scale), index=index)

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def path(self, index: int) -> Path:
        """The file of a picture."""
        return self.root / self.annotations.names[index]

    def targets(self, index: int) -> np.ndarray:
        """(L,) float32: 1 present, 0 absent, -1 not annotated; the file is not read."""
        targets = np.zeros(len(self.vocabulary), np.float32)
        targets[list(self.annotations.unknown[index])] = -1.0
        targets[list(self.annotations.present[index])] = 1.0
        return targets

    def label_matrix(self) -> np.ndarray:
        """(N, L) float32, of all pictures, without reading one."""
        targets = np.zeros((len(self), len(self.vocabulary)), np.float32)
        for row in range(len(self)):
            targets[row, list(self.annotations.unknown[row])] = -1.0
            targets[row, list(self.annotations.present[row])] = 1.0
        return targets

    def subset(self, rows: Sequence[int] | np.ndarray, split: str | None = None) -> PhotoDataset:
        """Some of the pictures, in the order given."""
        chosen = [range(len(self))[int(row)] for row in rows]
        return self._with(self.annotations.rows(chosen), self.split if split is None else split)

    def resized(self, image_size: int | None) -> PhotoDataset:
        """The same pictures at another size."""
        return PhotoDataset(self.root, self.annotations, self.vocabulary, self.split, image_size,
                            self.max_pixels)

    def without_boxes(self) -> PhotoDataset:
        """The same pictures with labels alone."""
        return self._with(replace(self.annotations, boxes=None), self.split)

    def fingerprint(self) -> str:
        """Names the data: names, labels and boxes, and of each file its size and when it was last
        changed. A file's content is not read: that would cost as much as encoding it."""
        digest = hashlib.sha256()
        told = self.annotations
        for index, name in enumerate(told.names):
            state = os.stat(self.path(index))
            line = (name, state.st_size, state.st_mtime_ns, told.present[index],
                    told.unknown[index])
            digest.update(repr(line).encode("utf-8", "surrogateescape") + b"\n")
        if told.boxes is not None:
            for array in (told.boxes.starts, told.boxes.labels, told.boxes.corners):
                digest.update(array.tobytes())
        digest.update(repr(self.vocabulary.names).encode("utf-8", "surrogateescape"))
        return f"photos-v1:{len(self)}:{self.image_size}:{digest.hexdigest()[:32]}"

    def _with(self, annotations: Annotations, split: str) -> PhotoDataset:
        return PhotoDataset(self.root, annotations, self.vocabulary, split, self.image_size,
                            self.max_pixels)

    def _objects(
        self, index: int, size: tuple[int, int], scale: tuple[float, float]
    ) -> tuple[SceneObject, ...]:
        boxes = self.annotations.boxes
        if boxes is None:
            return ()
        span = slice(boxes.starts[index], boxes.starts[index + 1])
        # some published boxes reach over the edge by a pixel
        corners = boxes.corners[span].clip(0, (*size, *size)) * (*scale, *scale)
        return tuple(
            SceneObject(int(label), (left, top, right, bottom), 0, float("nan"))
            for label, (left, top, right, bottom)
            in zip(boxes.labels[span], corners.tolist(), strict=True)
        )


_BICUBIC = 3  # PIL.Image.Resampling.BICUBIC
