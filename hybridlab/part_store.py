"""Where the parts of an experiment are kept: in memory, and on disk under their keys."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch

from hybridlab.training.feature_cache import Tensors, cached, peek

SECONDS = "seconds"  # a tensor that is kept with each part


class PartStore:
    """Parts that were made or read, by key, and what each took to make."""

    def __init__(self) -> None:
        self._parts: dict[str, Tensors] = {}
        self._on_the_way = 0.0

    def made(self, folder: Path | None, key: str, compute: Callable[[], Tensors]) -> Tensors:
        """A part from memory, from disk, or made now.

        What it took to make, without the parts that it asked for, is kept with it.

        Args:
            folder: None keeps it in memory only.
        """
        if key not in self._parts:
            started, outer = time.perf_counter(), self._on_the_way
            self._on_the_way = 0.0

            def timed() -> Tensors:
                made = compute()
                own = time.perf_counter() - started - self._on_the_way
                return {**made, SECONDS: torch.tensor([own])}

            self._parts[key] = cached(folder, key, timed)
            self._on_the_way = outer + time.perf_counter() - started
        return {name: value for name, value in self._parts[key].items() if name != SECONDS}

    def seconds(self, folder: Path | None, key: str) -> float | None:
        """What a part took to make, whoever made it; None if it was never made."""
        kept = self._parts.get(key) or peek(folder, key, SECONDS)
        return float(kept[SECONDS]) if SECONDS in kept else None
