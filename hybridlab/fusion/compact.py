"""Multimodal compact bilinear pooling: all products of two views, sketched (seed 001).

Fukui et al. 2016, arXiv 1606.01847; the sketch is that of Pham and Pagh 2013.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hybridlab.fusion.view import Fused, View, check_pair, with_one


class CountSketch(nn.Module):
    """Add each feature, with a random sign, to one random place of a shorter vector.

    Where features go and their signs are drawn once and never learnt. In expectation over the
    draw, the product of two sketches is the product of the vectors.

    Args:
        dim: D of the features.
        size: S of the sketch.
        generator: of the draw; give each view its own, or one after the other: two views with the
            same draw make a biased sketch of their product (trap 24).

    Shape:
        (B, D) -> (B, S)
    """

    place: Tensor
    sign: Tensor

    def __init__(self, dim: int, size: int, generator: torch.Generator):
        super().__init__()
        self.size = size
        self.register_buffer("place", self._draw(size, dim, generator))
        self.register_buffer("sign", self._draw(2, dim, generator) * 2.0 - 1)

    @staticmethod
    def _draw(below: int, count: int, generator: torch.Generator) -> Tensor:
        # on the CPU, wherever the module is built: every machine draws the same
        return torch.randint(below, (count,), generator=generator, device="cpu")

    def forward(self, features: Tensor) -> Tensor:
        sketch = features.new_zeros(features.shape[0], self.size)
        return sketch.index_add_(1, self.place, features * self.sign)


def convolve(a: Tensor, b: Tensor) -> Tensor:
    """Circular convolution of (B, S) with (B, S) by the FFT, in single precision (trap 24).

    The convolution of two sketches is a sketch of all products a_i b_j.
    """
    spectrum = torch.fft.rfft(a.float()) * torch.fft.rfft(b.float())
    return torch.fft.irfft(spectrum, n=a.shape[-1]).to(a.dtype)


class CompactBilinearFusion(nn.Module):
    """MCB: sketch both views, convolve, signed square root, unit length, project to D.

    The sketch is unbiased before the square root, not after.

    Args:
        sketch: S.
        seed: of the sketches.
        one: append a 1 to both views, as in `BilinearFusion`.
        a_dim, b_dim, dim, dropout: as in `ConcatFusion`.

    Shape:
        pooled (B, a_dim), (B, b_dim) -> vector (B, D)

    Raises:
        ValueError: sketch below 1, or views that do not fit.
    """

    def __init__(
        self, a_dim: int, b_dim: int, dim: int, dropout: float = 0.5, sketch: int = 2048,
        seed: int = 0, one: bool = False,
    ):
        super().__init__()
        if sketch < 1:
            raise ValueError(f"sketch is {sketch}; give 1 or more")
        self.a_dim, self.b_dim, self.one = a_dim, b_dim, one
        generator = torch.Generator().manual_seed(seed)  # one after the other: two draws
        self.sketch_a = CountSketch(a_dim + one, sketch, generator)
        self.sketch_b = CountSketch(b_dim + one, sketch, generator)
        self.project = nn.Sequential(
            nn.Linear(sketch, dim), nn.LayerNorm(dim), nn.Dropout(dropout)
        )

    def products(self, a: Tensor, b: Tensor) -> Tensor:
        """The sketch (B, S) of all products of (B, a_dim) and (B, b_dim)."""
        if self.one:
            a, b = with_one(a), with_one(b)
        return convolve(self.sketch_a(a), self.sketch_b(b))

    def forward(self, a: View, b: View) -> Fused:
        check_pair(a, b, self.a_dim, self.b_dim)
        return Fused(self.project(compressed(self.products(a.pooled, b.pooled))))


def compressed(products: Tensor) -> Tensor:
    """Signed square root, then unit length over the last axis.

    The root starts 1e-4 along: at 0 its slope would be infinite, and it would make features of the
    FFT's rounding errors.
    """
    rooted = products.sign() * ((products.abs() + 1e-4).sqrt() - 1e-2)
    return nn.functional.normalize(rooted, dim=-1, eps=1e-6)
