"""From images of any size to the normalised square pixels that an encoder was trained on.

An encoder carries its own `Preprocessing` (trap 12): another mean or std raises no error and
costs points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

INTERPOLATIONS = ("bilinear", "bicubic")
RESIZE_MODES = ("squash", "pad", "crop")

Images = Tensor | np.ndarray | Sequence[Image.Image | np.ndarray | Tensor]


@dataclass(frozen=True)
class Preprocessing:
    """Resize to a square, scale to 0..1, subtract the mean, divide by the std.

    Attributes:
        image_size: S, side of the square in pixels.
        mean, std: of the three channels, for values in 0..1.
        interpolation: "bilinear" or "bicubic"; always antialiased.
        resize_mode: "squash" changes the aspect; "pad" keeps it and fills the rest with the mean
            (0 after normalising); "crop" keeps it and takes the middle. A crop loses objects at
            the edge, whose labels stay, so it is not the default.

    Raises:
        ValueError: a field that makes no sense; the message names it.
    """

    image_size: int = 224
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    interpolation: str = "bicubic"
    resize_mode: str = "squash"

    def __post_init__(self) -> None:
        size = self.image_size
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ValueError(f"image_size is {size!r}; give a whole number of pixels >= 1")
        for name in ("mean", "std"):
            values = tuple(float(value) for value in getattr(self, name))
            if len(values) != 3 or not np.isfinite(values).all():
                raise ValueError(f"{name} is {getattr(self, name)!r}; give three finite numbers")
            object.__setattr__(self, name, values)
        if min(self.std) <= 0:
            raise ValueError(f"std is {self.std}; every value must be above 0")
        for name, known in (("interpolation", INTERPOLATIONS), ("resize_mode", RESIZE_MODES)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}; choose one of {known}")

    def __call__(self, images: Images) -> Tensor:
        """Images -> pixels (B, 3, S, S), float32, on the images' device.

        Args:
            images: uint8 tensor (B, 3, H, W); or a list of RGB (or grey) PIL images, uint8 arrays
                (H, W, 3) or uint8 tensors (3, H, W), of any sizes. An empty batch gives an empty
                one. Images that are S x S already are only normalised.

        Raises:
            TypeError: a single image, values that are not uint8, or something that is no image.
            ValueError: another shape, a PIL mode that has no single meaning in RGB, or no pixels.
        """
        return self.normalise(self.squares(images))

    def squares(self, images: Images) -> Tensor:
        """The same without the last step: (B, 3, S, S), float32 in 0..255, on the images' device.

        What an exported model takes, for its graph normalises by itself. Padding has the mean
        colour, so it is 0 after normalising. Raises as `__call__`.
        """
        if isinstance(images, Tensor):
            _check(images, 4)
            return self._padded(*self._squares(images))
        if isinstance(images, Image.Image | str | bytes | Mapping):
            raise TypeError(
                f"got one {type(images).__name__}; give a list of images (`[image]`) or a tensor "
                "(B, 3, H, W)"
            )
        tensors = [_as_tensor(image) for image in images]
        if not tensors:
            return torch.zeros(0, 3, self.image_size, self.image_size)
        if len({tuple(tensor.shape) for tensor in tensors}) == 1:
            return self._padded(*self._squares(torch.stack(tensors)))
        return torch.cat([self._padded(*self._squares(one[None])) for one in tensors])

    def normalise(self, squares: Tensor) -> Tensor:
        """Values in 0..255 -> what the encoder reads; (B, 3, S, S) float32 both."""
        mean, std = (
            255 * torch.tensor(values, device=squares.device).view(3, 1, 1)
            for values in (self.mean, self.std)
        )
        return squares.sub(mean).div_(std)  # in place on what is new: a batch of photos is large

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON; `from_dict` reads it back."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """The inverse of `to_dict`. Every field must be there: a default could be another's mean.

        Raises:
            ValueError: a field is missing, unknown or makes no sense.
        """
        known = {field.name for field in fields(cls)}
        if set(values) != known:
            raise ValueError(
                f"preprocessing has the fields {sorted(values)}, expected {sorted(known)}; was it "
                "written by `Preprocessing.to_dict`?"
            )
        for name in ("mean", "std"):
            if not isinstance(values[name], list | tuple):
                raise ValueError(f"{name} is {values[name]!r}; give three numbers")
        return cls(**{**values, "mean": tuple(values["mean"]), "std": tuple(values["std"])})

    def _squares(self, images: Tensor) -> tuple[Tensor, tuple[int, int, int, int]]:
        """uint8 (B, 3, h, w), h, w <= S, and the padding (left, right, top, bottom) up to S."""
        size = self.image_size
        none = (0, 0, 0, 0)
        height, width = images.shape[-2:]
        if images.shape[0] == 0:
            return images.new_zeros(0, 3, size, size), none
        if height == width == size:
            return images, none
        if self.resize_mode == "crop":
            # cut before resizing: the same square, and a very long image costs no memory
            side = min(height, width)
            top, left = (height - side) // 2, (width - side) // 2
            images = images[..., top : top + side, left : left + side]
        if self.resize_mode != "pad":
            return self._resize(images, size, size), none
        scale = size / max(height, width)
        new_height, new_width = (max(1, round(side * scale)) for side in (height, width))
        left, top = (size - new_width) // 2, (size - new_height) // 2
        padding = (left, size - new_width - left, top, size - new_height - top)
        return self._resize(images, new_height, new_width), padding

    def _resize(self, images: Tensor, height: int, width: int) -> Tensor:
        # here, because the S x S path needs no torchvision, which is slow to import
        from torchvision.transforms import InterpolationMode
        from torchvision.transforms.v2 import functional

        mode = InterpolationMode(self.interpolation)
        # on uint8, as PIL does it: bicubic overshoots are clamped to 0..255, and it is 3 to 14
        # times faster than floats. But where the result is one pixel wide, torch's CPU kernels give
        # wrong values or stop on an assertion, unless they get contiguous floats (torch 2.15)
        images = images.float().contiguous() if width == 1 else images
        resized = functional.resize(images, [height, width], interpolation=mode, antialias=True)
        return resized if width > 1 else resized.round().clamp(0, 255).to(torch.uint8)

    def _padded(self, images: Tensor, padding: tuple[int, int, int, int]) -> Tensor:
        squares = images.to(torch.float32)
        if not any(padding):
            return squares
        size, (left, _, top, _) = self.image_size, padding
        height, width = images.shape[-2:]
        mean = 255 * torch.tensor(self.mean, device=images.device).view(3, 1, 1)
        canvas = mean.expand(len(images), 3, size, size).clone()
        canvas[..., top : top + height, left : left + width] = squares
        return canvas


def require_size(pixels: Tensor, size: tuple[int, int] | None, name: str) -> None:
    """Refuse images of another size than an encoder reads; None: it reads any.

    Args:
        pixels: (B, 3, H, W).
        size: (H, W) in pixels.
        name: of the encoder, for the message.

    Raises:
        ValueError: another H or W; both sizes are named.
    """
    if size is not None and tuple(pixels.shape[2:]) != size:
        height, width = pixels.shape[2:]
        raise ValueError(
            f"{name} reads images of {size[0]} x {size[1]} pixels, for which it has positions, got "
            f"{height} x {width}; pass the images through the encoder's `preprocessing`"
        )


def require_fitting(preprocessing: Preprocessing, size: tuple[int, int] | None, name: str) -> None:
    """Refuse a preprocessing for another image size than an encoder reads; None: it reads any.

    Raises:
        ValueError: the sizes differ; both are named.
    """
    side = preprocessing.image_size
    if size is not None and size != (side, side):
        raise ValueError(
            f"preprocessing makes images of {side} x {side} pixels, but {name} reads {size[0]} x "
            f"{size[1]}; pass preprocessing with image_size={size[0]}"
        )


def _as_tensor(image: Image.Image | np.ndarray | Tensor) -> Tensor:
    """One image as uint8 (3, H, W)."""
    if isinstance(image, Image.Image):
        if image.mode not in ("RGB", "L"):
            raise ValueError(
                f"got a PIL image of mode {image.mode!r}, expected 'RGB'; read files with "
                "`hybridlab.data.images.load_image`, which knows what to do with each mode"
            )
        image = np.array(image.convert("RGB"))
    if isinstance(image, np.ndarray):
        if image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"got an array of shape {image.shape}, expected (H, W, 3)")
        if not image.flags.writeable or min(image.strides, default=0) < 0:
            image = image.copy()  # torch cannot share read-only or flipped memory
        if image.dtype != np.uint8:
            raise TypeError(_not_uint8(image.dtype))
        image = torch.from_numpy(image).permute(2, 0, 1)
    if not isinstance(image, Tensor):
        raise TypeError(
            f"got a {type(image).__name__} in the list of images; give PIL images, uint8 arrays "
            "(H, W, 3) or uint8 tensors (3, H, W)"
        )
    _check(image, 3)
    return image


def _check(images: Tensor, rank: int) -> None:
    expected = "(B, 3, H, W)" if rank == 4 else "(3, H, W)"
    if images.dim() != rank or images.shape[-3] != 3:
        raise ValueError(f"got a tensor of shape {tuple(images.shape)}, expected {expected}")
    if images.dtype != torch.uint8:
        raise TypeError(_not_uint8(images.dtype))
    if 0 in images.shape[-2:]:
        raise ValueError(f"got images without pixels: shape {tuple(images.shape)}")


def _not_uint8(dtype: object) -> str:
    return (
        f"got images of {dtype}, expected uint8 with values 0..255; normalised pixels must not "
        "be preprocessed twice"
    )
