"""Bilinear fusion: every feature of one view times every feature of the other (seed 001)."""

from __future__ import annotations

import torch
from torch import nn

from hybridlab.fusion.view import Fused, View, check_pair, with_one


class BilinearFusion(nn.Module):
    """f_d = a^T W_d b + bias_d: a matrix of weights for each of D outputs.

    All products of two features, each with a weight: a_dim x b_dim x D of them, which is why the
    factorised and the compact form exist.

    Args:
        one: append a 1 to both views, so that the linear terms are among the products. Without
            them a view that is left out (zeros) takes the other one with it.
        a_dim, b_dim, dim, dropout: as in `ConcatFusion`.

    Shape:
        pooled (B, a_dim), (B, b_dim) -> vector (B, D)
    """

    def __init__(
        self, a_dim: int, b_dim: int, dim: int, dropout: float = 0.5, one: bool = False
    ):
        super().__init__()
        self.a_dim, self.b_dim, self.one = a_dim, b_dim, one
        rows, columns = a_dim + one, b_dim + one
        self.weight = nn.Parameter(torch.randn(dim, rows, columns) / (rows * columns) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(dim))
        self.finish = nn.Sequential(nn.LayerNorm(dim), nn.Dropout(dropout))

    def forward(self, a: View, b: View) -> Fused:
        check_pair(a, b, self.a_dim, self.b_dim)
        left, right = (with_one(each.pooled) if self.one else each.pooled for each in (a, b))
        products = torch.einsum("ba,dac,bc->bd", left, self.weight, right) + self.bias
        return Fused(self.finish(products))


class FactorisedBilinearFusion(nn.Module):
    """Bilinear fusion whose matrices have rank K: dropout(U a) * dropout(V b), K of them added.

    With K = 1 it is seed 001's; with more, MFB (Yu et al. 2017, arXiv 1708.01471).

    Args:
        rank: K.
        factor_dropout: on both factors, in [0, 1).
        a_dim, b_dim, dim, dropout: as in `ConcatFusion`.

    Shape:
        pooled (B, a_dim), (B, b_dim) -> vector (B, D)

    Raises:
        ValueError: rank below 1, or views that do not fit.
    """

    def __init__(
        self, a_dim: int, b_dim: int, dim: int, dropout: float = 0.5, rank: int = 1,
        factor_dropout: float = 0.1,
    ):
        super().__init__()
        if rank < 1:
            raise ValueError(f"rank is {rank}; give 1 or more")
        self.a_dim, self.b_dim, self.rank = a_dim, b_dim, rank
        self.factor_a = nn.Sequential(nn.Linear(a_dim, rank * dim), nn.Dropout(factor_dropout))
        self.factor_b = nn.Sequential(nn.Linear(b_dim, rank * dim), nn.Dropout(factor_dropout))
        self.finish = nn.Sequential(nn.LayerNorm(dim), nn.Dropout(dropout))

    def forward(self, a: View, b: View) -> Fused:
        check_pair(a, b, self.a_dim, self.b_dim)
        products = self.factor_a(a.pooled) * self.factor_b(b.pooled)  # (B, K * D)
        return Fused(self.finish(products.unflatten(-1, (self.rank, -1)).sum(dim=1)))
