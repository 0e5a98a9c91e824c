"""Baseline 2 of seed 004, decoder only: the picture is the first token of a causal transformer.

    [picture] a   cow  and  an   egg
        a    cow  and  an   egg <end>     what each place must say next
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hybridlab.encoders.base import EncoderOutput
from hybridlab.pretraining.captioner import Captioner
from hybridlab.pretraining.text import CausalText, TextSize, WordEmbedding
from hybridlab.pretraining.words import WordVocabulary


class PrefixCaptioner(Captioner):
    """Head of `prefix`: pooled trunk -> linear -> a pseudo-token in the place of the start token.

    Args:
        channels: C of the trunk.
        vocabulary: of the captions.
        size: of the decoder.
    """

    def __init__(
        self, channels: int, vocabulary: WordVocabulary, size: TextSize | None = None
    ):
        super().__init__()
        size = size or TextSize()
        self.vocabulary = vocabulary
        self.picture = nn.Linear(channels, size.width)
        self.embed = WordEmbedding(vocabulary, size.width)
        self.text = CausalText(size)

    def read(self, seen: EncoderOutput) -> Tensor:
        """What the trunk saw of B pictures -> one pseudo-token each (B, 1, D)."""
        return self.picture(seen.pooled)[:, None]

    def logits(self, memory: Tensor, tokens: Tensor) -> Tensor:
        """Logits of each next token, by the picture and the words before it.

        The picture is at position 0, where other decoders have the start token. The matrix that
        embeds words also reads them out, as in GPT-2.

        Shape:
            memory (B, 1, D), tokens (B, T) with start and end -> (B, T - 1, V + 4)
        """
        words = self.embed.words(tokens[:, 1:-1])                   # (B, T - 2, D)
        both = torch.cat([memory, words], dim=1)                    # (B, T - 1, D)
        states = self.text(both + self.embed.positions[: both.shape[1]])
        return states @ self.embed.words.weight.T
