"""Heads on the fused vector: one logit per label, and similarities with the label texts."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hybridlab.fusion import DECIDING, FUSIONS
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
        if per_label.shape[-2:] != self.weight.shape:
            raise ValueError(
                f"per_label has shape {tuple(per_label.shape)}, expected (B, "
                f"{', '.join(map(str, self.weight.shape))}): the labels that it was trained with"
            )
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
        if odds.shape[-1] != len(self.scale):
            raise ValueError(
                f"odds has shape {tuple(odds.shape)}, expected (B, {len(self.scale)}): one opinion "
                "for each label"
            )
        return self.scale * odds + self.bias


def label_head(fusion: str, dim: int, n_labels: int) -> nn.Module:
    """The head that goes with a fusion: on one vector, on one for each label, or none at all where
    the fusion joins decisions.

    Raises:
        ValueError: an unknown fusion; the message lists the known ones.
    """
    if fusion not in FUSIONS:
        raise ValueError(f"unknown fusion {fusion!r}; known ones: {', '.join(FUSIONS)}")
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

    Raises:
        ValueError: no text, texts of another width or shape, or of another number than there are
            vectors.
    """

    def __init__(self, dim: int, text_dim: int, bias: bool = False):
        super().__init__()
        self.project = nn.Linear(dim, text_dim)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.bias = nn.Parameter(torch.tensor(RARE)) if bias else None

    def forward(self, fused: Tensor, text_emb: Tensor) -> Tensor:
        each = fused.dim() == 3  # each label's vector against its own text
        self._check(fused, text_emb, each)
        aligned = F.normalize(self.project(fused), dim=-1)
        cosines = (aligned * text_emb).sum(dim=-1) if each else aligned @ text_emb.T
        logits = self.log_scale.exp().clamp(max=100.0) * cosines
        return logits if self.bias is None else logits + self.bias

    def _check(self, fused: Tensor, text_emb: Tensor, each: bool) -> None:
        width = self.project.out_features
        if not isinstance(text_emb, Tensor) or text_emb.dim() != 2 or text_emb.shape[1] != width:
            given = tuple(text_emb.shape) if isinstance(text_emb, Tensor) else text_emb
            raise ValueError(
                f"text_emb is {given}, expected (L, {width}): the texts of the labels to be scored,"
                " by the text tower that the head was built for"
            )
        if not text_emb.shape[0]:
            raise ValueError("text_emb holds no text; give those of the labels to be scored")
        if each and fused.shape[1] != len(text_emb):
            raise ValueError(
                f"there are {fused.shape[1]} vectors, one for each label, and {len(text_emb)} "
                "texts; a fusion that makes a vector for each label has to be asked for those of "
                "other texts (`HybridClassifier.text_logits`)"
            )
