"""Reading features of random rows from the cache against encoding the pictures."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from benchmarks.timing import compare
from hybridlab.data.scenes import SceneDataset
from hybridlab.encoders.cnn import build_cnn
from hybridlab.training.feature_cache import cached
from hybridlab.training.features import cnn_features, scene_images

ROWS, BATCH = 1024, 64


def measure() -> dict[str, object]:
    """ratio = seconds to encode a batch / seconds to read one; 100 or more is the aim. The file is
    new, and so in the memory of the system; the rows are read through the map, as in training."""
    cnn = build_cnn("efficientnet_lite0", stage="stage5", image_size=192, pretrained=False)
    cnn = cnn.eval().to(memory_format=torch.channels_last)
    images = scene_images(SceneDataset(BATCH))[0]
    one = cnn_features(cnn, images)
    whole = {name: value.repeat(ROWS // BATCH, *[1] * (value.dim() - 1))
             for name, value in one.items()}
    draw = torch.Generator().manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        cached(Path(folder), "features", lambda: whole)
        mapped = cached(Path(folder), "features", lambda: whole)

        def read() -> None:
            for _ in range(20):
                rows = torch.randint(0, ROWS, (BATCH,), generator=draw)
                mapped["tokens"][rows].float()

        def encode() -> None:
            for _ in range(2):
                cnn_features(cnn, images)

        found = compare(
            "cache_vs_recompute", read, encode,
            {"batch": BATCH, "tokens": list(one["tokens"].shape[1:]), "image_size": 192,
             "threads": torch.get_num_threads()},
            ("torch", "safetensors", "timm"),
        )
    # 20 batches are read in the time of ours, 2 are encoded in the time of the other
    return {**found, "ratio": round(10 * float(found["ratio"]), 1)}  # type: ignore[arg-type]
