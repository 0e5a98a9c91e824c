"""CLIP's two towers over a trunk: pictures and captions become unit vectors of one space."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from hybridlab.contrastive.sigmoid import siglip_loss
from hybridlab.contrastive.softmax import clip_loss
from hybridlab.contrastive.temperature import ScaleAndBias, Temperature
from hybridlab.encoders.base import EncoderOutput
from hybridlab.pretraining.pairs import Pairs
from hybridlab.pretraining.text import TextSize, TextTower
from hybridlab.pretraining.words import WordVocabulary

LOSSES = ("clip", "siglip")


class DualEncoder(nn.Module):
    """Head of `clip` and `siglip`: pooled trunk -> linear -> unit vector, and a text tower.

    Args:
        channels: C of the trunk.
        vocabulary: of the captions.
        loss: "clip" (softmax, seed 003) or "siglip" (sigmoid, arXiv 2303.15343).
        dim: D of the shared space.
        size: of the text tower.

    Raises:
        ValueError: an unknown loss.
    """

    def __init__(
        self, channels: int, vocabulary: WordVocabulary, loss: str = "clip", dim: int = 128,
        size: TextSize | None = None,
    ):
        super().__init__()
        if loss not in LOSSES:
            raise ValueError(f"loss is {loss!r}; choose one of {', '.join(LOSSES)}")
        size = size or TextSize()
        self.vocabulary = vocabulary
        self.image_projection = nn.Linear(channels, dim, bias=False)
        self.text = TextTower(vocabulary, size)
        self.text_projection = nn.Linear(size.width, dim, bias=False)
        self.scale: Temperature | ScaleAndBias = (
            Temperature() if loss == "clip" else ScaleAndBias()
        )

    def image_emb(self, seen: EncoderOutput) -> Tensor:
        """What the trunk saw of B pictures -> (B, D), unit length (trap 8)."""
        return F.normalize(self.image_projection(seen.pooled), dim=-1)

    def text_emb(self, texts: Sequence[str]) -> Tensor:
        """B texts -> (B, D), unit length."""
        tokens = self.vocabulary.encode(texts).to(self.text_projection.weight.device)
        return F.normalize(self.text_projection(self.text(tokens)), dim=-1)

    def loss(self, seen: EncoderOutput, pairs: Pairs) -> Tensor:
        """Contrastive loss of a batch; pairs about the same emoji are positives (trap 13)."""
        images, texts = self.image_emb(seen), self.text_emb(pairs.captions)
        if isinstance(self.scale, Temperature):
            return clip_loss(images, texts, self.scale.logit_scale, positives=pairs.same)
        return siglip_loss(images, texts, *self.scale(), positives=pairs.same)

    def caption_scores(self, seen: EncoderOutput, captions: Sequence[str]) -> Tensor:
        """Cosine of each picture with each caption: (B, L), in [-1, 1]."""
        return self.image_emb(seen) @ self.text_emb(captions).T

    def after_step(self) -> None:
        """Keep CLIP's scale between 1 and 100, as its training does."""
        if isinstance(self.scale, Temperature):
            self.scale.clamp_()
