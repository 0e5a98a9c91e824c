"""Early fusion: concatenate two views and project (seed 000, 2.1; seed 001, early fusion)."""

from __future__ import annotations

import torch
from torch import nn

from hybridlab.fusion.view import Fused, View, check_pair


class ConcatFusion(nn.Module):
    """Concatenate two pooled views and project to D: one linear layer, LayerNorm, dropout.

    Args:
        a_dim, b_dim: widths of the views.
        dim: D, width of the fused vector.
        dropout: probability on the fused vector, in [0, 1).

    Shape:
        pooled (B, a_dim), (B, b_dim) -> vector (B, D)

    Raises:
        ValueError: the views differ in batch, or one has another width.
    """

    def __init__(self, a_dim: int, b_dim: int, dim: int, dropout: float = 0.5):
        super().__init__()
        self.a_dim, self.b_dim = a_dim, b_dim
        self.project = nn.Sequential(
            nn.Linear(a_dim + b_dim, dim), nn.LayerNorm(dim), nn.Dropout(dropout)
        )

    def forward(self, a: View, b: View) -> Fused:
        check_pair(a, b, self.a_dim, self.b_dim)
        both = torch.cat([a.pooled, b.pooled], dim=-1)  # (B, a_dim + b_dim)
        return Fused(self.project(both))  # (B, D)
