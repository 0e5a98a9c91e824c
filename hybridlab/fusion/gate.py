"""A gate: how much of each view, decided image by image (seed 001, attention-based fusion)."""

from __future__ import annotations

import torch
from torch import nn

from hybridlab.fusion.view import Fused, View, check_pair, who_counts


class GateFusion(nn.Module):
    """alpha = softmax(W [a, b]); fused = alpha_1 a + alpha_2 b, with both views projected to D.

    A view that is left out has no weight.

    Args:
        a_dim, b_dim, dim, dropout: as in `ConcatFusion`.

    Shape:
        pooled (B, a_dim), (B, b_dim) -> vector (B, D); attention "gate" (B, 1, 1, 2)
    """

    def __init__(self, a_dim: int, b_dim: int, dim: int, dropout: float = 0.5):
        super().__init__()
        self.a_dim, self.b_dim = a_dim, b_dim
        self.project_a, self.project_b = nn.Linear(a_dim, dim), nn.Linear(b_dim, dim)
        self.gate = nn.Linear(2 * dim, 2)
        self.finish = nn.Sequential(nn.LayerNorm(dim), nn.Dropout(dropout))

    def forward(self, a: View, b: View) -> Fused:
        check_pair(a, b, self.a_dim, self.b_dim)
        both = torch.stack([self.project_a(a.pooled), self.project_b(b.pooled)], dim=1)  # (B, 2, D)
        scores = self.gate(both.flatten(1))  # (B, 2)
        lowest = torch.finfo(scores.dtype).min
        alpha = scores.masked_fill(~who_counts(a, b), lowest).softmax(dim=-1)
        fused = (alpha[..., None] * both).sum(dim=1)
        return Fused(self.finish(fused), attention={"gate": alpha[:, None, None]})
