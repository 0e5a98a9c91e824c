"""An epoch of phase 1 on views mapped from disk against the same with the views in memory."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from lightning_fabric import Fabric

from benchmarks.phases import BATCH, hybrid, phase_1, task
from benchmarks.timing import compare
from hybridlab.fusion.view import View
from hybridlab.training.feature_cache import cached
from hybridlab.training.hybrid_data import HybridData
from hybridlab.training.hybrid_task import HybridTask
from hybridlab.training.trainer import train_stages

ROWS = 960


def measure() -> dict[str, object]:
    """ratio = seconds of an epoch whose data is in memory, in the precision of its arithmetic /
    seconds with data from the cache, in half precision; 0.9 or more is the aim."""
    fabric = Fabric(accelerator="cpu", devices=1)
    fabric.launch()
    in_memory = task(ROWS)
    with tempfile.TemporaryDirectory() as folder:
        tokens = {"rnn": in_memory.train.rnn.tokens, "clip": in_memory.train.clip.tokens}
        halves = {name: value.half() for name, value in tokens.items() if value is not None}
        cached(Path(folder), "views", lambda: halves)
        mapped = cached(Path(folder), "views", lambda: halves)
        train = HybridData(
            in_memory.train.targets, View(in_memory.train.rnn.pooled, mapped["rnn"]),
            View(in_memory.train.clip.pooled, mapped["clip"]),
        )
        from_disk = HybridTask(train, in_memory.held)
        ours, other = hybrid(), hybrid()
        return compare(
            "cached_epoch",
            lambda: train_stages(ours, from_disk, [phase_1(1)], fabric),
            lambda: train_stages(other, in_memory, [phase_1(1)], fabric),
            {"rows": ROWS, "batch": BATCH, "fusion": "class_attention",
             "threads": torch.get_num_threads()},
            ("torch", "safetensors"), rounds=5,
        )
