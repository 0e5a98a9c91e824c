"""What every image encoder has in common: its output, its weights' name, and how it is frozen."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from hybridlab.encoders.preprocessing import Preprocessing

__all__ = [
    "Encoder",
    "EncoderOutput",
    "MissingWeightsError",
    "Preprocessing",
    "check_pixels",
    "freeze",
    "is_frozen",
    "unfreeze",
    "weights_hash",
]

ModuleT = TypeVar("ModuleT", bound=nn.Module)


class MissingWeightsError(RuntimeError):
    """Weights were asked for and are not here; the message says where to put them."""


@dataclass(frozen=True)
class EncoderOutput:
    """What an image encoder gives.

    Attributes:
        feature_map: (B, C, H, W).
        tokens: (B, P, D), the map row by row; P = H·W, D = C.
        pooled: (B, D), the mean of the tokens.
    """

    feature_map: Tensor
    tokens: Tensor
    pooled: Tensor


class Encoder(Protocol):
    """The interface of an image encoder that gives a feature map.

    Attributes:
        name: the name it was built by.
        dim: D of the tokens and of the pooled vector.
        channels: C of the feature map.
        preprocessing: what turns images into the pixels that it expects.
    """

    name: str
    dim: int
    channels: int
    preprocessing: Preprocessing

    def __call__(self, pixels: Tensor) -> EncoderOutput: ...

    def weights_hash(self) -> str: ...


def check_pixels(pixels: Tensor, min_size: int, name: str) -> None:
    """Refuse what is not a batch of normalised images.

    Args:
        pixels: should be (B, 3, H, W), floating point.
        min_size: smallest H and W, in pixels.
        name: of the encoder, for the message.

    Raises:
        TypeError: not a floating-point tensor.
        ValueError: another rank, not 3 channels, or too small.
    """
    if not isinstance(pixels, Tensor) or not pixels.is_floating_point():
        given = pixels.dtype if isinstance(pixels, Tensor) else type(pixels).__name__
        raise TypeError(
            f"{name} takes normalised floating-point pixels, got {given}; pass the images through "
            "the encoder's `preprocessing` first"
        )
    shape = tuple(pixels.shape)
    if pixels.dim() != 4 or shape[1] != 3:
        raise ValueError(
            f"{name} takes pixels (B, 3, H, W), got {shape}; add a batch axis to a single image, "
            "or pass the images through the encoder's `preprocessing`"
        )
    if min(shape[2:]) < min_size:
        raise ValueError(
            f"{name} needs at least {min_size} x {min_size} pixels for one place of its map, got "
            f"{shape[2]} x {shape[3]}; enlarge the images or choose an earlier `stage`"
        )


def weights_hash(module: nn.Module) -> str:
    """A name for the exact weights: 32 hexadecimal characters.

    Covers names, dtypes, shapes and bytes of all parameters and persistent buffers. Device, memory
    format and the order of registration do not change it; one bit of one weight does (trap 16).
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        # contiguous: channels_last stores the same values in another order
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        digest.update(flat.view(torch.uint8).numpy())
    return digest.hexdigest()[:32]


class _StayInEval:
    """Stands in for `train` of one module. A class, because a closure cannot be pickled."""

    def __init__(self, module: nn.Module):
        self.module = module

    def __call__(self, mode: bool = True) -> nn.Module:
        return type(self.module).train(self.module, False)


def freeze(module: ModuleT) -> ModuleT:
    """Freeze a module: no gradients, and BatchNorm and dropout in eval() for good.

    A parent's `.train()` reaches every child and would set BatchNorm to learning again, gradients
    or not (trap 15); here it leaves this module in eval. The third meaning of frozen, out of the
    optimiser, is the caller's; stale gradients are dropped, so that an optimiser that still holds
    the parameters passes over them.

    Returns:
        the module itself.
    """
    for parameter in module.parameters():
        parameter.requires_grad_(False)
        parameter.grad = None
    module.eval()
    # into the instance's own dictionary, where it hides the class's method
    module.__dict__["train"] = _StayInEval(module)
    return module


def unfreeze(module: ModuleT) -> ModuleT:
    """Undo `freeze`, on the module and on all within it. It stays in eval until `.train()`.

    A part of a frozen module can be unfrozen, but the whole's `.train()` then still puts it in
    eval: freeze the parts that should be frozen, not the whole.
    """
    for part in module.modules():
        part.__dict__.pop("train", None)
    for parameter in module.parameters():
        parameter.requires_grad_(True)
    return module


def is_frozen(module: nn.Module) -> bool:
    """Whether `freeze` holds for this very module."""
    return isinstance(module.__dict__.get("train"), _StayInEval)
