"""Text embeddings of 250 labels x 8 prompts read from the cache, against computing them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from benchmarks.timing import compare
from hybridlab.encoders.clip import build_tiny_clip
from hybridlab.zeroshot.prompts import build_prompts
from hybridlab.zeroshot.text_bank import text_bank

LABELS = 250
TEMPLATES = (
    "a picture of {}", "a photo of {}", "{}", "there is {} in the scene", "a drawing of {}",
    "a scene with {}", "a small {name}", "a close look at {}",
)


def measure() -> dict[str, object]:
    """ratio = seconds without the cache / with it; the tiny CLIP's small text tower, one thread.

    Reading includes what keeps it honest: all texts are cut into tokens, and all weights hashed.
    """
    torch.set_num_threads(1)
    clip = build_tiny_clip()
    prompts = build_prompts([f"thing number {at}" for at in range(LABELS)], TEMPLATES)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        kept, fresh = text_bank(clip, prompts, place), text_bank(clip, prompts)
        again = text_bank(clip, prompts, place)
        same = torch.equal(again.embeddings, fresh.embeddings)
        if not (same and torch.equal(kept.embeddings, fresh.embeddings)):
            raise ValueError("what was read differs from what is computed: do not time them")
        return compare(
            "text_cache",
            lambda: text_bank(clip, prompts, place),
            lambda: text_bank(clip, prompts),
            {"labels": LABELS, "prompts": len(TEMPLATES), "threads": 1},
            ("torch", "open_clip_torch", "safetensors"),
            rounds=5,
        )
