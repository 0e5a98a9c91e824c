"""Writing results so that a file is either whole or not there.

Everything is written to a hidden sibling first and takes its name in one step at the end, so an
error, Ctrl-C, a kill or a full disk never leaves half a file under the name that others read, and
never damages the file that was there before.
"""

from __future__ import annotations

import errno
import json
import math
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

StrPath = str | os.PathLike[str]

_FULL = {errno.ENOSPC, errno.EDQUOT}
# What a file system without hard links answers to os.link.
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}


class NotEnoughDiskError(OSError):
    """The disk is, or would get, full. `errno` is ENOSPC and `str()` is one line."""

    def __init__(self, message: str):
        super().__init__(errno.ENOSPC, message)

    def __str__(self) -> str:
        return str(self.strerror)

    def __reduce__(self) -> tuple[type[NotEnoughDiskError], tuple[str]]:
        return type(self), (str(self),)


@contextmanager
def atomic_path(target: StrPath, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary path to write; it becomes `target` when the block ends without an error.

    The temporary is `.NAME.part-XXXXXXXX.EXT` beside the target, with the target's extension, for
    writers that choose a format by it. It is flushed to the disk before it takes the name, and
    removed on any exception, KeyboardInterrupt included. After a kill a `.part-` file may remain;
    nobody reads it.

    Args:
        target: the file to make; its folder must exist.
        overwrite: replace a file (or link) of that name. If False, a name that is taken is an
            error, also when it was taken while the block ran: nobody's file is ever replaced.

    Raises:
        FileExistsError: `target` exists and `overwrite` is False, or it is a folder.
        FileNotFoundError: the target's folder is missing, or the block wrote no file.
        NotEnoughDiskError: the disk filled up in the block or while flushing.
    """
    target = Path(target)
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"cannot write {target}: there is no folder {target.parent}; make it first"
        )
    _refuse_taken(target, overwrite)
    # A long name is shortened, as most file systems end at 255 bytes.
    unique = f".{target.name[:40]}.part-{secrets.token_hex(4)}{_ending(target)}"
    temporary = target.with_name(unique)
    try:
        yield temporary
        if not temporary.is_file():
            raise FileNotFoundError(
                f"nothing was written for {target}: write to the path that atomic_path gives"
            )
        flush(temporary)
        if overwrite:
            os.replace(temporary, target)
        else:
            give_new_name(temporary, target)
    except OSError as error:
        if error.errno in _FULL and not isinstance(error, NotEnoughDiskError):
            raise NotEnoughDiskError(
                f"the disk became full while writing {target}; nothing was kept: free some space "
                "and run again"
            ) from error
        if error.filename is not None and Path(error.filename) == temporary:
            error.filename = str(target)  # the name that the user knows
        raise
    finally:
        # Also after success: a hard link leaves the temporary name behind.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    with suppress(OSError):  # the new name itself, where a folder can be flushed (not on Windows)
        flush(target.parent)


@contextmanager
def atomic_folder(target: StrPath) -> Iterator[Path]:
    """Give a temporary folder to fill; it becomes `target` when the block ends without an error.

    It is `.NAME.part-XXXXXXXX` beside the target and goes on any exception, KeyboardInterrupt
    included, with all that is in it.

    Args:
        target: the folder to make; its parent must exist.

    Raises:
        FileExistsError: `target` exists, also where it was made while the block ran.
        FileNotFoundError: the parent is missing.
        NotEnoughDiskError: the disk filled up in the block.
    """
    target = Path(target)

    def refuse_taken() -> None:
        if os.path.lexists(target):
            raise FileExistsError(f"{target} exists and is kept; choose another name")

    refuse_taken()
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"cannot write {target}: there is no folder {target.parent}; make it first"
        )
    temporary = target.with_name(f".{target.name[:40]}.part-{secrets.token_hex(4)}")
    temporary.mkdir()
    try:
        yield temporary
        refuse_taken()  # again: rename would replace an empty folder made meanwhile
        os.rename(temporary, target)
    except OSError as error:
        if error.errno in _FULL and not isinstance(error, NotEnoughDiskError):
            raise NotEnoughDiskError(
                f"the disk became full while writing {target}; nothing was kept: free some space "
                "and run again"
            ) from error
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_text(path: StrPath, text: str, overwrite: bool = False) -> None:
    """Write UTF-8 text with unix line ends, whole or not at all.

    Raises:
        as `atomic_path`, and UnicodeEncodeError for a lone surrogate.
    """
    with atomic_path(path, overwrite) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def write_json(path: StrPath, data: Any, overwrite: bool = False) -> None:
    """Write strict JSON (RFC 8259: no NaN, no Infinity), indented by 2, whole or not at all.

    NaN becomes null: in this course it stands for a figure that is not defined, such as the AP of
    a label without positives. Infinity is an error, since no figure of ours may be infinite.
    NumPy numbers, arrays and tensors are written as numbers and lists, tuples as lists, paths as
    text, integer keys as text.

    Raises:
        ValueError: an infinite number; the message says where it stands.
        TypeError: a value that JSON has no form for, or a key that is neither text nor integer.
        besides, as `atomic_path`.
    """
    text = json.dumps(_plain(data, "data"), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # A file name that is not UTF-8 holds lone surrogates; as \udcxx they are legal JSON.
    payload = text.encode("utf-8", errors="backslashreplace")
    with atomic_path(path, overwrite) as temporary:
        temporary.write_bytes(payload)


def new_run_folder(parent: StrPath, name: str | None = None) -> Path:
    """Make a new, empty folder `parent/NAME` and return it; an existing one is never touched.

    The name is the local time as YYYYmmdd-HHMMSS unless given; where it is taken, -2, -3, ... is
    added. Two processes that ask at the same moment get two folders. Missing parents are made.

    Raises:
        ValueError: `name` is empty or is not a single path component.
        NotADirectoryError: `parent` exists and is not a folder.
    """
    parent = Path(parent)
    if name is None:
        name = datetime.now().strftime("%Y%m%d-%H%M%S")
    if name in ("", ".", "..") or any(mark in name for mark in "/\\\0"):
        raise ValueError(f"name is {name!r}; pass one folder name without slashes")
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(
            f"{parent} is a file, so no run folder can be made in it; pass another folder"
        ) from error
    number = 1
    while True:
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir()  # the one step that only one of several processes can win
        except FileExistsError:
            number += 1
        else:
            return folder


@contextmanager
def run_folder(parent: StrPath, name: str | None = None) -> Iterator[Path]:
    """`new_run_folder` for the length of a block; if the block fails, nothing of it remains.

    On any exception, KeyboardInterrupt included, the folder goes with all that is in it, and so do
    parents that were made for it and hold nothing else; one line on stderr says so.
    """
    made = [place for place in (Path(parent), *Path(parent).parents) if not place.exists()]
    folder = new_run_folder(parent, name)
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        for place in made:  # innermost first; what holds something else stays
            with suppress(OSError):
                place.rmdir()
        print("\nstopped: nothing of this run was kept", file=sys.stderr)
        raise


def free_space_check(path: StrPath, needed_bytes: int) -> None:
    """Raise if the disk that holds `path` has less than `needed_bytes` free for this user.

    `path` need not exist yet: its nearest existing parent is asked. Quotas are not seen.

    Raises:
        NotEnoughDiskError: the message gives the place, what is needed and what is free.
        ValueError: `needed_bytes` is negative.
    """
    if needed_bytes < 0:
        raise ValueError(f"needed_bytes is {needed_bytes}; pass a number from 0 up")
    place = Path(path).absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < needed_bytes:
        raise NotEnoughDiskError(
            f"not enough disk space for {path}: {_size(needed_bytes)} needed, {_size(free)} free; "
            "free some space or choose another folder"
        )


def _refuse_taken(target: Path, overwrite: bool) -> None:
    if target.is_dir():
        raise FileExistsError(f"cannot write {target}: it is a folder; choose another name")
    if not overwrite and os.path.lexists(target):
        raise FileExistsError(
            f"{target} exists and is kept; choose another name"
        )


def give_new_name(temporary: Path, target: Path) -> None:
    """Give `temporary` the name `target`, or fail if anybody has that name by now.

    Raises:
        FileExistsError: the name is taken; both files stay as they are.
    """
    try:
        os.link(temporary, target)  # unlike rename, it fails on a taken name, in one step
        with suppress(OSError):
            temporary.unlink()  # the other name of the same file
        return
    except FileExistsError:
        _refuse_taken(target, overwrite=False)
        raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
    # No hard links here (FAT, some network disks): claim the name first, then fill it.
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        _refuse_taken(target, overwrite=False)
        raise
    try:
        os.replace(temporary, target)
    except BaseException:
        target.unlink(missing_ok=True)  # our own empty claim
        raise


def flush(path: Path) -> None:
    """Have a file, or a folder's list of names, written to the disk itself."""
    handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _ending(target: Path) -> str:
    return target.suffix if len(target.suffix) <= 16 else ""


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _plain(value: Any, where: str) -> Any:
    """The same data in JSON's own types; `where` names the place for an error."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if math.isinf(value):
            raise ValueError(f"{where} is infinite, which JSON cannot hold; write a finite number")
        return None if math.isnan(value) else float(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, dict):
        plain = {}
        for key, item in value.items():
            if isinstance(key, bool) or not isinstance(key, (str, int)):
                raise TypeError(f"a key of {where} is {key!r}; use text or whole numbers as keys")
            if str(key) in plain:
                raise TypeError(f"{where} has the key {str(key)!r} twice, as text and as number")
            plain[str(key)] = _plain(item, f"{where}[{key!r}]")
        return plain
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if hasattr(value, "tolist"):  # NumPy and torch, without importing either
        return _plain(value.tolist(), where)
    raise TypeError(
        f"{where} is a {type(value).__name__}, which JSON cannot hold; "
        "pass numbers, text, lists or dicts of them"
    )
