"""Features of frozen encoders, computed once and kept on disk under a name that cannot lie.

A cache file's name is a hash of the encoder's weights, its preprocessing and the data (trap 16):
another encoder, size or scene gives another name, so a stale file is never read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor, nn

from hybridlab.data.scenes import SceneDataset
from hybridlab.encoders.clip import ClipEncoder
from hybridlab.encoders.cnn import CNNEncoder
from hybridlab.files import atomic_path

Tensors = dict[str, Tensor]
CHUNK = 16  # fits into a core's cache: a batch of 64 takes half as long again
GPU_CHUNK = 256


def scene_images(dataset: SceneDataset) -> tuple[Tensor, Tensor]:
    """All images (N, 3, H, W) uint8 and targets (N, L) of a split, in memory."""
    side = dataset.config.image_size
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


def feature_key(
    encoder: CNNEncoder | ClipEncoder, dataset: SceneDataset, weights: str | None = None
) -> str:
    """The name of a cache file: a hash of weights, preprocessing and data.

    Args:
        weights: the encoder's `weights_hash()`, where it is known already.
    """
    facts = [
        encoder.name,
        encoder.weights_hash() if weights is None else weights,
        json.dumps(encoder.preprocessing.to_dict(), sort_keys=True),
        dataset.fingerprint(),
    ]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]


def cached(
    folder: Path | None, key: str, compute: Callable[[], Tensors]
) -> Tensors:
    """Read a cache file, or compute its tensors and write them.

    A file that cannot be read (cut short, say) is computed anew and replaced. A cache that cannot
    be written (read-only, full disk) costs time, not the run. Of several processes that want the
    same tensors at once, one computes and the others wait for its file.

    Args:
        folder: where cache files lie; None computes without a cache.
        key: as `feature_key` gives it.
    """
    if folder is None:
        return compute()
    path = Path(folder) / f"{key}.safetensors"
    kept = _read(path)
    if kept is not None:
        return kept
    with _one_at_a_time(path):
        kept = _read(path)  # another process may have written it meanwhile
        return _computed(path, compute) if kept is None else kept


def _read(path: Path) -> Tensors | None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if path.exists():
        with suppress(SafetensorError, OSError):
            return load_file(path)
    return None


def peek(folder: Path | None, key: str, name: str) -> Tensors:
    """One tensor of a cache file by its name; nothing where there is none."""
    from safetensors import SafetensorError, safe_open

    if folder is not None:
        with (
            suppress(SafetensorError, OSError),
            safe_open(Path(folder) / f"{key}.safetensors", "pt") as file,
        ):
            return {name: file.get_tensor(name)}
    return {}


def _computed(path: Path, compute: Callable[[], Tensors]) -> Tensors:
    from safetensors.torch import save_file

    tensors = compute()
    with suppress(OSError), atomic_path(path, overwrite=True) as part:
        save_file({name: value.contiguous() for name, value in tensors.items()}, part)
    return tensors


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """A lock that ends with its process; without one where none can be had."""
    lock = FileLock(path.with_name(f".{path.stem}.lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except (OSError, NotImplementedError):  # a read-only folder, a file system without locks
        yield
        return
    try:
        yield
    finally:
        lock.release()
