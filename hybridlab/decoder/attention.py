"""Where a decoding step looks: additive attention over a map, or everywhere alike."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class AdditiveAttention(nn.Module):
    """Score each place of a map against queries by a small network (Bahdanau; seed 001).

    Shape:
        query (B * K, D), K queries for each image, one after the other; keys (B, P, D)
        -> weights (B, K, P)
    """

    def __init__(self, dim: int):
        super().__init__()
        self.query = nn.Linear(dim, dim, bias=False)
        self.score = nn.Linear(dim, 1, bias=False)

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        batch, _, dim = keys.shape
        beams = query.shape[0] // max(1, batch)
        asked = self.query(query).view(batch, beams, 1, dim)  # (B, K, 1, D)
        # tanh(z) = 2 sigmoid(2z) - 1: on a CPU the sigmoid takes a fraction of tanh's time, and
        # the softmax does not see the constant that is left out
        mixed = torch.sigmoid(2 * keys[:, None] + 2 * asked)  # (B, K, P, D)
        return (2 * self.score(mixed)).squeeze(-1).softmax(dim=-1)  # (B, K, P)


class EverywhereAlike(nn.Module):
    """The same weight for every place: what is read is the map's mean, one vector for the image."""

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        batch, places = keys.shape[:2]
        return keys.new_full((batch, query.shape[0] // max(1, batch), places), 1 / places)
