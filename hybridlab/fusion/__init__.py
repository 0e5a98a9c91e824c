"""Ways to join two views of an image, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def build_fusion(name: str, dim: int, dropout: float = 0.1) -> nn.Module:
    """A fusion by name; a new one is one file here and one row below.

    Raises:
        ValueError: unknown name; the message lists the known ones.
    """
    from hybridlab.fusion.concat import ConcatFusion

    known = {"concat": ConcatFusion}
    if name not in known:
        raise ValueError(f"unknown fusion {name!r}; known ones: {', '.join(sorted(known))}")
    return known[name](dim, dropout)
