"""Concatenate two views and project (seed 000, 2.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConcatFusion(nn.Module):
    """Concatenate two views and project to D: one linear layer, LayerNorm, dropout.

    Args:
        rnn_dim: D_rnn, width of the decoder's view.
        clip_dim: D_clip, width of CLIP's.
        dim: D, width of the fused vector.
        dropout: probability on the fused vector, in [0, 1).

    Shape:
        h_rnn (B, D_rnn), h_clip (B, D_clip) -> fused (B, D)

    Raises:
        ValueError: the views differ in batch, or one has another width.
    """

    def __init__(self, rnn_dim: int, clip_dim: int, dim: int, dropout: float = 0.5):
        super().__init__()
        self.rnn_dim, self.clip_dim = rnn_dim, clip_dim
        self.project = nn.Sequential(
            nn.Linear(rnn_dim + clip_dim, dim), nn.LayerNorm(dim), nn.Dropout(dropout)
        )

    def forward(self, h_rnn: Tensor, h_clip: Tensor) -> Tensor:
        batch = len(h_rnn)
        if h_rnn.shape != (batch, self.rnn_dim) or h_clip.shape != (batch, self.clip_dim):
            raise ValueError(
                f"h_rnn {tuple(h_rnn.shape)} and h_clip {tuple(h_clip.shape)} must be "
                f"(B, {self.rnn_dim}) and (B, {self.clip_dim}), of the same images"
            )
        both = torch.cat([h_rnn, h_clip], dim=-1)  # (B, D_rnn + D_clip)
        return self.project(both)  # (B, D)
