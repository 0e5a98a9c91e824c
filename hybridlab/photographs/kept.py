"""Pictures of one size in a file that is mapped into memory.

An encoder that learns looks at each picture in every epoch. Decoding a photograph each time costs
more than a small encoder does, and all of them do not fit into memory: so each is decoded once, at
the size that the encoder reads, and the system keeps in memory what is in use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO

import torch
from filelock import FileLock
from torch import Tensor

from hybridlab.files import atomic_path, free_space_check

ENDING = ".pictures"


def kept_pictures(
    path: Path, count: int, side: int, make: Callable[[], Iterator[Tensor]]
) -> Tensor:
    """All pictures of a split, mapped from a file, which is made if it is not there.

    Of several processes that want it at once, one makes it.

    Args:
        path: named after all that the pictures depend on.
        count: N.
        side: S in pixels.
        make: gives them in order, few at a time, (n, 3, S, S) uint8.

    Returns:
        (N, 3, S, S) uint8. What is written into it stays in this process.

    Raises:
        NotEnoughDiskError: the disk would get full.
        ValueError: `make` gives another number of pictures, or others than it should.
    """
    if not count:
        return torch.empty(0, 3, side, side, dtype=torch.uint8)
    size = count * 3 * side * side
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        with suppress(OSError, NotImplementedError):  # without locks it is made twice at worst
            stack.enter_context(FileLock(path.with_name(f".{path.stem}.lock")))
        if not path.is_file() or path.stat().st_size != size:
            free_space_check(path, size)
            with atomic_path(path, overwrite=True) as part, open(part, "wb") as file:
                _write(file, count, side, make())
    return torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8).view(
        count, 3, side, side)


def _write(file: BinaryIO, count: int, side: int, pictures: Iterator[Tensor]) -> None:
    written = 0
    for few in pictures:
        if few.dtype != torch.uint8 or tuple(few.shape[1:]) != (3, side, side):
            raise ValueError(
                f"got pictures of {few.dtype} and shape {tuple(few.shape)}, expected uint8 and "
                f"(n, 3, {side}, {side})"
            )
        file.write(few.contiguous().numpy().data)
        written += len(few)
    if written != count:
        raise ValueError(f"got {written} pictures, expected {count}")
