"""The image trunk that all methods share: EfficientNet-Lite0, ImageNet weights, fine-tuned.

Where trunks differ, a comparison of training objectives is one of trunks (seed 004 leaves the CNN
open; CLIP's own figure 2 has one for all).
"""

from __future__ import annotations

import torch
from torch import Tensor

from hybridlab.encoders.cnn import CNNEncoder, build_cnn
from hybridlab.encoders.preprocessing import Preprocessing


def build_trunk(pretrained: bool = True, seed: int = 0) -> CNNEncoder:
    """The trunk in training mode, BatchNorm learning, in the memory format that is twice as fast.

    Args:
        pretrained: ImageNet weights; False gives random ones from `seed`.

    Shape:
        pixels (B, 3, S, S) -> feature_map (B, 1280, S/32, S/32), tokens (B, P, 1280),
        pooled (B, 1280)

    Raises:
        MissingWeightsError: the weights' package is not installed.
    """
    trunk = build_cnn("efficientnet_lite0", pretrained=pretrained, seed=seed)
    return trunk.to(memory_format=torch.channels_last).train()


def to_pixels(images: Tensor) -> Tensor:
    """Images as they are drawn -> normalised pixels, without a change of size.

    Args:
        images: uint8, square.

    Shape:
        (B, 3, S, S) uint8 -> (B, 3, S, S) float32, channels last

    Raises:
        TypeError: images that are not uint8.
        ValueError: another shape, or images that are not square.
    """
    if images.dim() == 4 and images.shape[-1] != images.shape[-2]:
        raise ValueError(
            f"got images of {images.shape[-2]} x {images.shape[-1]}; resize them to squares first, "
            "as hybridlab.encoders.preprocessing.Preprocessing does"
        )
    # mean and std 0.5 are those of the trunk's weights (trap 12)
    normalised = Preprocessing(image_size=images.shape[-1])(images)
    return normalised.contiguous(memory_format=torch.channels_last)
