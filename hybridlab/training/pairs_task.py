"""Pictures with captions as a task of the trainer: CLIP's own loss, in which rows of a batch meet.

Each picture's negatives are the other captions of the batch, so a batch in parts is another loss,
and several processes have to show each other what they see, with gradients (trap 15).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from hybridlab.contrastive.positives import positives_of
from hybridlab.contrastive.processes import gather_keys
from hybridlab.contrastive.retrieval import recall_at_k
from hybridlab.contrastive.softmax import clip_loss
from hybridlab.contrastive.temperature import CLIP_MOST
from hybridlab.encoders.clip import ClipEncoder
from hybridlab.training.augmentation import augmentation
from hybridlab.training.hybrid_data import some
from hybridlab.training.stage import Stage
from hybridlab.training.task import pictures_hash

_ROWS = 256  # pairs that are looked at at once where nothing is learnt


class PairsTask:
    """Data, loss and score of a CLIP model on pictures with captions.

    The one term of the loss is "contrastive"; pictures with the same caption are each other's
    positives (trap 13). The score is R@1 among the held pairs, the mean of both directions.

    Args:
        images, captions: (N, 3, H, W) uint8, and N texts.
        held_images, held_captions: the same, to be judged by.
        seed: of augmentation.

    Raises:
        ValueError: counts that disagree.
    """

    rows_meet = True

    def __init__(
        self, images: Tensor, captions: Sequence[str], held_images: Tensor,
        held_captions: Sequence[str], seed: int = 0,
    ):
        for name, pictures, texts in (("", images, captions),
                                      ("held_", held_images, held_captions)):
            if len(pictures) != len(texts):
                raise ValueError(
                    f"{name}images has {len(pictures)} and {name}captions {len(texts)} entries; "
                    "give one caption for each picture"
                )
        self.images, self.captions = images, tuple(captions)
        self.held_images, self.held_captions = held_images, tuple(held_captions)
        self.seed, self.n_samples, self.n_held = seed, len(images), len(held_images)

    def describe(self) -> Mapping[str, Any]:
        """Sizes, and hashes of captions and pictures."""
        texts = "\n".join((*self.captions, "", *self.held_captions))
        return {"held": self.n_held, "captions": hashlib.sha256(texts.encode()).hexdigest()[:16],
                "pictures": pictures_hash(self.images, self.held_images)}

    def difficulty(self, name: str) -> tuple[float, ...]:
        """How many words each caption has ("words"; seed 001).

        Raises:
            ValueError: an unknown name.
        """
        if name != "words":
            raise ValueError(f"curriculum is {name!r}; pairs know 'words'")
        return tuple(float(len(text.split())) for text in self.captions)

    def batch(self, rows: Tensor, stage: Stage, epoch: int) -> dict[str, Any]:
        """Pictures, augmented where the stage says so, and captions."""
        images = self.images[rows]
        if stage.augment:
            seeds = [(self.seed, epoch, row) for row in rows.tolist()]
            images, _ = augmentation(stage.augment)(images, torch.zeros(len(rows), 1), seeds)
        return {"images": images, "captions": [self.captions[row] for row in rows.tolist()]}

    def counts(self, rows: Tensor, stage: Stage) -> dict[str, float]:
        """Pairs."""
        return {"contrastive": float(len(rows))}

    def sums(
        self, model: nn.Module, batch: Mapping[str, Any], stage: Stage
    ) -> dict[str, Tensor]:
        """The loss of the whole batch times its rows, of which each process gives an equal part;
        its gradient is that of this process's rows, wherever they are negatives."""
        clip = cast(ClipEncoder, model)
        image_emb, text_emb = _embeddings(clip, batch["images"], batch["captions"])
        keys = gather_keys(batch["captions"])
        loss = clip_loss(
            image_emb, text_emb, clip.logit_scale.clamp(max=CLIP_MOST),
            positives=positives_of(keys), gathered=True,
        )
        world = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
        return {"contrastive": loss * (len(keys) / world)}

    def predict(self, model: nn.Module, rows: Tensor, stage: Stage) -> Tensor:
        """Both embeddings (n, 2 D) of held pairs, side by side."""
        clip = cast(ClipEncoder, model)
        device = next(model.parameters()).device
        return torch.cat([
            torch.cat(_embeddings(clip, self.held_images[few].to(device),
                                  [self.held_captions[row] for row in few.tolist()]), dim=1)
            for few in rows.split(_ROWS)
        ])

    def score(self, predictions: Tensor) -> float:
        """R@1, the mean of picture to caption and caption to picture."""
        image_emb, text_emb = predictions.float().chunk(2, dim=1)
        found = recall_at_k(image_emb @ text_emb.T, 1, positives_of(self.held_captions))
        return (found.image_to_text + found.text_to_image) / 2


def _embeddings(
    clip: ClipEncoder, images: Tensor, captions: Sequence[str]
) -> tuple[Tensor, Tensor]:
    image_emb = torch.cat([
        clip.encode_image(clip.preprocessing(few)).image_emb for few in some(images)
    ])
    # the share of a process may be empty: a text is encoded all the same, and dropped
    return image_emb, clip.encode_text(list(captions) or ["nothing"])[: len(captions)]
