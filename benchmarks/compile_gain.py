"""Training a step of Lite0 compiled, against as it is."""

from __future__ import annotations

import torch

from benchmarks.timing import compare
from hybridlab.encoders.cnn import build_cnn
from hybridlab.training.speed import compiled, with_channels_last

BATCH, SIDE = 32, 96


def measure() -> dict[str, object]:
    """ratio = seconds as it is / seconds compiled, forward and backward, both channels last;
    `failed` says why, where compiling does not work here."""
    usual, ours = (with_channels_last(build_cnn("efficientnet_lite0", pretrained=False).eval())
                   for _ in range(2))
    pixels = torch.randn(BATCH, 3, SIDE, SIDE)

    def learn(cnn: torch.nn.Module) -> None:
        cnn(pixels).pooled.sum().backward()

    said: list[str] = []
    compiled([ours.trunk], lambda: learn(ours), said.append)  # type: ignore[list-item]
    found = compare(
        "compile_gain", lambda: learn(ours), lambda: learn(usual),
        {"batch": BATCH, "image_size": SIDE, "threads": torch.get_num_threads()},
        ("torch", "timm"),
    )
    return {**found, **({"failed": said[0]} if said else {})}
