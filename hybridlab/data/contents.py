"""What is in the files of a data set: whether each can be read, its size, and a hash of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from hybridlab.data.images import ImageError, load_image

_AT_ONCE = 512  # files handed out in advance, so that a million of them cost no memory


@dataclass(frozen=True, slots=True)
class Content:
    """One file.

    Attributes:
        digest: BLAKE2 of its bytes; empty where they cannot be read.
        size: width and height in pixels, upright; (0, 0) where it gives no picture, or was not
            decoded.
        trouble: why it gives no picture, as `ImageError.message`; empty where it does.
    """

    digest: bytes
    size: tuple[int, int] = (0, 0)
    trouble: str = ""


def contents(
    paths: Sequence[Path], *, pixels: bool = True, max_pixels: int = 50_000_000,
    step: Callable[[], None] = lambda: None,
) -> Iterator[Content]:
    """Look into files, in threads, in the order given.

    Args:
        pixels: decode each; otherwise files are only hashed.
        max_pixels: as `load_image`.
        step: called after each file.
    """
    def look(path: Path) -> Content:
        size, trouble = (0, 0), ""
        if pixels:
            try:
                size = load_image(path, max_pixels=max_pixels).size
            except ImageError as error:
                trouble = error.message
        try:
            if not os.path.isfile(path):  # nobody waits for a pipe
                raise OSError("is no regular file")
            if not os.path.getsize(path):
                trouble = trouble or "is empty (0 bytes); copy or download it again"
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
        except OSError as error:
            return Content(b"", size, trouble or f"cannot be read ({error.strerror or error})")
        return Content(digest, size, trouble)

    # decoding and hashing leave Python's lock to others
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for begin in range(0, len(paths), _AT_ONCE):
            for found in pool.map(look, paths[begin : begin + _AT_ONCE]):
                step()
                yield found
