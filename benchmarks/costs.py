"""What a step costs with more images, more labels and larger images: time, and memory per image."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from multiprocessing.connection import Connection
from statistics import median

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric

from benchmarks.phases import BATCH, LABELS, data, hybrid, phase_1, phase_2, task, views
from benchmarks.timing import seconds, versions
from hybridlab.fusion.view import View
from hybridlab.training.freezing import only_these_learn
from hybridlab.training.hybrid_data import HybridData
from hybridlab.training.hybrid_task import HybridTask
from hybridlab.training.logs import memory_mb
from hybridlab.training.task import Step
from hybridlab.training.trainer import train_stages

SIZES = (64, 96, 128, 192)
COUNTS = (500, 1000, 2000, 4000)
VOCABULARIES = (20, 80, 320, 1280)


def measure() -> dict[str, object]:
    """ratio = seconds per image of an epoch over 1,000 images / over 4,000: 1 where costs grow
    evenly with N. `by_images`, `by_labels`, `by_side`: the curves; `memory_mb_per_image` in phase 2
    is the slope between batches of 16 and of 64, each in a process of its own."""
    epochs = {count: _epoch(count) for count in COUNTS}
    found = {
        "name": "costs", "ratio": round(epochs[1000] / 1000 / (epochs[4000] / 4000), 2),
        "ours_s": round(epochs[4000], 4), "other_s": round(epochs[1000], 4),
        "by_images": {str(count): round(value, 4) for count, value in epochs.items()},
        "by_labels": {str(labels): round(_labels(labels), 5) for labels in VOCABULARIES},
        "by_side": {str(side): round(_side(side, 16), 4) for side in SIZES},
        "memory_mb_per_image": {
            str(side): round((_memory(side, 64) - _memory(side, 16)) / 48, 2) for side in SIZES
        },
        "sizes": {"batch": BATCH, "labels": LABELS, "threads": torch.get_num_threads()},
        "versions": versions("torch", "timm"),
    }
    return found


def _epoch(count: int) -> float:
    fabric = Fabric(accelerator="cpu", devices=1)
    fabric.launch()
    model, rows = hybrid(), task(count)
    return median(seconds(lambda: train_stages(model, rows, [phase_1(1)], fabric))
                  for _ in range(3))


def _labels(labels: int) -> float:
    """Seconds of a step of phase 1."""
    torch.manual_seed(0)
    rnn, clip = views(BATCH)
    targets = (torch.rand(BATCH, labels) < 0.04).float()
    none = HybridData(targets[:0], View(rnn.pooled[:0]), View(clip.pooled[:0]))
    job, model = HybridTask(HybridData(targets, rnn, clip), none), hybrid(labels=labels)
    return _step(job, model, phase_1(1), BATCH)


def _side(side: int, batch: int) -> float:
    """Seconds of a step of phase 2 on images of this side."""
    rows = data(batch, pictures=True)
    assert rows.images is not None
    images = F.interpolate(rows.images.float(), size=(side, side)).to(torch.uint8)
    none = HybridData(rows.targets[:0], View(rows.rnn.pooled[:0]), View(rows.clip.pooled[:0]))
    job, model = HybridTask(replace(rows, images=images), none), hybrid()
    model.clip.preprocessing = replace(model.clip.preprocessing, image_size=side)
    return _step(job, model, phase_2(1), batch)


def _step(job: HybridTask, model: torch.nn.Module, stage: object, batch: int) -> float:
    rows = torch.arange(batch)
    step = Step(model, job, stage)  # type: ignore[arg-type]
    counts = job.counts(rows, stage)  # type: ignore[arg-type]

    def learn() -> None:
        step(job.batch(rows, stage, 0), counts)[0].backward()  # type: ignore[arg-type]

    with only_these_learn(model, stage.parts):  # type: ignore[attr-defined]
        learn()
        return median(seconds(learn) for _ in range(5))


def _memory(side: int, batch: int) -> float:
    """The most memory that a process takes for a few steps, in MB."""
    mine, its = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(target=_grow, args=(side, batch, its))
    child.start()
    peak = float(mine.recv())
    child.join()
    return peak


def _grow(side: int, batch: int, answer: Connection) -> None:
    _side(side, batch)
    answer.send(memory_mb())
