"""How much of a step of phase 2 is spent in the model, when its pictures are augmented."""

from __future__ import annotations

import torch

from benchmarks.phases import BATCH, hybrid, phase_2, task
from benchmarks.timing import compare
from hybridlab.training.freezing import only_these_learn
from hybridlab.training.task import Step


def measure() -> dict[str, object]:
    """ratio = seconds of forward and backward / seconds with making the batch, on the same cores
    and without a worker; 0.9 or more is the aim."""
    data, model, stage = task(2 * BATCH, pictures=True), hybrid(), phase_2(1, augment="clip")
    step, rows = Step(model, data, stage), torch.arange(BATCH)
    ready, counts = data.batch(rows, stage, 0), data.counts(rows, stage)

    def learn(batch: dict[str, object]) -> None:
        with only_these_learn(model, stage.parts):
            step(batch, counts)[0].backward()

    return compare(
        "data_share",
        lambda: learn(data.batch(rows, stage, 0)), lambda: learn(ready),
        {"batch": BATCH, "image_size": 96, "augment": "clip", "threads": torch.get_num_threads()},
        ("torch", "torchvision"),
    )
