"""Twelve variants x two seeds: parts shared through a store, against each run from nothing.

The recipe is that of the study `parts` with fewer scenes. A run from nothing finds no store and
builds its encoders; it need not start Python, which would add some seconds to each.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.timing import compare

SEEDS = (0, 1)
SCENES = {"train": 240, "val": 80, "test": 120, "batch_size": 32}


def measure() -> dict[str, object]:
    """`ratio`: time of the study without sharing over its time with a shared store."""
    from hybridlab import frozen
    from hybridlab.studies.parts import STUDY
    from hybridlab.studies.small_world import run

    configs = [{**STUDY.config(name), **SCENES} for name in STUDY.variants]
    runs = [(config, seed) for config in configs for seed in SEEDS]

    def shared() -> None:
        frozen.forget()
        with tempfile.TemporaryDirectory() as folder:
            for config, seed in runs:
                run(config, seed, Path(folder))

    def each_from_nothing() -> None:
        for config, seed in runs:
            frozen.forget()
            with tempfile.TemporaryDirectory() as folder:
                run(config, seed, Path(folder))

    sizes: dict[str, object] = {"variants": len(configs), "seeds": len(SEEDS), **SCENES}
    return compare(
        "ablation_sharing", shared, each_from_nothing, sizes, ("torch", "timm"), rounds=2
    )
