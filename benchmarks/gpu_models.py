"""ResNet-50 and ViT-B/32 in bf16 on one GPU: our encoders and trainer against timm's models in a
loop like that of timm's benchmark script, which is no part of its package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import timm
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor, nn

from benchmarks.timing import compare
from hybridlab.encoders.clip_hub import build_clip
from hybridlab.encoders.cnn import build_cnn
from hybridlab.training.speed import with_channels_last
from hybridlab.training.stage import Part, Stage
from hybridlab.training.throughput import finish
from hybridlab.training.trainer import train_stages

LABELS, SIDE, BATCH, STEPS = 80, 224, 256, 20
# ours -> timm's name of the same architecture
PAIRS = {"resnet50": "resnet50", "ViT-B-32": "vit_base_patch32_clip_224"}


class Labelled(nn.Module):
    """One of our encoders with a linear head on its pooled vector."""

    def __init__(self, name: str):
        super().__init__()
        torch.manual_seed(0)
        self.encoder: Any = (
            build_clip(name, pretrained=False) if name.startswith("ViT") else
            build_cnn(name, pretrained=False)
        )
        self.head = nn.Linear(self.encoder.dim, LABELS)

    def forward(self, pixels: Tensor) -> Tensor:
        if hasattr(self.encoder, "encode_image"):
            return self.head(self.encoder.encode_image(pixels).image_emb)
        return self.head(self.encoder(pixels).pooled)


class OnDevice:
    """Rows of noise that lie on the device, as timm's script has them: what is timed is the model
    and the loop, not the reading of pictures."""

    rows_meet, n_held = False, 0

    def __init__(self, rows: int, batch: int, side: int, device: torch.device):
        self.n_samples = rows
        draw = torch.Generator(device).manual_seed(0)
        self.images = torch.randn(batch, 3, side, side, device=device, generator=draw)
        self.targets = (torch.rand(batch, LABELS, device=device, generator=draw) < 0.04).float()

    def describe(self) -> Mapping[str, Any]:
        return {}

    def difficulty(self, name: str) -> tuple[float, ...]:
        raise ValueError(f"curriculum is {name!r}; noise has none")

    def batch(self, rows: Tensor, stage: Stage, epoch: int) -> dict[str, Tensor]:
        return {"images": self.images[: len(rows)], "targets": self.targets[: len(rows)]}

    def counts(self, rows: Tensor, stage: Stage) -> dict[str, float]:
        return {"bce": float(len(rows) * LABELS)}

    def sums(self, model: nn.Module, batch: Any, stage: Stage) -> dict[str, Tensor]:
        logits = model(batch["images"])
        return {"bce": F.binary_cross_entropy_with_logits(
            logits.float(), batch["targets"], reduction="sum")}

    def predict(self, model: nn.Module, rows: Tensor, stage: Stage) -> Tensor:
        return torch.empty(0)

    def score(self, predictions: Tensor) -> float:
        return 0.0


def measure(
    accelerator: str = "cuda", pairs: Mapping[str, str] = PAIRS, side: int = SIDE,
    batch: int = BATCH, steps: int = STEPS, rounds: int = 5,
) -> dict[str, object]:
    """ratio = the least of four: timm's seconds / ours, of training and of inference of both
    models; 0.95 or more is the aim. `each` has all four."""
    fabric = Fabric(accelerator=accelerator, devices=1, precision="bf16-mixed")
    fabric.launch()
    device, found = fabric.device, {}
    sizes = {"batch": batch, "image_size": side, "steps": steps,
             "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu"}
    for name, timms in pairs.items():
        ours = with_channels_last(Labelled(name)).to(device)
        theirs = with_channels_last(timm.create_model(timms, num_classes=LABELS)).to(device)
        data = OnDevice(steps * batch, batch, side, device)
        stage = Stage("all", (Part("", 1e-4, statistics=True),), epochs=1, batch_size=batch,
                      clip=0.0, weights={"bce": 1.0})
        for what, (one, two) in {
            "training": (
                lambda model=ours, data=data, stage=stage: train_stages(  # type: ignore[misc]
                    model, data, [stage], fabric),
                _timms_loop(theirs, data, steps),
            ),
            "inference": (_inference(ours, data, steps), _inference(theirs, data, steps)),
        }.items():
            found[f"{name} {what}"] = compare(
                "gpu_models", _waiting(one, device), _waiting(two, device), sizes,
                ("torch", "timm", "lightning-fabric"), rounds=rounds,
            )
        ours.cpu(), theirs.cpu()
    least = min(found.values(), key=lambda each: float(each["ratio"]))  # type: ignore[arg-type]
    return {**least, "each": {name: each["ratio"] for name, each in found.items()}}


def _timms_loop(model: nn.Module, data: OnDevice, steps: int) -> Callable[[], object]:
    """Steps as timm's benchmark script takes them: nothing is asked of the device until the end."""
    optimiser = torch.optim.AdamW(model.parameters(), 1e-4)

    def loop() -> None:
        model.train()
        for _ in range(steps):
            optimiser.zero_grad()
            with torch.autocast(data.images.device.type, torch.bfloat16):
                logits = model(data.images)
                loss = F.binary_cross_entropy_with_logits(logits.float(), data.targets)
            loss.backward()
            optimiser.step()

    return loop


def _inference(model: nn.Module, data: OnDevice, steps: int) -> Callable[[], object]:
    @torch.no_grad()
    def loop() -> None:
        model.eval()
        with torch.autocast(data.images.device.type, torch.bfloat16):
            for _ in range(steps):
                model(data.images)

    return loop


def _waiting(job: Callable[[], object], device: torch.device) -> Callable[[], object]:
    def whole() -> None:
        job()
        finish(device)

    return whole
