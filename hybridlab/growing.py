"""A file of lines that grows for hours: each line is kept at once, and the name comes at the end.

Until then it is NAME.part-KEY, where the key stands for the settings that its lines were made with.
After Ctrl-C, a kill or a full disk it holds whole lines only, or one torn line at its end that is
cut off when it is opened again.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from hybridlab.files import NotEnoughDiskError, flush, give_new_name

_FULL = (errno.ENOSPC, errno.EDQUOT)


class GrowingFile:
    """The open file: `write` a line, and ask `lines` for those that an earlier run wrote."""

    def __init__(self, file: BinaryIO, path: Path, whole: int):
        self._file, self.path, self.whole = file, path, whole

    def write(self, line: str) -> None:
        """Keep one line. It must hold no line end but the one it ends with.

        Raises:
            NotEnoughDiskError: the disk is full; what was written before is kept.
        """
        data = memoryview(line.encode("utf-8"))
        left = data
        try:
            while left:
                left = left[self._file.write(left) or 0 :]
        except OSError as error:
            if error.errno in _FULL:
                raise NotEnoughDiskError(
                    f"the disk became full; what was done is kept in {self.path}: free some space "
                    "and run again with --resume"
                ) from error
            raise
        self.whole += len(data)

    def cut(self) -> None:
        """Drop what a write that was interrupted has left behind the last whole line."""
        self._file.truncate(self.whole)


def part_of(target: Path, key: str) -> Path:
    """Where a file grows."""
    return target.with_name(f"{target.name}.part-{key}")


@contextmanager
def growing(
    target: Path, key: str, *, resume: bool, read: Callable[[str], None]
) -> Iterator[GrowingFile]:
    """Open a file that grows; it becomes `target` when the block ends without an error.

    Args:
        target: the file to make; its folder must exist.
        key: of the settings; a part that has another key is never gone on with.
        resume: go on with the part of this key; begin one where there is none.
        read: is told each whole line that is there already, and raises ValueError for one that is
            no line of such a file; it and what follows are cut off.

    Raises:
        FileExistsError: `target` exists, or a part of it and `resume` is False.
        FileNotFoundError: the target's folder is missing.
        ValueError: `resume`, but the parts that are there have another key.
        NotEnoughDiskError: see `GrowingFile.write`.
        BlockingIOError: another process is writing this very part.
    """
    from filelock import FileLock, Timeout

    check_target(target)
    part = part_of(target, key)
    begun = sorted(path for path in target.parent.glob(f"{_plain(target.name)}.part-*")
                   if not path.name.endswith(".lock"))
    if begun and not resume:
        raise FileExistsError(
            f"{begun[0]} holds what a run did until it was stopped; go on with --resume, or "
            "delete it"
        )
    if begun and part not in begun:
        raise ValueError(
            f"{begun[0]} was begun with another bundle or other options; repeat those, or delete it"
        )
    lock = FileLock(f"{part}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise BlockingIOError(f"{part} is being written by another process; wait for it") from error
    try:
        whole = _read(part, read) if part in begun else 0
        with open(part, "ab", buffering=0) as file:
            file.truncate(whole)
            grown = GrowingFile(file, part, whole)
            try:
                yield grown
            except BaseException:
                with suppress(OSError):
                    grown.cut()
                raise
        flush(part)
        give_new_name(part, target)
    finally:
        lock.release()
        with suppress(OSError):
            os.unlink(lock.lock_file)


def check_target(target: Path) -> None:
    """Refuse a name that is taken or has no folder, before any work is done.

    Raises:
        FileExistsError, FileNotFoundError: see `growing`.
    """
    if os.path.lexists(target):
        raise FileExistsError(f"{target} exists and is kept; choose another name")
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"cannot write {target}: there is no folder {target.parent}; make it first"
        )


def _read(part: Path, read: Callable[[str], None]) -> int:
    """Tell `read` each whole line; the number of bytes of those that it took."""
    whole = 0
    with open(part, "rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            try:
                read(line.decode("utf-8"))
            except ValueError:  # a decoding error is one
                break
            whole += len(line)
    return whole


def _plain(name: str) -> str:
    """A name as a pattern that fits itself alone."""
    return "".join(f"[{mark}]" if mark in "*?[" else mark for mark in name)
