"""A step of the whole hybrid in phase 2 on a GPU, against its parts by themselves."""

from __future__ import annotations

import torch
from lightning_fabric import Fabric

from benchmarks.phases import BATCH, LABELS, data, hybrid, phase_2, task
from benchmarks.timing import compare, seconds
from hybridlab.fusion.view import View
from hybridlab.training.freezing import only_these_learn
from hybridlab.training.throughput import finish
from hybridlab.training.trainer import train_stages

BATCHES = (64, 256, 1024)
SIDE = 96


def measure(
    accelerator: str = "cuda", batches: tuple[int, ...] = BATCHES, steps: int = 8, rounds: int = 5,
) -> dict[str, object]:
    """ratio = seconds of the parts by themselves (the pictures to the device, CLIP's tower there
    and back, fusion and heads there and back) / seconds of a step of the trainer, each in bf16.
    `images_per_second`: of the trainer, by batch."""
    fabric = Fabric(accelerator=accelerator, devices=1, precision="bf16-mixed")
    fabric.launch()
    device, model, whole = fabric.device, hybrid(), task(steps * BATCH, pictures=True)
    stage = phase_2(1)

    def trained() -> None:
        train_stages(model, whole, [stage], fabric)
        finish(device)

    rows = data(BATCH, pictures=True)
    assert rows.images is not None
    images, tower = rows.images, model.clip.vision
    kept = View(torch.randn(BATCH, 256, device=device), torch.randn(BATCH, 16, 256, device=device))
    rnn = View(rows.rnn.pooled.to(device), None if rows.rnn.tokens is None else
               rows.rnn.tokens.to(device))

    def parts() -> None:
        model.to(device)
        with only_these_learn(model, stage.parts):
            for _ in range(steps):
                pixels = model.clip.preprocessing(images.to(device))
                with torch.autocast(device.type, torch.bfloat16):
                    seen = tower(pixels)
                (seen[0] if isinstance(seen, tuple) else seen).float().sum().backward()
                with torch.autocast(device.type, torch.bfloat16):
                    logits = model.fuse(rnn, kept).logits
                logits.float().sum().backward()
        finish(device)

    found = compare(
        "gpu_hybrid", trained, parts,
        {"batch": BATCH, "image_size": SIDE, "labels": LABELS, "steps": steps,
         "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu"},
        ("torch", "timm", "lightning-fabric"), rounds=rounds,
    )
    return {**found, "images_per_second": {
        str(batch): round(_rate(fabric, batch, steps), 1) for batch in batches}}


def _rate(fabric: Fabric, batch: int, steps: int) -> float:
    from dataclasses import replace

    model, rows = hybrid(), task(batch * 2, pictures=True)
    stage = replace(phase_2(max(1, steps // 2)), batch_size=batch)

    def once() -> None:
        train_stages(model, rows, [stage], fabric)
        finish(fabric.device)

    once()
    return stage.epochs * len(rows.train) / seconds(once)
