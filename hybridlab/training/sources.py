"""A hash of the code that trains, so that what older code trained is not taken for new."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
# What a trained part depends on, the metric by which its best epoch is chosen among it. Drawing and
# encoding have marks of their own: the version of the drawing code, and hashes of weights and
# preprocessing.
TRAINED_BY = (
    "decoder", "fusion", "training", "heads.py", "losses.py", "alignment.py", "total_loss.py",
    "model.py", "frozen.py", "part_keys.py", "part_store.py", "workshop.py",
    "evaluation/average_precision.py", "evaluation/inputs.py",
)


@cache
def training_code() -> str:
    """Names the sources under `TRAINED_BY`: 16 hexadecimal characters."""
    digest = hashlib.sha256()
    for name in TRAINED_BY:
        place = PACKAGE / name
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(file.relative_to(PACKAGE).as_posix().encode() + b"\0")
            digest.update(file.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()[:16]
