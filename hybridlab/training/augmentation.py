"""CLIP-style augmentation: one picture cropped, coloured and blurred, before any branch sees it.

Both branches of the hybrid get the same augmented picture, each through its own preprocessing: what
the CNN sees at a place is what CLIP sees there. Boxes are cut by the same crop, and the label of an
object that is left outside is dropped (trap 16): the picture no longer shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from hybridlab.data.sample import Sample


class ObjectBoxes(NamedTuple):
    """All objects of each image, padded to the most that one has.

    Attributes:
        labels: (N, M) long, column of the label; -1 where there is no object.
        boxes: (N, M, 4), left, top, right, bottom in pixels.
    """

    labels: Tensor
    boxes: Tensor


def object_boxes(samples: Iterable[Sample]) -> ObjectBoxes:
    """The objects of a split, whose samples are drawn for it.

    Raises:
        ValueError: a sample has labels and no objects: where they stand is not known.
    """
    rows = []
    for sample in samples:
        if not sample.objects and (sample.targets > 0).any():
            raise ValueError(
                f"sample {sample.index} has labels but no boxes; leave boxes out, and no label is "
                "dropped by a crop"
            )
        rows.append([(each.label, each.box) for each in sample.objects])
    most = max((len(row) for row in rows), default=0)
    labels, boxes = torch.full((len(rows), most), -1), torch.zeros(len(rows), most, 4)
    for at, row in enumerate(rows):
        for place, (label, box) in enumerate(row):
            labels[at, place], boxes[at, place] = label, torch.tensor(box)
    return ObjectBoxes(labels, boxes)


@dataclass(frozen=True)
class Augmentation:
    """How a picture is changed.

    Attributes:
        scale: least and largest share of the picture's area that a crop keeps; (1, 1) crops not.
        ratio: least and largest width over height of the crop, as shares of the picture's.
        brightness, contrast, saturation, hue: of the colour jitter; 0 leaves each alone.
        blur: probability of a Gaussian blur.
        sigma: least and largest width of the blur, in pixels.
        inside: an object of which less than this share of its box is in the crop is left outside.

    Raises:
        ValueError: a share or a range that makes no sense.
    """

    scale: tuple[float, float] = (0.5, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    brightness: float = 0.3
    contrast: float = 0.3
    saturation: float = 0.3
    hue: float = 0.05
    blur: float = 0.2
    sigma: tuple[float, float] = (0.1, 1.5)
    inside: float = 0.3

    def __post_init__(self) -> None:
        for name, top in (("scale", 1.0), ("ratio", np.inf), ("sigma", np.inf)):
            low, high = getattr(self, name)
            if not 0 < low <= high <= top:
                raise ValueError(
                    f"{name} is {getattr(self, name)}; give a range above 0"
                    + ("" if top == np.inf else ", up to 1")
                )
        for name, top in (("brightness", np.inf), ("contrast", np.inf), ("saturation", np.inf),
                          ("hue", 0.5), ("blur", 1.0), ("inside", 1.0)):
            if not 0 <= getattr(self, name) <= top or not np.isfinite(getattr(self, name)):
                raise ValueError(f"{name} is {getattr(self, name)}; give a number from 0"
                                 + ("" if top == np.inf else f" to {top}"))

    def __call__(
        self, images: Tensor, targets: Tensor, seeds: Sequence[Sequence[int]],
        boxes: ObjectBoxes | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Change pictures, and what they show.

        Args:
            images: (B, 3, H, W) uint8.
            targets: (B, L) in {0, 1} or -1.
            seeds: numbers for each image, such as (seed, epoch, row): the same give the same.
            boxes: of these images. Without them targets stay as they are, and some will name what
                the crop has lost: crop less.

        Returns:
            images and targets of the same shapes.

        Raises:
            TypeError: images that are not uint8.
            ValueError: counts that disagree.
        """
        if images.dtype != torch.uint8:
            raise TypeError(f"images are of {images.dtype}; augment uint8 pictures, and normalise "
                            "them afterwards, each branch its own way")
        counts = {len(images), len(targets), len(seeds)} | (set() if boxes is None else
                                                            {len(boxes.labels)})
        if len(counts) > 1:
            raise ValueError(f"images, targets, seeds and boxes are of {sorted(counts)} images")
        if not len(images):
            return images, targets
        changed, kept = [], targets.clone()
        for row, (image, seed) in enumerate(zip(images, seeds, strict=True)):
            with noise_of(*seed):
                frame = self._frame(image)
                changed.append(self._coloured(self._cropped(image, frame)))
            if boxes is not None:
                kept[row] = still_shown(targets[row], boxes.labels[row], boxes.boxes[row], frame,
                                        self.inside)
        return torch.stack(changed), kept

    def to_dict(self) -> dict[str, object]:
        """Plain data, to be written and compared."""
        return asdict(self)

    def _frame(self, image: Tensor) -> tuple[int, int, int, int]:
        """Top, left, height and width of a crop."""
        height, width = image.shape[-2:]
        if self.scale == (1.0, 1.0):
            return 0, 0, height, width
        whole = width / height
        ratio = (self.ratio[0] * whole, self.ratio[1] * whole)
        crop = _transform("RandomResizedCrop", (height, width), self.scale, ratio)
        drawn = crop.make_params([image])
        return drawn["top"], drawn["left"], drawn["height"], drawn["width"]

    @staticmethod
    def _cropped(image: Tensor, frame: tuple[int, int, int, int]) -> Tensor:
        from torchvision.transforms.v2 import functional

        height, width = image.shape[-2:]
        if frame == (0, 0, height, width):
            return image
        return functional.resized_crop(image, *frame, size=[height, width], antialias=True)

    def _coloured(self, image: Tensor) -> Tensor:
        jitter = _transform(
            "ColorJitter", self.brightness, self.contrast, self.saturation, self.hue)
        image = jitter(image)
        if self.blur and float(torch.rand(())) < self.blur:
            image = _transform("GaussianBlur", _odd(4 * self.sigma[1]), self.sigma)(image)
        return image


