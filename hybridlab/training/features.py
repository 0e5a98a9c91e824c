"""Features of frozen encoders; `feature_cache` keeps them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from hybridlab.data.sample import SampleSource
from hybridlab.encoders.clip import ClipEncoder
from hybridlab.encoders.cnn import CNNEncoder
from hybridlab.training.feature_cache import Tensors

CHUNK = 16  # fits into a core's cache: a batch of 64 takes half as long again
GPU_CHUNK = 256


def scene_images(dataset: SampleSource) -> tuple[Tensor, Tensor]:
    """All images (N, 3, H, W) uint8 and targets (N, L) of a split, in memory.

    Raises:
        ValueError: the images differ in size.
        ImageError: of pictures in files, one that cannot be read; see `data.readable`.
    """
    side = dataset.image_size
    if side is None:
        raise ValueError(
            f"the {len(dataset)} pictures have sizes of their own and cannot be stacked; give "
            "their data set an image_size, or take its `resized(224)`"
        )
    images = np.empty((len(dataset), side, side, 3), np.uint8)
    targets = np.empty((len(dataset), len(dataset.vocabulary)), np.float32)
    for row, sample in enumerate(dataset):
        images[row], targets[row] = sample.image, sample.targets
    return torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(targets)


@torch.no_grad()
def cnn_features(
    cnn: CNNEncoder, images: Tensor, rest: nn.Module | None = None
) -> Tensors:
    """Features of a frozen CNN, computed where it is and kept on the CPU.

    Args:
        rest: the layers after the stage at which `cnn` is cut, if any.

    Returns:
        "tokens" (N, P, C), half precision, and "pooled" (N, C'): the mean over the places of the
        last map, which is that of `rest` where it is given.
    """
    tokens, pooled = [], []
    for chunk in _at_home(cnn, images):
        seen = cnn(cnn.preprocessing(chunk))
        last = seen.feature_map if rest is None else rest(seen.feature_map)
        tokens.append(seen.tokens.half().cpu())
        pooled.append(last.mean(dim=(2, 3)).cpu())
    if not tokens:
        return {"tokens": torch.empty(0, 1, cnn.dim).half(), "pooled": torch.empty(0, cnn.dim)}
    return {"tokens": torch.cat(tokens), "pooled": torch.cat(pooled)}


@torch.no_grad()
def clip_features(clip: ClipEncoder, images: Tensor) -> Tensors:
    """Image embeddings (N, D) and patch tokens (N, P, D) of a CLIP model, computed where it is and
    kept on the CPU."""
    embs, tokens = [], []
    for chunk in _at_home(clip, images):
        features = clip.encode_image(clip.preprocessing(chunk))
        embs.append(features.image_emb.cpu())
        tokens.append(features.tokens.half().cpu())
    if not embs:
        empty = torch.empty(0, clip.dim)
        return {"image_emb": empty, "tokens": empty[:, None].half()}
    return {"image_emb": torch.cat(embs), "tokens": torch.cat(tokens)}


def chunks(images: Tensor, size: int = CHUNK) -> Iterator[Tensor]:
    """Images (N, ...), few at a time, as they encode fastest on a CPU."""
    return iter(images.split(size)) if len(images) else iter(())


def _at_home(encoder: nn.Module, images: Tensor) -> Iterator[Tensor]:
    """Images in chunks, on the encoder's device."""
    device = next(encoder.parameters()).device
    size = CHUNK if device.type == "cpu" else GPU_CHUNK
    return (chunk.to(device) for chunk in chunks(images, size))
