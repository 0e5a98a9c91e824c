"""Twelve variants of one study: parts shared through a store, against each variant from nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.timing import compare

SIZES = {
    "train": 240, "val": 80, "test": 120, "cnn_size": 128, "batch_size": 32, "decoder_epochs": 6,
    "linear_epochs": 10, "fusion_epochs": 10,
}


def measure() -> dict[str, object]:
    """`ratio`: time of the study without sharing over its time with a shared store."""
    from hybridlab.studies.small_world import run
    from hybridlab.studies.views import STUDY

    configs = [{**STUDY.config(name), **SIZES} for name in STUDY.variants]

    def shared() -> None:
        with tempfile.TemporaryDirectory() as folder:
            for config in configs:
                run(config, 0, Path(folder))

    def each_from_nothing() -> None:
        for config in configs:
            with tempfile.TemporaryDirectory() as folder:
                run(config, 0, Path(folder))

    sizes: dict[str, object] = {"variants": len(configs), "seeds": 1, **SIZES}
    return compare(
        "ablation_sharing", shared, each_from_nothing, sizes, ("torch", "timm"), rounds=3
    )
