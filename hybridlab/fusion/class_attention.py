"""Class attention: every label looks at the tokens of both views by itself, in one layer.

The way of multi-label heads with weights over places for each label (Zhu and Wu 2021, arXiv
2108.02456, have a residual form), here over the tokens of two views. Label queries do the same with
a whole transformer block, at many times the cost.
"""

from __future__ import annotations

import torch
from torch import nn

from hybridlab.fusion.cross_attention import masked_softmax, split_softmax
from hybridlab.fusion.view import RARE, Fused, View, check_pair, check_tokens, masked_mean


class ClassAttentionFusion(nn.Module):
    """Tokens are read once for all labels; each label has weights of its own over them.

    Args:
        n_labels: L.
        a_tokens, b_tokens: widths of the tokens; those of the pooled vectors where None.
        apart: a softmax over each view, so that a label hears both in equal parts; False for one
            over all tokens, so that it may choose a view.
        a_dim, b_dim, dim, dropout: as in `ConcatFusion`, but dropout is on what is read.

    Shape:
        views with tokens (B, N, a_tokens), (B, M, b_tokens) -> vector (B, D), the masked mean;
        logits (B, L); attention "labels to a" (B, 1, L, 1 + N) and "labels to b"
        (B, 1, L, 1 + M), the pooled vector first
    """

    def __init__(
        self, a_dim: int, b_dim: int, dim: int, dropout: float = 0.5, *, n_labels: int,
        a_tokens: int | None = None, b_tokens: int | None = None, apart: bool = True,
    ):
        super().__init__()
        self.a_dim, self.b_dim, self.apart = a_dim, b_dim, apart
        self.a_tokens, self.b_tokens = a_tokens or a_dim, b_tokens or b_dim

        def reader(width: int) -> nn.Module:
            return nn.Sequential(
                nn.Dropout(dropout), nn.LayerNorm(width), nn.Linear(width, dim), nn.GELU(),
                nn.Dropout(dropout),
            )

        self.read_a, self.read_b = reader(self.a_tokens), reader(self.b_tokens)
        self.project_a, self.project_b = reader(a_dim), reader(b_dim)
        self.weigh_a, self.weigh_b = nn.Linear(dim, n_labels), nn.Linear(dim, n_labels)
        # one for both views: what speaks for a label is brought to one place, whoever saw it
        self.decide = nn.Linear(dim, n_labels)
        nn.init.constant_(self.decide.bias, RARE)

    def forward(self, a: View, b: View) -> Fused:
        check_pair(a, b, self.a_dim, self.b_dim)
        check_tokens(a, b, self.a_tokens, self.b_tokens)
        seen_a, mask_a = a.projected(self.project_a, self.read_a)  # (B, 1 + N, D)
        seen_b, mask_b = b.projected(self.project_b, self.read_b)
        split = seen_a.shape[1]
        seen, mask = torch.cat([seen_a, seen_b], dim=1), torch.cat([mask_a, mask_b], dim=1)
        scores = torch.cat([self.weigh_a(seen_a), self.weigh_b(seen_b)], dim=1).transpose(1, 2)
        weights = (split_softmax(scores, mask[:, None], split) if self.apart else
                   masked_softmax(scores, mask[:, None]))  # (B, L, 1 + N + 1 + M)
        # a label's logit is the mean, by its weights, of what every token says of it
        logits = (weights * self.decide(seen).transpose(1, 2)).sum(dim=-1)
        return Fused(
            masked_mean(seen, mask), logits=logits,
            attention={"labels to a": weights[:, None, :, :split],
                       "labels to b": weights[:, None, :, split:]},
        )
