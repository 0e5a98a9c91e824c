"""Ways to join two views of an image, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def build_fusion(
    name: str, rnn_dim: int, clip_dim: int, dim: int, dropout: float = 0.5
) -> nn.Module:
    """A fusion by name; a new one is one file here and one row below.

    Shape:
        h_rnn (B, rnn_dim), h_clip (B, clip_dim) -> fused (B, dim)

    Raises:
        ValueError: unknown name; the message lists the known ones.
    """
    from hybridlab.fusion.concat import ConcatFusion

    known = {"concat": ConcatFusion}
    if name not in known:
        raise ValueError(f"unknown fusion {name!r}; known ones: {', '.join(sorted(known))}")
    return known[name](rnn_dim, clip_dim, dim, dropout)
