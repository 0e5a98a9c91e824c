"""Element-wise fusion: sums and products of the two views' features (seed 001)."""

from __future__ import annotations

import torch
from torch import nn

from hybridlab.fusion.view import Fused, View, check_pair


class ElementwiseFusion(nn.Module):
    """tanh(W_a a + W_b b + W_ab (a * b)).

    The product asks for views of one width, so it is taken of W_a a and W_b b.

    Args:
        a_dim, b_dim, dim, dropout: as in `ConcatFusion`.

    Shape:
        pooled (B, a_dim), (B, b_dim) -> vector (B, D)
    """

    def __init__(self, a_dim: int, b_dim: int, dim: int, dropout: float = 0.5):
        super().__init__()
        self.a_dim, self.b_dim = a_dim, b_dim
        self.project_a, self.project_b = nn.Linear(a_dim, dim), nn.Linear(b_dim, dim, bias=False)
        self.project_both = nn.Linear(dim, dim, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, a: View, b: View) -> Fused:
        check_pair(a, b, self.a_dim, self.b_dim)
        own_a, own_b = self.project_a(a.pooled), self.project_b(b.pooled)
        fused = torch.tanh(own_a + own_b + self.project_both(own_a * own_b))
        return Fused(self.dropout(fused))
