"""A small bundle of random weights whose decisions differ, and pictures for it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from hybridlab.bundle import save_bundle
from hybridlab.data.sample import Vocabulary
from hybridlab.decoder.cnn_rnn import LabelDecoder
from hybridlab.encoders.clip import build_tiny_clip
from hybridlab.encoders.cnn import build_cnn
from hybridlab.fusion.view import View
from hybridlab.model import HybridClassifier
from hybridlab.predict import Predictor, settings_key

NAMES = ("cow", "glass of milk", "Käse 🧀", "bus", "egg", "owl")
THRESHOLDS = np.array([0.3, 0.4, 0.5, 0.5, 0.6, 0.7])


def make_bundle(folder: Path, thresholds: np.ndarray = THRESHOLDS) -> Path:
    cnn = build_cnn("efficientnet_lite0", stage="stage4", image_size=64)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        clip = build_tiny_clip(pretrained=False)
        text_emb = F.normalize(torch.randn(len(NAMES), clip.dim), dim=-1)
        decoder = LabelDecoder(cnn.dim, len(NAMES), dim=16, max_steps=4)
        model = HybridClassifier(cnn, decoder, clip, text_emb, dim=16).eval()
        with torch.no_grad():
            # random heads are all alike at 0.05: spread them, so that decisions differ
            model.label_head.linear.weight.mul_(12)
            model.label_head.linear.bias.zero_()
            decoder.score.weight.mul_(8)
            decoder.score.bias[-1] -= 4  # STOP would always come first
            images = [pixels(seed) for seed in range(8)]
            seen = model(cnn.preprocessing(images), clip.preprocessing(images))
            model.fit_views(View(seen.h_rnn), View(seen.h_clip))
    return save_bundle(folder, model, Vocabulary(NAMES), thresholds, info={}, half=True)


def make_album(folder: Path) -> Path:
    """Forty pictures, and among them one that is none."""
    folder.mkdir()
    for at in range(40):
        Image.fromarray(pixels(at)).save(folder / f"{at:02}.png")
    (folder / "20.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    return folder


def read_lines(path: Path) -> list[dict]:
    """What a run wrote, of either kind, in the words of the JSON one."""
    text = path.read_text(encoding="utf-8")
    if ".jsonl" in path.name:
        return [json.loads(line) for line in text.splitlines()]
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == ["picture", "labels", "problem", *(f"p({name})" for name in NAMES)]
    return [
        {"source": row["picture"], "problem": row["problem"]} if row["problem"] else {
            "source": row["picture"],
            "labels": [{"label": name} for name in row["labels"].split("; ") if name],
            "scores": {name: {"probability": float(row[f"p({name})"])} for name in NAMES},
        }
        for row in rows
    ]


def parts(folder: Path) -> list[str]:
    """Files that are still growing there, and their locks."""
    return sorted(path.name for path in folder.iterdir() if ".part-" in path.name)


def stopped(bundle: Path, out: Path, data: bytes, output: str) -> Path:
    """Leave what is there after a run was killed that had written `data` for `out`."""
    out.unlink(missing_ok=True)
    part = out.with_name(f"{out.name}.part-{settings_key(Predictor(bundle), output)}")
    part.write_bytes(data)
    return part


def pixels(seed: int, height: int = 40, width: int = 56) -> np.ndarray:
    blocks = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return np.array(Image.fromarray(blocks).resize((width, height)))
