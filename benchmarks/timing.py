"""Timing that a busy machine disturbs little: the two sides take turns, and the median counts."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from statistics import median


def compare(
    name: str,
    ours: Callable[[], object],
    other: Callable[[], object],
    sizes: dict[str, object],
    packages: tuple[str, ...],
    rounds: int = 7,
) -> dict[str, object]:
    """Time two jobs in turn, A B A B ..., after one warm-up of each.

    Returns:
        name, `ratio` (the other's time over ours: the median of the rounds' ratios), both median
        times in seconds, rounds, sizes, versions.
    """
    ours(), other()
    pairs = [(seconds(ours), seconds(other)) for _ in range(rounds)]
    return {
        "name": name,
        "ratio": round(median(theirs / own for own, theirs in pairs), 3),
        "ours_s": round(median(own for own, _ in pairs), 4),
        "other_s": round(median(theirs for _, theirs in pairs), 4),
        "rounds": rounds,
        "sizes": sizes,
        "versions": versions(*packages),
    }


def versions(*packages: str) -> dict[str, str]:
    """What a figure depends on: the day, Python, machine, packages, and CUDA where it is in use."""
    import torch

    cuda = {"cuda": str(torch.version.cuda)} if torch.cuda.is_available() else {}
    return {
        "date": date.today().isoformat(),
        "python": platform.python_version(),
        **cuda,
        "machine": platform.machine(),
        **{package: version(package) for package in packages},
    }


def seconds(job: Callable[[], object]) -> float:
    started = time.perf_counter()
    job()
    return time.perf_counter() - started
