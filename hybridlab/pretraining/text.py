"""A small causal transformer over words: CLIP's text tower, and the decoder-only captioner.

The layers are torch's. Causal: a word sees itself and those before it, so padding at the end needs
no mask of its own, and what is read off at the end of a text has seen all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hybridlab.pretraining.words import END, WordVocabulary


@dataclass(frozen=True)
class TextSize:
    """Width D, number of layers, and heads of a transformer over words."""

    width: int = 128
    layers: int = 3
    heads: int = 4


class WordEmbedding(nn.Module):
    """Token numbers -> vectors, with learnt positions, as CLIP and GPT have them.

    Shape:
        tokens (B, T) long -> (B, T, D)
    """

    def __init__(self, vocabulary: WordVocabulary, width: int):
        super().__init__()
        self.words = nn.Embedding(vocabulary.tokens, width)
        self.positions = nn.Parameter(torch.empty(vocabulary.context, width))
        nn.init.normal_(self.words.weight, std=0.02)
        nn.init.normal_(self.positions, std=0.01)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.words(tokens) + self.positions[: tokens.shape[1]]


class CausalText(nn.Module):
    """Transformer layers in which a place sees only itself and the places before it.

    Shape:
        embedded (B, T, D) -> states (B, T, D)
    """

    def __init__(self, size: TextSize):
        super().__init__()
        layer = nn.TransformerEncoderLayer(size.width, size.heads, **layer_settings(size))
        self.layers = nn.TransformerEncoder(
            layer, size.layers, norm=nn.LayerNorm(size.width), enable_nested_tensor=False
        )
        redraw(self.layers)

    def forward(self, embedded: Tensor) -> Tensor:
        mask = causal_mask(embedded.shape[1], embedded.device)
        return self.layers(embedded, mask=mask, is_causal=True)


class TextTower(nn.Module):
    """Texts -> one vector each: the state at the end token (CLIP's end-of-text pooling).

    Shape:
        tokens (B, T) long, each row with an end token -> (B, D)
    """

    def __init__(self, vocabulary: WordVocabulary, size: TextSize):
        super().__init__()
        self.embed = WordEmbedding(vocabulary, size.width)
        self.text = CausalText(size)

    def forward(self, tokens: Tensor) -> Tensor:
        states = self.text(self.embed(tokens))                      # (B, T, D)
        end = (tokens == END).int().argmax(dim=1)                   # (B,) the first of each row
        return states[torch.arange(len(states), device=states.device), end]


def layer_settings(size: TextSize) -> dict[str, Any]:
    """What all transformer layers here share. Normalisation comes first, as in GPT-2 and CLIP:
    such layers train without a long warm-up. No dropout: pictures and captions never repeat."""
    return {
        "dim_feedforward": 4 * size.width, "dropout": 0.0, "activation": "gelu",
        "batch_first": True, "norm_first": True,
    }


def causal_mask(length: int, device: torch.device) -> Tensor:
    """(T, T): 0 where a place may look, minus infinity where it may not."""
    return nn.Transformer.generate_square_subsequent_mask(length, device=device)


def redraw(stack: nn.Module) -> None:
    """Draw the matrices anew: torch's stacks are copies of one layer, with equal weights."""
    for parameter in stack.parameters():
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)
