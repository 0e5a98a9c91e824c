"""Co-attention: both views are attended to at once, each by the light of the other (seed 001).

Lu et al. 2016, "Hierarchical Question-Image Co-Attention" (arXiv 1606.00061), in its parallel form.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hybridlab.fusion.cross_attention import masked_softmax
from hybridlab.fusion.view import Fused, View, check_pair, check_tokens


class CoAttentionFusion(nn.Module):
    """C = tanh(Q^T W K), the affinity of every token of one view with every token of the other.

        H_a = tanh(W_a A + (W_b B) C)      H_b = tanh(W_b B + (W_a A) C^T)
        weights: softmax over a view's tokens of w^T H; each view becomes its weighted mean

    The weighted means and the pooled vectors of both views are projected together.

    Args:
        a_tokens, b_tokens: widths of the tokens; those of the pooled vectors where None.
        hidden: width of H; D where None.
        a_dim, b_dim, dim, dropout: as in `ConcatFusion`.

    Shape:
        views with tokens (B, N, a_tokens), (B, M, b_tokens) -> vector (B, D); attention
        "a" (B, 1, 1, N), "b" (B, 1, 1, M) and the affinity "a with b" (B, 1, N, M) in (-1, 1)
    """

    def __init__(
        self, a_dim: int, b_dim: int, dim: int, dropout: float = 0.5, *,
        a_tokens: int | None = None, b_tokens: int | None = None, hidden: int | None = None,
    ):
        super().__init__()
        self.a_dim, self.b_dim = a_dim, b_dim
        self.a_tokens, self.b_tokens = a_tokens or a_dim, b_tokens or b_dim
        hidden = dim if hidden is None else hidden
        if hidden < 1:
            raise ValueError(f"hidden is {hidden}; give 1 or more, or None for that of the output")
        self.affinity = nn.Linear(self.b_tokens, self.a_tokens, bias=False)
        self.hidden_a = nn.Linear(self.a_tokens, hidden, bias=False)
        self.hidden_b = nn.Linear(self.b_tokens, hidden, bias=False)
        self.weigh_a = nn.Linear(hidden, 1, bias=False)
        self.weigh_b = nn.Linear(hidden, 1, bias=False)
        self.project = nn.Sequential(
            nn.Linear(a_dim + b_dim + self.a_tokens + self.b_tokens, dim), nn.LayerNorm(dim),
            nn.Dropout(dropout),
        )

    def forward(self, a: View, b: View) -> Fused:
        check_pair(a, b, self.a_dim, self.b_dim)
        check_tokens(a, b, self.a_tokens, self.b_tokens)
        (tokens_a, mask_a), (tokens_b, mask_b) = _parts(a, self.a_tokens), _parts(b, self.b_tokens)
        affinity = torch.tanh(
            tokens_a @ self.affinity(tokens_b).transpose(1, 2) / self.a_tokens**0.5
        )  # (B, N, M)
        # a token that does not count says nothing to the other view
        affinity = affinity * mask_a[:, :, None] * mask_b[:, None]
        own_a, own_b = self.hidden_a(tokens_a), self.hidden_b(tokens_b)
        seen_a = torch.tanh(own_a + affinity @ own_b)
        seen_b = torch.tanh(own_b + affinity.transpose(1, 2) @ own_a)
        weights_a = masked_softmax(self.weigh_a(seen_a).squeeze(-1), mask_a)  # (B, N)
        weights_b = masked_softmax(self.weigh_b(seen_b).squeeze(-1), mask_b)  # (B, M)
        both = [a.pooled, b.pooled, _mean(weights_a, tokens_a), _mean(weights_b, tokens_b)]
        return Fused(self.project(torch.cat(both, dim=-1)), attention={
            "a": weights_a[:, None, None], "b": weights_b[:, None, None],
            "a with b": affinity[:, None],
        })


def _parts(view: View, width: int) -> tuple[Tensor, Tensor]:
    """Tokens and mask; of a view without tokens its whole, if that is as wide as tokens are, and
    else none that counts: it is in the fused vector as it is."""
    if view.tokens is not None or view.pooled.shape[1] == width:
        return view.parts()
    mask = torch.zeros(view.pooled.shape[0], 1, dtype=torch.bool, device=view.pooled.device)
    return view.pooled.new_zeros(view.pooled.shape[0], 1, width), mask


def _mean(weights: Tensor, tokens: Tensor) -> Tensor:
    return (weights[:, None] @ tokens).squeeze(1)
