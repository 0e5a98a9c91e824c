"""The study `parts`, 12 variants x 5 seeds: parts shared through a store, or each run from nothing.

A run from nothing finds no store and builds its encoders; it need not start Python, which would
add some seconds to each. Both sides run in one process. This takes half an hour: the ratio hangs on
the sizes, so those of the study itself are measured.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

from benchmarks.timing import seconds, versions


def measure() -> dict[str, object]:
    """`ratio`: time of the study without sharing over its time with a shared store.

    The sides take turns, seed by seed, so that a machine that is busy for a while slows both.
    """
    from hybridlab import frozen
    from hybridlab.studies.parts import STUDY
    from hybridlab.studies.small_world import run

    configs = [STUDY.config(name) for name in STUDY.variants]
    ours = other = 0.0
    with tempfile.TemporaryDirectory() as warm, tempfile.TemporaryDirectory() as store:
        run({**STUDY.config(STUDY.reference), "train": 64, "val": 32, "test": 32}, 0, Path(warm))
        for seed in STUDY.seeds:
            frozen.forget()
            for config in configs:
                ours += seconds(partial(run, config, seed, Path(store)))
            for config in configs:
                frozen.forget()
                with tempfile.TemporaryDirectory() as empty:
                    other += seconds(partial(run, config, seed, Path(empty)))
    return {
        "name": "ablation_sharing",
        "ratio": round(other / ours, 2),
        "ours_s": round(ours, 1),
        "other_s": round(other, 1),
        "rounds": 1,
        "sizes": {"variants": len(configs), "seeds": len(STUDY.seeds), "study": STUDY.name},
        "versions": versions("torch", "timm"),
    }
