"""Concatenate two views and project back (seed 000, 2.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConcatFusion(nn.Module):
    """Concatenate two pooled views and project back to D.

    Args:
        dim: D, the width of both inputs and of the output.
        dropout: probability on the projected vector, in [0, 1).

    Shape:
        h_rnn (B, D), h_clip (B, D) -> fused (B, D)

    Raises:
        ValueError: the two views differ in batch or width; the message gives both shapes.
    """

    def __init__(self, dim: int, dropout: float = 0.1):
        super().__init__()
        self.dim = dim
        self.project = nn.Sequential(
            nn.LayerNorm(2 * dim), nn.Linear(2 * dim, dim), nn.GELU(), nn.Dropout(dropout)
        )

    def forward(self, h_rnn: Tensor, h_clip: Tensor) -> Tensor:
        if h_rnn.shape != h_clip.shape or h_rnn.shape[-1] != self.dim or h_rnn.dim() != 2:
            raise ValueError(
                f"h_rnn {tuple(h_rnn.shape)} and h_clip {tuple(h_clip.shape)} must both be "
                f"(B, {self.dim}); project each view to that width first"
            )
        both = torch.cat([h_rnn, h_clip], dim=-1)  # (B, 2D)
        return self.project(both)  # (B, D)
