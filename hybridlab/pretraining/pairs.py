"""A batch of pictures with captions: what every method of this package learns from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hybridlab.contrastive.positives import positives_of
from hybridlab.data.captioned import CaptionedPictures
from hybridlab.data.scenes import stream


@dataclass(frozen=True, eq=False)
class Pairs:
    """B pictures, each with one caption.

    Attributes:
        images: (B, 3, S, S) uint8.
        captions: B texts.
        shown: for each picture the emoji that it shows, by their place in the catalogue.
        same: (B, B) bool, True where picture and caption are about the same emoji: their words may
            differ, but each caption is true of both pictures (trap 13).
    """

    images: Tensor
    captions: tuple[str, ...]
    shown: tuple[tuple[int, ...], ...]
    same: Tensor

    def __len__(self) -> int:
        return len(self.captions)


def draw_pairs(pictures: CaptionedPictures, step: int, batch_size: int) -> Pairs:
    """The batch of one step. It depends on the pictures' settings, the step and the batch size
    alone, so every method meets the same pictures and the same words.

    Args:
        step: 0 or more; other steps draw other pictures.
        batch_size: B.

    Raises:
        ValueError: step is below 0, or batch_size below 1.
    """
    if step < 0 or batch_size < 1:
        raise ValueError(
            f"step is {step} and batch_size {batch_size}; give a step from 0 and 1 or more pairs"
        )
    draw = stream(pictures.seed, 79, step)
    samples = [pictures[step * batch_size + at] for at in range(batch_size)]
    shown = tuple(sample.shown for sample in samples)
    images = torch.from_numpy(np.stack([sample.image for sample in samples])).permute(0, 3, 1, 2)
    return Pairs(
        images,
        tuple(pictures.caption(each, draw) for each in shown),
        shown,
        positives_of([frozenset(each) for each in shown]),
    )
