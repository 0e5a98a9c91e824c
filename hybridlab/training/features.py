"""Features of frozen encoders, computed once and kept on disk under a name that cannot lie.

A cache file's name is a hash of the encoder's weights, its preprocessing and the data (TRAPS 16):
another encoder, size or scene gives another name, so a stale file is never read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hybridlab.data.scenes import SceneDataset
from hybridlab.encoders.clip import ClipEncoder
from hybridlab.encoders.cnn import CNNEncoder
from hybridlab.files import atomic_path

CHUNK = 25  # what fits into a core's cache: larger chunks encode at half the speed


def scene_images(dataset: SceneDataset) -> tuple[Tensor, Tensor]:
    """All images (N, 3, H, W) uint8 and targets (N, L) of a split, in memory."""
    side = dataset.config.image_size
    images = np.empty((len(dataset), side, side, 3), np.uint8)
    targets = np.empty((len(dataset), len(dataset.vocabulary)), np.float32)
    for row, sample in enumerate(dataset):
        images[row], targets[row] = sample.image, sample.targets
    return torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(targets)


@torch.no_grad()
def cnn_features(cnn: CNNEncoder, images: Tensor) -> dict[str, Tensor]:
    """Tokens (N, P, C) of a frozen CNN, half precision on disk and in memory."""
    tokens = [cnn(cnn.preprocessing(chunk)).tokens.half() for chunk in _chunks(images)]
    return {"tokens": torch.cat(tokens) if tokens else torch.empty(0, 1, cnn.dim).half()}


@torch.no_grad()
def clip_features(clip: ClipEncoder, images: Tensor) -> dict[str, Tensor]:
    """Image embeddings (N, D) and patch tokens (N, P, D) of a CLIP model."""
    embs, tokens = [], []
    for chunk in _chunks(images):
        features = clip.encode_image(clip.preprocessing(chunk))
        embs.append(features.image_emb)
        tokens.append(features.tokens.half())
    if not embs:
        empty = torch.empty(0, clip.dim)
        return {"image_emb": empty, "tokens": empty[:, None].half()}
    return {"image_emb": torch.cat(embs), "tokens": torch.cat(tokens)}


def _chunks(images: Tensor) -> Iterator[Tensor]:
    return iter(images.split(CHUNK)) if len(images) else iter(())


def feature_key(encoder: CNNEncoder | ClipEncoder, dataset: SceneDataset) -> str:
    """The name of a cache file: a hash of weights, preprocessing and data."""
    facts = [
        encoder.name,
        encoder.weights_hash(),
        json.dumps(encoder.preprocessing.to_dict(), sort_keys=True),
        dataset.fingerprint(),
    ]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]


def cached(
    folder: Path | None, key: str, compute: Callable[[], dict[str, Tensor]]
) -> dict[str, Tensor]:
    """Read a cache file, or compute its tensors and write them.

    A file that cannot be read (cut short, say) is computed anew and replaced. A cache that cannot
    be written (read-only, full disk) costs time, not the run.

    Args:
        folder: where cache files lie; None computes without a cache.
        key: as `feature_key` gives it.
    """
    if folder is None:
        return compute()
    from safetensors import SafetensorError
    from safetensors.torch import load_file, save_file

    path = Path(folder) / f"{key}.safetensors"
    if path.exists():
        with suppress(SafetensorError, OSError):
            return load_file(path)
    tensors = compute()
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path, overwrite=True) as part:
            save_file({name: value.contiguous() for name, value in tensors.items()}, part)
    return tensors
