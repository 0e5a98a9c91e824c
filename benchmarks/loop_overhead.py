"""The trainer against a bare PyTorch loop that takes the same steps of phase 2."""

from __future__ import annotations

import torch
from lightning_fabric import Fabric

from benchmarks.bare import bare_loop
from benchmarks.phases import BATCH, hybrid, phase_1, phase_2, task
from benchmarks.timing import compare
from hybridlab.training.trainer import train_stages

STEPS = {"phase 1": 64, "phase 2": 4}


def measure() -> dict[str, object]:
    """ratio = seconds of the bare loop / seconds of the trainer in phase 2, where a stage is long;
    0.971 is 3 % of overhead. Both take the same steps of the same task, without validation, logs or
    checkpoints. `phase_1`: the same on kept views, where a step takes a hundredth of
    the time and the set-up of a stage weighs most."""
    fabric = Fabric(accelerator="cpu", devices=1)
    fabric.launch()
    found = {}
    for name, stage, pictures in (("phase 1", phase_1(1), False), ("phase 2", phase_2(1), True)):
        data, models = task(STEPS[name] * BATCH, pictures), [hybrid() for _ in range(2)]
        found[name] = compare(
            "loop_overhead",
            lambda model=models[0], data=data, stage=stage: train_stages(  # type: ignore[misc]
                model, data, [stage], fabric),
            lambda model=models[1], data=data, stage=stage: bare_loop(  # type: ignore[misc]
                model, data, stage),
            {"steps": STEPS[name], "batch": BATCH, "threads": torch.get_num_threads()},
            ("torch", "lightning-fabric"), rounds=5,
        )
    first = found["phase 1"]
    kept = {"ratio": first["ratio"], "ours_s": first["ours_s"], "other_s": first["other_s"],
            "steps": STEPS["phase 1"]}
    return {**found["phase 2"], "phase_1": kept}
