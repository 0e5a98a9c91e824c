"""Drawing scenes on one core against one thread of EfficientNet-Lite0's forward pass."""

from __future__ import annotations

import torch

from benchmarks.timing import compare
from hybridlab.data.scenes import SceneDataset
from hybridlab.encoders.cnn import build_cnn

BATCH, SIDE = 25, 96  # the batch at which the encoder is fastest on one thread


def measure() -> dict[str, object]:
    """ratio = seconds to encode a batch / seconds to draw it; 5 or more keeps an encoder busy."""
    torch.set_num_threads(1)
    cnn = build_cnn("efficientnet_lite0").eval().to(memory_format=torch.channels_last)
    pixels = torch.randn(BATCH, 3, SIDE, SIDE).to(memory_format=torch.channels_last)
    scenes = SceneDataset(10**6)
    at = iter(range(0, 10**6, BATCH))

    def draw() -> None:
        first = next(at)  # fresh scenes each time: nothing is remembered
        for index in range(first, first + BATCH):
            scenes[index]

    @torch.inference_mode()
    def encode() -> None:
        cnn(pixels)

    return compare(
        "scenes_vs_encoder",
        draw,
        encode,
        {"scenes": BATCH, "image_size": SIDE, "threads": 1},
        ("torch", "timm", "numpy", "pillow"),
    )
