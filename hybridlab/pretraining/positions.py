"""Where in the picture a place of the grid lies, as sines and cosines of both coordinates."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_SLOWEST = 10_000.0  # as in "Attention is all you need" (arXiv 1706.03762)


def grid_positions(height: int, width: int, dim: int) -> Tensor:
    """2-D sinusoidal positions (seed 004; in the manner of DETR, arXiv 2005.12872).

    The first half of the channels tells the row, the second the column. A coordinate is a share of
    the picture, from 0 to 2 pi, and no count of places: a grid of a larger picture then has its
    middle where that of a smaller one has it.

    Args:
        height, width: H and W of the grid.
        dim: D, a multiple of 4: a sine and a cosine of each coordinate at D / 4 frequencies.

    Shape:
        -> (H·W, D), row by row

    Raises:
        ValueError: dim is no multiple of 4, or a side is below 1.
    """
    if dim < 4 or dim % 4:
        raise ValueError(f"dim is {dim}; give a multiple of 4: sine and cosine of two coordinates")
    if min(height, width) < 1:
        raise ValueError(f"the grid is {height} x {width}; give sides of 1 or more")
    rows, columns = _waves(height, dim // 2), _waves(width, dim // 2)
    return torch.cat(
        [rows.repeat_interleave(width, dim=0), columns.repeat(height, 1)], dim=1
    )


def _waves(places: int, dim: int) -> Tensor:
    """(places, dim): sines, then cosines, of each place's middle."""
    middle = (torch.arange(places) + 0.5) / places * 2 * math.pi
    rates = _SLOWEST ** -(torch.arange(dim // 2) / (dim // 2))
    angles = middle[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)
