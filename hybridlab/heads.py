"""Heads on the fused vector: one logit per label, and similarities with the label texts."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LabelHead(nn.Module):
    """A linear layer; a sigmoid turns its logits into probabilities (seed 000, 3.1).

    Shape:
        fused (B, D) -> logits (B, L)
    """

    def __init__(self, dim: int, n_labels: int):
        super().__init__()
        self.linear = nn.Linear(dim, n_labels)
        # most labels are absent from most images: start near that, not at a half
        nn.init.constant_(self.linear.bias, math.log(0.05 / 0.95))

    def forward(self, fused: Tensor) -> Tensor:
        return self.linear(fused)


class ContrastiveHead(nn.Module):
    """Scaled cosine of the fused vector with each label's text (seed 000, 3.2).

    It can score labels never trained: give it their texts.

    Args:
        dim: D of the fused vector.
        text_dim: width of the text embeddings.

    Shape:
        fused (B, D), text_emb (L, text_dim) unit length -> logits (B, L)
    """

    def __init__(self, dim: int, text_dim: int):
        super().__init__()
        self.project = nn.Linear(dim, text_dim)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, fused: Tensor, text_emb: Tensor) -> Tensor:
        scale = self.log_scale.exp().clamp(max=100.0)
        return scale * F.normalize(self.project(fused), dim=-1) @ text_emb.T
