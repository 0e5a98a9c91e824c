"""`hybridlab predict` over a folder of photos, into JSON lines, against a loop of the model."""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image

from benchmarks.timing import compare, seconds
from hybridlab.bundle import load_bundle, shipped_bundle
from hybridlab.data.scenes import SceneDataset
from hybridlab.predict import main_predict

PHOTOS, SIDE, BATCH = 64, 480, 32


def measure() -> dict[str, object]:
    """ratio = seconds of a loop that reads, resizes and runs the model, and keeps nothing /
    seconds of `hybridlab predict` with its checks, decisions and a file that can be gone on with;
    0.9 is 10 % of overhead. `model_only`: the same against the model alone, on pixels that are
    ready: what reading and resizing cost."""
    bundle = load_bundle(shipped_bundle())
    model = bundle.model
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scenes = SceneDataset(PHOTOS, "test")
        for at in range(PHOTOS):
            photo = Image.fromarray(scenes[at].image).resize((SIDE, SIDE * 3 // 4))
            photo.save(folder / f"{at:03}.jpg", quality=90)
        paths = sorted(folder.glob("*.jpg"))
        runs = iter(range(1_000))

        def ours() -> None:
            with contextlib.redirect_stderr(io.StringIO()):
                status = main_predict(
                    bundle, [folder], output="jsonl", out=folder / f"{next(runs)}.jsonl"
                )
            assert status == 0

        @torch.inference_mode()
        def bare() -> None:
            for start in range(0, PHOTOS, BATCH):
                images = [np.array(Image.open(path).convert("RGB"))
                          for path in paths[start : start + BATCH]]
                model(model.cnn.preprocessing(images), model.clip.preprocessing(images))

        images = [np.array(Image.open(path).convert("RGB")) for path in paths]
        pixels = [
            (model.cnn.preprocessing(images[at : at + BATCH]),
             model.clip.preprocessing(images[at : at + BATCH]))
            for at in range(0, PHOTOS, BATCH)
        ]

        @torch.inference_mode()
        def model_only() -> None:
            for each in pixels:
                model(*each)

        found = compare(
            "predict_vs_loop", ours, bare,
            {"pictures": PHOTOS, "pixels": f"{SIDE} x {SIDE * 3 // 4}", "batch": BATCH,
             "threads": torch.get_num_threads()},
            ("torch", "pillow"), rounds=5,
        )
        alone = median(seconds(model_only) for _ in range(5))
    return {**found, "model_only": round(alone / float(found["ours_s"]), 2)}  # type: ignore[arg-type]
