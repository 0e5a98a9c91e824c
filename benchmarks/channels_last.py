"""Training a step of Lite0 with weights and pixels kept channels last, against the usual order."""

from __future__ import annotations

import torch

from benchmarks.timing import compare
from hybridlab.encoders.cnn import build_cnn
from hybridlab.training.speed import with_channels_last

BATCH, SIDE = 32, 96


def measure() -> dict[str, object]:
    """ratio = seconds of the usual order / seconds of channels last, forward and backward."""
    usual, ours = (build_cnn("efficientnet_lite0", pretrained=False).eval() for _ in range(2))
    with_channels_last(ours)
    pixels = torch.randn(BATCH, 3, SIDE, SIDE)

    def learn(cnn: torch.nn.Module) -> None:
        cnn(pixels).pooled.sum().backward()

    return compare(
        "channels_last", lambda: learn(ours), lambda: learn(usual),
        {"batch": BATCH, "image_size": SIDE, "threads": torch.get_num_threads()},
        ("torch", "timm"),
    )
