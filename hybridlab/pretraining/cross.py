"""Baseline 2 of seed 004, encoder-decoder: words look at the places of the picture (VirTex)."""

from __future__ import annotations

from torch import Tensor, nn

from hybridlab.encoders.base import EncoderOutput
from hybridlab.pretraining.captioner import Captioner
from hybridlab.pretraining.positions import grid_positions
from hybridlab.pretraining.text import (
    TextSize,
    WordEmbedding,
    causal_mask,
    layer_settings,
    redraw,
)
from hybridlab.pretraining.words import WordVocabulary


class CrossCaptioner(Captioner):
    """Head of `cross`: the trunk's grid, a small encoder over it, a causal decoder over words.

    Args:
        channels: C of the trunk.
        vocabulary: of the captions.
        size: of the decoder.
        encoder_layers: of the encoder, with the decoder's width and heads.
    """

    def __init__(
        self, channels: int, vocabulary: WordVocabulary, size: TextSize | None = None,
        encoder_layers: int = 1,
    ):
        super().__init__()
        size = size or TextSize()
        settings = layer_settings(size)
        self.vocabulary = vocabulary
        self.place = nn.Linear(channels, size.width)
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(size.width, size.heads, **settings), encoder_layers,
            norm=nn.LayerNorm(size.width), enable_nested_tensor=False,
        )
        self.embed = WordEmbedding(vocabulary, size.width)
        self.decoder = nn.TransformerDecoder(
            nn.TransformerDecoderLayer(size.width, size.heads, **settings), size.layers,
            norm=nn.LayerNorm(size.width),
        )
        redraw(self.encoder)
        redraw(self.decoder)

    def read(self, seen: EncoderOutput) -> Tensor:
        """What the trunk saw -> encoded places (B, P, D).

        Without positions the encoder and the cross-attention would see a bag of places: both are
        blind to order.
        """
        height, width = seen.feature_map.shape[2:]
        places = self.place(seen.tokens)                            # (B, P, D)
        where = grid_positions(height, width, places.shape[2]).to(places)
        return self.encoder(places + where)

    def logits(self, memory: Tensor, tokens: Tensor) -> Tensor:
        """Logits of each next token, by the picture's places and the words before it.

        Shape:
            memory (B, P, D), tokens (B, T) with start and end -> (B, T - 1, V + 4)
        """
        words = self.embed(tokens[:, :-1])                          # (B, T - 1, D)
        mask = causal_mask(words.shape[1], words.device)
        states = self.decoder(words, memory, tgt_mask=mask, tgt_is_causal=True)
        return states @ self.embed.words.weight.T
