"""Heads on the fused vector: one logit per label, and similarities with the label texts."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hybridlab.fusion import DECIDING
from hybridlab.fusion.view import RARE


class LabelHead(nn.Module):
    """A linear layer; a sigmoid turns its logits into probabilities (seed 000, 3.1).

    Shape:
        fused (B, D) -> logits (B, L)
    """

    def __init__(self, dim: int, n_labels: int):
        super().__init__()
        self.linear = nn.Linear(dim, n_labels)
        nn.init.constant_(self.linear.bias, RARE)

    def forward(self, fused: Tensor) -> Tensor:
        return self.linear(fused)


class PerLabelHead(nn.Module):
    """A logit from each label's own vector, with weights of its own (label queries).

    Shape:
        per_label (B, L, D) -> logits (B, L)
    """

    def __init__(self, dim: int, n_labels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_labels, dim) / dim**0.5)
        self.bias = nn.Parameter(torch.full((n_labels,), RARE))

    def forward(self, per_label: Tensor) -> Tensor:
        return (per_label * self.weight).sum(dim=-1) + self.bias


class OwnOpinion(nn.Module):
    """What a view says of a label by itself: scale * log-odds + bias, a pair for each label.

    Added to a head's logits it is a way around the fusion: the head then learns a correction, and
    need not learn anew what the view said.

    Shape:
        odds (B, L) -> (B, L)
    """

    def __init__(self, n_labels: int):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(n_labels))
        # a label head starts near the log-odds of a rare label, and so do opinions: once is enough
        self.bias = nn.Parameter(torch.full((n_labels,), -RARE))

    def forward(self, odds: Tensor) -> Tensor:
        return self.scale * odds + self.bias


def label_head(fusion: str, dim: int, n_labels: int) -> nn.Module:
    """The head that goes with a fusion: on one vector, on one for each label, or none at all where
    the fusion joins decisions."""
    if fusion in DECIDING:
        return nn.Identity()
    return (PerLabelHead if fusion == "label_query" else LabelHead)(dim, n_labels)


class ContrastiveHead(nn.Module):
    """Scaled cosine of the fused vector with each label's text (seed 000, 3.2).

    It can score labels never trained: give it their texts.

    Args:
        dim: D of the fused vector.
        text_dim: width of the text embeddings.
        bias: learn one beside the scale, as the sigmoid form of the loss needs (trap 10).

    Shape:
        fused (B, D), or a vector for each label (B, L, D); text_emb (L, text_dim) unit length
        -> logits (B, L)
    """

    def __init__(self, dim: int, text_dim: int, bias: bool = False):
        super().__init__()
        self.project = nn.Linear(dim, text_dim)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.bias = nn.Parameter(torch.tensor(RARE)) if bias else None

    def forward(self, fused: Tensor, text_emb: Tensor) -> Tensor:
        aligned = F.normalize(self.project(fused), dim=-1)
        each = aligned.dim() == 3  # each label's vector against its own text
        cosines = (aligned * text_emb).sum(dim=-1) if each else aligned @ text_emb.T
        logits = self.log_scale.exp().clamp(max=100.0) * cosines
        return logits if self.bias is None else logits + self.bias