AUGMENTATIONS = {
    "clip": Augmentation(),
    "crop": Augmentation(brightness=0, contrast=0, saturation=0, hue=0, blur=0),
    "colour": Augmentation(scale=(1.0, 1.0)),
}


def augmentation(name: str) -> Augmentation:
    """An augmentation by its name.

    Raises:
        ValueError: an unknown name; the known ones are listed.
    """
    if name not in AUGMENTATIONS:
        raise ValueError(
            f"augment is {name!r}; choose one of {', '.join(AUGMENTATIONS)}, or '' for none"
        )
    return AUGMENTATIONS[name]


def still_shown(
    targets: Tensor, labels: Tensor, boxes: Tensor, frame: tuple[int, int, int, int], inside: float,
) -> Tensor:
    """Targets (L,) after a crop: 1 becomes 0 where no object of the label is inside enough.

    Args:
        labels, boxes: (M,) and (M, 4) of one image, as in `ObjectBoxes`. A label of which no box is
            known stays.
        frame: top, left, height and width of the crop, in pixels.
        inside: the share of a box that must be inside.
    """
    top, left, height, width = frame
    low = torch.tensor([left, top], dtype=boxes.dtype)
    high = torch.tensor([left + width, top + height], dtype=boxes.dtype)
    sides = (torch.minimum(boxes[:, 2:], high) - torch.maximum(boxes[:, :2], low)).clamp(min=0)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    enough = sides.prod(dim=1) >= inside * areas
    if inside == 0:
        enough = sides.prod(dim=1) > 0
    known = labels >= 0
    shown = torch.zeros(len(targets), dtype=torch.bool)
    shown[labels[known & enough]] = True
    placed = torch.zeros(len(targets), dtype=torch.bool)
    placed[labels[known]] = True
    return torch.where((targets > 0) & placed & ~shown, 0.0, targets)


@contextmanager
def noise_of(*seed: int) -> Iterator[None]:
    """For the length of a block the CPU's random numbers depend on these numbers alone; then they
    go on as if nothing had been drawn. Those of a GPU are left be."""
    before = torch.get_rng_state()
    drawn = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
    torch.default_generator.manual_seed(int(drawn >> 1))
    try:
        yield
    finally:
        torch.set_rng_state(before)


@lru_cache(maxsize=64)
def _transform(name: str, *arguments: Any) -> Any:
    """A transform of torchvision v2. It has no state but the arguments, and making one takes as
    long as a part of what it does to a small picture."""
    from torchvision.transforms import v2

    return getattr(v2, name)(*arguments)


def _odd(size: float) -> int:
    return 2 * int(size // 2) + 1
