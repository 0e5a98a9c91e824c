"""Cross-attention between the tokens of two views (seed 000, 2.2; seed 001, attention).

Between one vector and one vector it is not attention: the softmax over a single key is 1, whatever
is asked (trap 3). So queries are the decoder's steps and keys CLIP's patches, and the other way
round; `single_vector=True` keeps the degenerate form, to be shown.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hybridlab.fusion.view import Fused, View, check_pair, check_tokens, masked_mean

WITHIN = 0.1  # the most dropout within a block; on the fused vector there is more


class MultiHeadAttention(nn.Module):
    """Attention of queries to keys with several heads; equal to `torch.nn.MultiheadAttention`.

    Args:
        dim: D, a multiple of heads.
        heads: H.

    Shape:
        queries (B, N, D), memory (B, M, D), mask (B, M) bool, True where a token counts
        -> (B, N, D) and weights (B, H, N, M). Where no token counts, weights are 0, and what is
        read is 0 before the last projection. With `split` weights have a softmax over the first
        tokens of memory and one over the others; see `split_softmax`.

    Raises:
        ValueError: dim is no multiple of heads.
    """

    def __init__(self, dim: int, heads: int = 4):
        super().__init__()
        if heads < 1 or dim % heads:
            raise ValueError(f"dim {dim} is no multiple of heads {heads}; give one that is")
        self.heads = heads
        self.query, self.key = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.value, self.out = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(
        self, queries: Tensor, memory: Tensor, mask: Tensor, split: int | None = None
    ) -> tuple[Tensor, Tensor]:
        query, key, value = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, H, N or M, D / H)
            for layer, x in ((self.query, queries), (self.key, memory), (self.value, memory))
        )
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5  # (B, H, N, M)
        mask = mask[:, None, None]
        weights = (masked_softmax(scores, mask) if split is None else
                   split_softmax(scores, mask, split))
        read = weights @ value  # (B, H, N, D / H)
        return self.out(read.transpose(1, 2).flatten(2)), weights


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis, among those where mask is True; all 0 where none is."""
    lowest = torch.finfo(scores.dtype).min  # not -inf: a row of -inf alone is NaN
    return scores.masked_fill(~mask, lowest).softmax(dim=-1) * mask


def split_softmax(scores: Tensor, mask: Tensor, split: int) -> Tensor:
    """A softmax over the first `split` entries of the last axis and one over the others, each a
    half of the weight: neither side can push the other out. Where one side has nothing that counts,
    the other has all."""
    sides = [masked_softmax(*side) for side in (
        (scores[..., :split], mask[..., :split]), (scores[..., split:], mask[..., split:]))]
    weights = torch.cat(sides, dim=-1)
    return weights / weights.sum(dim=-1, keepdim=True).clamp(min=1)


class CrossBlock(nn.Module):
    """One transformer block in which queries read another view: attention, then a small network.

    Normalised before each part and added to what was there (pre-norm).

    Args:
        dropout: on what was read, and within and behind the network, in [0, 1). Not on the weights
            of attention, as some have it.
        dim, heads: as in `MultiHeadAttention`.

    Shape:
        tokens (B, N, D), memory (B, M, D), mask (B, M) -> (B, N, D), weights (B, H, N, M)
    """

    def __init__(self, dim: int, heads: int = 4, dropout: float = 0.1):
        super().__init__()
        self.norm_tokens, self.norm_memory = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = MultiHeadAttention(dim, heads)
        self.network = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, 2 * dim), nn.GELU(), nn.Dropout(dropout),
            nn.Linear(2 * dim, dim),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, tokens: Tensor, memory: Tensor, mask: Tensor, split: int | None = None
    ) -> tuple[Tensor, Tensor]:
        read, weights = self.attention(
            self.norm_tokens(tokens), self.norm_memory(memory), mask, split
        )
        tokens = tokens + self.dropout(read)
        return tokens + self.dropout(self.network(tokens)), weights


class CrossAttentionFusion(nn.Module):
    """Each view reads the other in a transformer block of its own, and both are pooled and joined.

    The pooled vector of a view stands before its tokens as one more, so that it asks and is read
    too. What comes out of it, and the mean of what comes out of the tokens, enter the fused vector.

    Args:
        a_tokens, b_tokens: widths of the tokens; those of the pooled vectors where None.
        heads: of each block.
        single_vector: leave the tokens out; each view is then one key, and attends to nothing.
        a_dim, b_dim, dim, dropout: as in `ConcatFusion`; dim is a multiple of heads. Dropout within
            the blocks is a tenth, or as little as `dropout`.

    Shape:
        views with tokens (B, N, a_tokens), (B, M, b_tokens) -> vector (B, D); attention "a to b"
        (B, H, 1 + N, 1 + M) and "b to a" (B, H, 1 + M, 1 + N), the pooled vector first
    """

    def __init__(
        self, a_dim: int, b_dim: int, dim: int, dropout: float = 0.5, *,
        a_tokens: int | None = None, b_tokens: int | None = None, heads: int = 4,
        single_vector: bool = False,
    ):
        super().__init__()
        self.a_dim, self.b_dim, self.single_vector = a_dim, b_dim, single_vector
        self.a_tokens, self.b_tokens = a_tokens or a_dim, b_tokens or b_dim
        self.project_a, self.project_b = nn.Linear(a_dim, dim), nn.Linear(b_dim, dim)
        self.read_a = nn.Identity() if single_vector else nn.Linear(self.a_tokens, dim)
        self.read_b = nn.Identity() if single_vector else nn.Linear(self.b_tokens, dim)
        within = min(WITHIN, dropout)
        self.a_reads_b = CrossBlock(dim, heads, within)
        self.b_reads_a = CrossBlock(dim, heads, within)
        self.join = nn.Sequential(
            nn.Linear(4 * dim, dim), nn.LayerNorm(dim), nn.Dropout(dropout)
        )

    def forward(self, a: View, b: View) -> Fused:
        check_pair(a, b, self.a_dim, self.b_dim)
        if self.single_vector:
            a, b = (View(each.pooled, None, each.parts()[1].any(dim=1, keepdim=True))
                    for each in (a, b))
        else:
            check_tokens(a, b, self.a_tokens, self.b_tokens)
        tokens_a, mask_a = a.projected(self.project_a, self.read_a)
        tokens_b, mask_b = b.projected(self.project_b, self.read_b)
        new_a, a_to_b = self.a_reads_b(tokens_a, tokens_b, mask_b)
        new_b, b_to_a = self.b_reads_a(tokens_b, tokens_a, mask_a)
        pooled = [each for new, mask in ((new_a, mask_a), (new_b, mask_b))
                  for each in (new[:, 0], masked_mean(new[:, 1:], mask[:, 1:]))]
        return Fused(self.join(torch.cat(pooled, dim=-1)),
                     attention={"a to b": a_to_b, "b to a": b_to_a})
