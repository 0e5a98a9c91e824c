"""Reading the files of a bundle as if a stranger had written them.

Only plain bytes and safetensors are read here, so nothing in a bundle can run. Each fault is one
`BundleError` of one line.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

MANIFEST_FILE = "bundle.json"
WEIGHTS_FILE = "weights.safetensors"
AGAIN = "copy it again or save it anew"

PICKLES = (".pth", ".pt", ".pkl", ".pickle", ".ckpt", ".bin")


class BundleError(ValueError):
    """A bundle that cannot be used. `str()` is one line: the bundle, what is wrong, what to do."""


def read_file(folder: Path, name: str, limit: int | None = None) -> bytes:
    """The bytes of one file of a bundle, read once, so that what is checked is what is used.

    Raises:
        BundleError: missing, a link, a folder, a pipe or device, larger than `limit`, unreadable.
    """
    path = folder / name
    # O_NOFOLLOW: a link may point at anything; O_NONBLOCK: a pipe would wait for ever
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        if path.is_symlink():
            raise OSError(errno.ELOOP, "a link")
        handle = os.open(path, flags | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise BundleError(f"{folder}: {_not_opened(folder, name, error)}") from error
    state = os.fstat(handle)
    if not stat.S_ISREG(state.st_mode):
        os.close(handle)
        raise BundleError(f"{folder}: {name} is not a regular file; {AGAIN}")
    with os.fdopen(handle, "rb") as file:
        if limit is not None and state.st_size > limit:
            raise BundleError(
                f"{folder}: {name} has {state.st_size:,} bytes, expected at most {limit:,}; "
                f"{AGAIN}"
            )
        try:
            data = file.read() if limit is None else file.read(limit + 1)
        except OSError as error:
            raise BundleError(f"{folder}: {name} cannot be read ({error.strerror})") from error
    if limit is not None and len(data) > limit:  # it grew meanwhile
        raise BundleError(f"{folder}: {name} grew while it was read; try again")
    return data


def read_tensors(
    folder: Path, size: int, sha256: str, expected: dict[str, Tensor]
) -> dict[str, Tensor]:
    """The weights under the names, shapes and dtypes of `expected`.

    Args:
        size: of the file, in bytes.
        sha256: of the file, in hexadecimal.
        expected: what the rebuilt model needs; tensors on "meta" will do.

    Raises:
        BundleError: as `read_file`; another size or SHA-256, not safetensors, missing or extra
            tensors, another shape or dtype, values that are not finite.
    """
    data = read_file(folder, WEIGHTS_FILE, size)
    where = f"{folder}: {WEIGHTS_FILE}"
    if len(data) != size or hashlib.sha256(data).hexdigest() != sha256:
        raise BundleError(
            f"{where} is not the file that {MANIFEST_FILE} describes (its size or SHA-256 "
            f"differs): it was cut off, damaged or replaced; {AGAIN}"
        )
    from safetensors.torch import load

    try:
        found = load(data)
    except Exception as error:  # the header is a stranger's: KeyError and TypeError occur as well
        pickled = data[:1] == b"\x80" or data[:2] == b"PK"
        what = "it is a pickle or a zip" if pickled else one_line(error)
        raise BundleError(f"{where} is not a valid safetensors file ({what}); {AGAIN}") from error
    missing, extra = expected.keys() - found.keys(), found.keys() - expected.keys()
    for names, what in ((missing, "lacks"), (extra, "has beside what is needed")):
        if names:
            some = ", ".join(short(name) for name in sorted(names)[:3])
            raise BundleError(
                f"{where} {what} {len(names)} tensors ({some}); its model is not the one that "
                f"{MANIFEST_FILE} describes"
            )
    return {name: _fitting(where, name, found[name], want) for name, want in expected.items()}


def _fitting(where: str, name: str, found: Tensor, want: Tensor) -> Tensor:
    if found.shape != want.shape:
        raise BundleError(
            f"{where}: {name} has shape {tuple(found.shape)}, but the labels and sizes in "
            f"{MANIFEST_FILE} need {tuple(want.shape)}"
        )
    allowed = (torch.float32, torch.float16) if want.is_floating_point() else (want.dtype,)
    if found.dtype not in allowed:
        raise BundleError(f"{where}: {name} is {found.dtype}, expected one of {allowed}")
    if not bool(torch.isfinite(found).all()):
        raise BundleError(f"{where}: {name} holds NaN or infinity; train and save it again")
    return found.to(want.dtype, copy=True)


def short(value: Any) -> str:
    """`repr` of a stranger's value, cut to a length that fits a message."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of too many digits
        text = type(value).__name__
    return text if len(text) <= 60 else text[:57] + "..."


def one_line(error: Exception) -> str:
    """An error's text, on one line and of a length that fits a message."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = text if text.isprintable() else repr(text)
    return text if len(text) <= 300 else text[:297] + "..."


def _beside(path: Path) -> str:
    """Where a bundle lies beside something that is none, as advice."""
    for folder in (path.parent, path.parent / "bundle"):
        if (folder / MANIFEST_FILE).is_file():
            return f"; there is one in {folder}"
    return ""


def _not_opened(folder: Path, name: str, error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return f"{name} is a link; put the file itself there"
    if error.errno == errno.ENOTDIR:
        return (
            "is a file; a bundle is a folder with bundle.json and weights.safetensors, and other "
            "files of weights are not read, since loading a pickle can run any code"
            + _beside(folder)
        )
    if error.errno != errno.ENOENT:
        return f"{name} cannot be read ({error.strerror})"
    if not folder.is_dir():
        return "there is no such bundle; give the folder that holds bundle.json" + _beside(folder)
    try:
        pickles = sorted(file.name for file in folder.iterdir() if file.suffix in PICKLES)
    except OSError:
        pickles = []
    if pickles:
        return (
            f"{name} is missing, and {short(pickles[0])} is not read, since loading a pickle can "
            "run any code; save the model again with `save_bundle`"
        )
    return f"{name} is missing, so this is no whole bundle; {AGAIN}"
