"""What frozen encoders gave, kept on disk under a name that cannot lie.

A file's name is a hash of the encoder's weights, its preprocessing and the data (trap 16): another
encoder, size or scene gives another name. What the name stands for is written into the file, too,
so that a file under a name of its own choosing is not taken for what it is not.

Files are safetensors: read by mapping them into memory, so that several readers share one copy and
a row that is not asked for is not read.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from filelock import FileLock
from torch import Tensor

from hybridlab.files import atomic_path
from hybridlab.tensor_files import save_tensors

if TYPE_CHECKING:
    from hybridlab.data.sample import SampleSource
    from hybridlab.encoders.clip import ClipEncoder
    from hybridlab.encoders.cnn import CNNEncoder

Tensors = dict[str, Tensor]
SHARD = 512  # rows that are lost at most when a run is killed


class StaleFeaturesError(ValueError):
    """A cache file holds features of something else; the differences are listed."""


def feature_facts(
    encoder: CNNEncoder | ClipEncoder, dataset: SampleSource, weights: str | None = None
) -> dict[str, str]:
    """All that features depend on.

    Args:
        weights: the encoder's `weights_hash()`, where it is known already.
    """
    return {
        "encoder": encoder.name,
        "weights": encoder.weights_hash() if weights is None else weights,
        "preprocessing": json.dumps(encoder.preprocessing.to_dict(), sort_keys=True),
        "data": dataset.fingerprint(),
    }


def key_of(facts: Mapping[str, str]) -> str:
    """The name of a cache file: a hash of what its features depend on."""
    return hashlib.sha256("\n".join(facts.values()).encode()).hexdigest()[:32]


def feature_key(
    encoder: CNNEncoder | ClipEncoder, dataset: SampleSource, weights: str | None = None
) -> str:
    """`key_of` the `feature_facts`."""
    return key_of(feature_facts(encoder, dataset, weights))


def cached(
    folder: Path | None, key: str, compute: Callable[[], Tensors],
    facts: Mapping[str, str] | None = None,
) -> Tensors:
    """Read a cache file, or compute its tensors and write them.

    A file that cannot be read (cut short, say) is computed anew and replaced. A cache that cannot
    be written (read-only, full disk) costs time, not the run. Of several processes that want the
    same tensors at once, one computes and the others wait for its file.

    Args:
        folder: where cache files lie; None computes without a cache.
        key: as `feature_key` gives it, or a name of one's own.
        facts: as `feature_facts` gives them; written into the file, and compared with what it says.

    Raises:
        StaleFeaturesError: the file is of other facts. It is left as it is.
    """
    if folder is None:
        return compute()
    path = Path(folder) / f"{key}.safetensors"
    kept = _read(path, facts)
    if kept is not None:
        return kept
    with _one_at_a_time(path):
        kept = _read(path, facts)  # another process may have written it meanwhile
        return _computed(path, compute, facts) if kept is None else kept


def in_shards(
    folder: Path | None, key: str, rows: int, encode: Callable[[int, int], Tensors],
    shard: int = SHARD,
) -> Tensors:
    """Encode a split piece by piece, each kept on disk, so that a run that is killed goes on where
    it was. For the `compute` of `cached`, which drops the pieces once the whole is written.

    Args:
        rows: N.
        encode: (begin, end) -> tensors of these rows.

    Returns:
        tensors of all rows.
    """
    if folder is None or rows <= shard:
        return encode(0, rows)
    place = _shards(Path(folder) / f"{key}.safetensors")
    with suppress(OSError):  # a cache that cannot be written costs time, not the run
        place.mkdir(parents=True, exist_ok=True)
    found = []
    for begin in range(0, rows, shard):
        end = min(begin + shard, rows)
        path = place / f"{begin:09d}-{end:09d}.safetensors"
        kept = _read(path)
        found.append(
            _computed(path, lambda begin=begin, end=end: encode(begin, end))  # type: ignore[misc]
            if kept is None else kept
        )
    return {name: torch.cat([each[name] for each in found]) for name in found[0]}


def _shards(path: Path) -> Path:
    return path.with_name(f".{path.stem}.shards")


def _read(path: Path, facts: Mapping[str, str] | None = None) -> Tensors | None:
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    if not path.exists():
        return None
    with suppress(SafetensorError, OSError):
        if facts is not None:
            with safe_open(path, "pt") as file:
                _compare(path, (file.metadata() or {}).get("facts"), facts)
        return load_file(path)
    return None


def _compare(path: Path, told: str | None, facts: Mapping[str, str]) -> None:
    then = json.loads(told) if told else {}
    changed = [f"{name} was {then[name]} and is {value}" for name, value in facts.items()
               if name in then and then[name] != value]
    if changed:
        raise StaleFeaturesError(
            f"{path} holds features of something else: {'; '.join(changed)}. Delete it, or give "
            "another folder or name"
        )


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


def _computed(
    path: Path, compute: Callable[[], Tensors], facts: Mapping[str, str] | None = None
) -> Tensors:
    tensors = compute()
    metadata = None if facts is None else {"facts": json.dumps(dict(facts))}
    with suppress(OSError):
        with atomic_path(path, overwrite=True) as part:
            save_tensors(part, tensors, metadata)
        shutil.rmtree(_shards(path), ignore_errors=True)
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
