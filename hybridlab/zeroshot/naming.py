"""What a CLIP knows beside the task it is tuned on: can it still name things that no scene shows?

Tuning a tower on 80 labels may spoil what it knew of all others ("catastrophic forgetting"). The
pictures here show one emoji each, none of them a label of the world.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from hybridlab.data.captioned import CaptionedPictures, catalogue
from hybridlab.data.world import LABEL_NAMES
from hybridlab.encoders.clip import ClipEncoder
from hybridlab.training.features import clip_features

SEED, SIDE = 4242, 128  # pictures of their own; as large as the tiny CLIP takes them


@lru_cache(maxsize=2)
def other_things(count: int) -> tuple[Tensor, tuple[int, ...], tuple[str, ...]]:
    """Pictures of single emoji that are no labels of the world.

    Args:
        count: N.

    Returns:
        images (N, 3, H, W) uint8; for each the place of its name among all names; and the names of
        all U emoji that might be shown.

    Raises:
        ValueError: a count below 1.
    """
    if count < 1:
        raise ValueError(f"count is {count}; give 1 or more")
    drawn, index = CaptionedPictures(SIDE, seed=SEED, singles=1.0), 0
    images: list[np.ndarray] = []
    shown: list[int] = []
    while len(images) < count:
        picture = drawn[index]
        index += 1
        if picture.shown[0] >= len(LABEL_NAMES):
            images.append(picture.image)
            shown.append(picture.shown[0] - len(LABEL_NAMES))
    names = tuple(options[0] for options in catalogue().names[len(LABEL_NAMES):])
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2), tuple(shown), names


@torch.no_grad()
def other_names(clip: ClipEncoder) -> Tensor:
    """(U, D): the names of `other_things` as a text tower has them; encode them before the tower is
    taken away or changed."""
    return clip.encode_text(list(other_things(1)[2]))


@torch.no_grad()
def naming(clip: ClipEncoder, text_emb: Tensor, count: int = 400) -> float:
    """The share of pictures whose own name comes first among all U names.

    Args:
        clip: its image tower, as it is now.
        text_emb: (U, D) of `other_names`.
        count: pictures.

    Raises:
        ValueError: text_emb of another number of names, or a count below 1.
    """
    images, shown, names = other_things(count)
    if len(text_emb) != len(names):
        raise ValueError(
            f"text_emb has {len(text_emb)} rows for {len(names)} names; see `other_names`"
        )
    image_emb = clip_features(clip, images)["image_emb"]
    first = (image_emb @ text_emb.cpu().T).argmax(dim=1)
    return float((first == torch.tensor(shown)).double().mean())
