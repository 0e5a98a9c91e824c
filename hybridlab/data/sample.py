"""What one sample and one batch are, and how label names map to columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:  # torch takes seconds to import; only `collate` needs it
    import torch


class Vocabulary:
    """The label names of a data set, in the order of the columns of `targets`.

    Raises:
        ValueError: no label, an empty name, or a name given twice.
    """

    def __init__(self, names: Iterable[str]):
        self.names: tuple[str, ...] = tuple(str(name).strip() for name in names)
        if not self.names:
            raise ValueError("a vocabulary needs at least one label; none was given")
        if "" in self.names:
            at = self.names.index("")
            raise ValueError(f"label {at} has an empty name; give every column a name")
        seen: dict[str, int] = {}
        for column, name in enumerate(self.names):
            if name in seen:
                raise ValueError(
                    f"label {name!r} is given twice, as columns {seen[name]} and {column}; "
                    "names must be unique"
                )
            seen[name] = column
        self._column = seen

    def column(self, name: str) -> int:
        """The column of a label; a `KeyError` names the closest known labels."""
        try:
            return self._column[name]
        except KeyError:
            import difflib

            close = difflib.get_close_matches(name, self.names, n=3) or self.names[:3]
            raise KeyError(
                f"unknown label {name!r}; the {len(self)} known ones include {', '.join(close)}"
            ) from None

    def encode(self, labels: Iterable[str]) -> np.ndarray:
        """Label names -> multi-hot targets (L,), float32."""
        targets = np.zeros(len(self), np.float32)
        for name in labels:
            targets[self.column(name)] = 1.0
        return targets

    def decode(self, targets: Sequence[float] | np.ndarray) -> list[str]:
        """Multi-hot targets (L,) -> names of the columns that are positive."""
        values = np.asarray(targets)
        if values.shape != (len(self),):
            raise ValueError(
                f"targets has shape {values.shape} but the vocabulary has {len(self)} labels"
            )
        return [self.names[column] for column in np.flatnonzero(values > 0)]

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._column

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.names == other.names

    def __hash__(self) -> int:
        return hash(self.names)

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} labels: {', '.join(self.names[:3])}, ...)"


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One drawn object.

    Attributes:
        label: column of its label.
        box: (left, top, right, bottom) in pixels, clipped to the image.
        depth: 0 is farthest; a higher number is drawn over a lower one.
        visible: share of the object's own pixels that nothing covers, in [0, 1].
    """

    label: int
    box: tuple[float, float, float, float]
    depth: int
    visible: float

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y) of the middle of the box, in pixels."""
        left, top, right, bottom = self.box
        return (left + right) / 2, (top + bottom) / 2

    @property
    def size(self) -> tuple[float, float]:
        """(width, height) of the box, in pixels."""
        left, top, right, bottom = self.box
        return right - left, bottom - top


@dataclass(frozen=True, slots=True)
class Fact:
    """One true statement about a scene: object `subject` stands in `relation` to `other`.

    `subject` and `other` index `Sample.objects`; `relation` is one of "left of", "above",
    "on top of", "in front of".
    """

    subject: int
    relation: str
    other: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One image with everything that is known about it.

    Attributes:
        image: (H, W, 3) uint8, RGB.
        targets: (L,) float32, 1 present, 0 absent, -1 not annotated.
        objects: what was drawn, farthest first; empty where boxes are not known.
        context: name of the scene's context ("" where there is none).
        facts: who is left of, above, on top of, in front of whom.
        index: position in its data set.
    """

    image: np.ndarray
    targets: np.ndarray
    objects: tuple[SceneObject, ...] = ()
    context: str = ""
    facts: tuple[Fact, ...] = ()
    index: int = -1


class SampleSource(Protocol):
    """What training asks of a data set: of scenes drawn by seed, and of pictures in files."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The names of the L columns."""

    @property
    def image_size(self) -> int | None:
        """Side in pixels of the square images; None where they differ in size."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...

    def __iter__(self) -> Iterator[Sample]: ...

    def fingerprint(self) -> str:
        """Names the data: a cache of features is keyed by it."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Several samples of one size, ready for an encoder's preprocessing.

    Shape:
        images (B, 3, H, W) uint8, targets (B, L) float32, index (B,) long
    """

    images: torch.Tensor
    targets: torch.Tensor
    index: torch.Tensor


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples into a `Batch`; the images must have one size.

    Raises:
        ValueError: no samples, or images of different sizes (both are named).
    """
    import torch

    if not samples:
        raise ValueError("cannot make a batch of no samples; skip empty groups before collate")
    first = samples[0].image.shape
    for sample in samples:
        if sample.image.shape != first:
            raise ValueError(
                f"images of one batch must have one size: got {first} and {sample.image.shape}; "
                "resize them first"
            )
    images = torch.from_numpy(np.stack([sample.image for sample in samples]))
    return Batch(
        images=images.permute(0, 3, 1, 2),
        targets=torch.from_numpy(np.stack([sample.targets for sample in samples])),
        index=torch.tensor([sample.index for sample in samples]),
    )
