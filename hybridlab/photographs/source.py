"""Photographs as what a training learns from: read from their files when they are needed.

Each encoder sees a picture in training exactly as `hybridlab predict` will show it: the file, and
that encoder's own preprocessing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hybridlab.data.images import load_image
from hybridlab.data.photos import PhotoDataset
from hybridlab.encoders.preprocessing import Preprocessing
from hybridlab.photographs.kept import ENDING, kept_pictures
from hybridlab.picture_source import Leave
from hybridlab.training.augmentation import ObjectBoxes
from hybridlab.zeroshot.prompts import build_prompts

CHUNK = 64  # pictures that are in memory at once, at an encoder's size


class PhotoSource:
    """Photographs in three splits.

    Args:
        splits: "train", "val" and "test", with the same labels.
        keep: folder for pictures that are looked at again and again.

    Raises:
        ValueError: splits of different labels, or labels that make no sentence.
    """

    noun = "pictures"
    scenes = False

    def __init__(self, splits: Mapping[str, PhotoDataset], keep: Path):
        if len({data.vocabulary for data in splits.values()}) > 1:
            raise ValueError("the splits have different labels; read them with one vocabulary")
        self.splits, self.keep = dict(splits), keep
        self.vocabulary = self.splits["train"].vocabulary
        self.texts = build_prompts(self.vocabulary.names).spoken
        self.targets = {split: torch.from_numpy(data.label_matrix())
                        for split, data in self.splits.items()}

    def chunks(
        self, split: str, begin: int, end: int, preprocessing: Preprocessing
    ) -> Iterator[Tensor]:
        """Pictures begin to end, squares of the encoder's size; full ones are in memory only while
        they are decoded.

        Raises:
            ImageError: a file that gives no picture any more.
        """
        photos = self.splits[split]

        def square(row: int) -> Tensor:
            image = load_image(photos.path(row), max_pixels=photos.max_pixels)
            return preprocessing.squares([image]).round().to(torch.uint8)

        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for first in range(begin, end, CHUNK):
                yield torch.cat(list(pool.map(square, range(first, min(first + CHUNK, end)))))

    def pictures(
        self, split: str, looks: Sequence[Preprocessing], leave: Leave = lambda: None
    ) -> Tensor:
        """All pictures of a split, in a file that is mapped into memory.

        For one encoder they are what it reads. Two share them at the larger of their sizes, and
        one then makes them smaller; in prediction it does so from the file.

        Raises:
            ValueError: as `shared_look`.
            ImageError: a file that gives no picture any more.
        """
        photos, look = self.splits[split], shared_look(looks)
        facts: dict[str, Any] = {
            "size": look.image_size, "interpolation": look.interpolation, "mode": look.resize_mode,
            "border": look.mean if look.resize_mode == "pad" else None,
            "data": photos.fingerprint(), "form": 1,
        }
        name = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]

        def make() -> Iterator[Tensor]:
            for few in self.chunks(split, 0, len(photos), look):
                leave()
                yield few

        return kept_pictures(self.keep / f"{name}{ENDING}", len(photos), look.image_size, make)

    def boxes(self, split: str, looks: Sequence[Preprocessing]) -> ObjectBoxes | None:
        """Of the annotations, where they have some; a label without one stays in every crop."""
        boxes, side = self.splits[split].annotations.boxes, shared_look(looks).image_size
        if boxes is None or shared_look(looks).resize_mode != "squash":
            return None
        counts = np.diff(boxes.starts) * (boxes.sizes > 0).all(axis=1)  # of which the size is told
        most = int(counts.max(initial=0))
        labels = torch.full((len(counts), most), -1)
        corners = torch.zeros(len(counts), most, 4)
        for row, count in enumerate(counts.tolist()):
            rows = slice(boxes.starts[row], boxes.starts[row] + count)
            scale = np.tile(side / np.maximum(boxes.sizes[row], 1), 2)
            labels[row, :count] = torch.from_numpy(boxes.labels[rows].astype(np.int64))
            found = (boxes.corners[rows] * scale).clip(0, side)
            corners[row, :count] = torch.from_numpy(found.astype(np.float32))
        return ObjectBoxes(labels, corners)

    def clutter(self, split: str) -> Tensor:
        """Nobody knows what hides what.

        Raises:
            ValueError: always.
        """
        raise ValueError("how crowded photographs are is not known; give --curriculum labels")

    def label_sets(self, count: int) -> Tensor:
        """There are no more than those of the pictures.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            "there are no more label sets than those of the training pictures; leave "
            "--language-sets out"
        )

    def facts(self) -> dict[str, Any]:
        """How many pictures, and the fingerprint of each split."""
        return {"data": {split: {"pictures": len(data), "fingerprint": data.fingerprint()}
                         for split, data in self.splits.items()}}


def shared_look(looks: Sequence[Preprocessing]) -> Preprocessing:
    """How pictures are kept for one encoder, or for two.

    Raises:
        ValueError: two encoders of which one crops or pads: they do not see the same picture.
    """
    first, *others = dict.fromkeys(looks)
    if not others:
        return first
    if any(each.resize_mode != "squash" for each in looks):
        modes = ", ".join(f"{each.resize_mode} to {each.image_size}" for each in looks)
        raise ValueError(
            f"both encoders look at each picture anew in this plan, and prepare it otherwise "
            f"({modes}); choose a plan in which the CNN rests (frozen, gentle, gradual), without "
            "--augment, or a CLIP that squashes, such as SigLIP"
        )
    return replace(first, image_size=max(each.image_size for each in looks))
