"""The study `parts`, 12 variants x 5 seeds: by the engine, or each run from nothing.

The engine has one worker here, as the other side has: what is measured is sharing, not the number
of processes. A run from nothing is a Python of its own that finds no store. This takes half an
hour: the ratio hangs on the sizes, so those of the study itself are measured.

    python -m benchmarks.ablation_sharing CONFIG SEED STORE     one run from nothing
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.timing import seconds, versions


def measure() -> dict[str, object]:
    """`ratio`: time of all runs from nothing over the engine's time for the study.

    The sides take turns, seed by seed, so that a machine that is busy for a while slows both.
    """
    from hybridlab.ablation.engine import run_study
    from hybridlab.studies.parts import STUDY

    ours = other = 0.0
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for seed in STUDY.seeds:
            one = STUDY.with_seeds([seed])
            ours += seconds(
                partial(run_study, one, place / str(seed), workers=1, store=place / "store")
            )
            for name in STUDY.variants:
                other += seconds(partial(from_nothing, STUDY.config(name), seed))
    return {
        "name": "ablation_sharing",
        "ratio": round(other / ours, 2),
        "ours_s": round(ours, 1),
        "other_s": round(other, 1),
        "rounds": 1,
        "sizes": {"variants": len(STUDY.variants), "seeds": len(STUDY.seeds), "study": STUDY.name},
        "versions": versions("torch", "timm"),
    }


def from_nothing(config: dict[str, Any], seed: int) -> None:
    """One run in a process of its own, with an empty store."""
    with tempfile.TemporaryDirectory() as store:
        subprocess.run(
            [sys.executable, "-m", __name__, json.dumps(config), str(seed), store], check=True
        )


if __name__ == "__main__":
    from hybridlab.studies.small_world import run

    run(json.loads(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
