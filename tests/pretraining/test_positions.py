"""Positions of a grid: every place its own, rows and columns told apart, whatever the size."""

from __future__ import annotations

import math

import pytest
import torch

from hybridlab.pretraining.positions import grid_positions


def test_every_place_is_distinct_and_transposing_swaps_the_halves():
    grid = grid_positions(3, 5, 16)
    assert grid.shape == (15, 16)
    apart = torch.cdist(grid, grid) + torch.eye(15)
    assert apart.min() > 0.05
    turned = grid_positions(5, 3, 16).view(5, 3, 16).transpose(0, 1)
    swapped = torch.cat([turned[..., 8:], turned[..., :8]], dim=-1).reshape(15, 16)
    assert torch.allclose(grid, swapped, atol=1e-6)


def test_by_hand():
    # one column: its middle is at pi; rows of two are at pi/2 and 3 pi/2. Rates 1 and 1/100.
    found = grid_positions(2, 1, 8)
    for row, angle in enumerate((math.pi / 2, 3 * math.pi / 2)):
        wanted = [math.sin(angle), math.sin(angle / 100), math.cos(angle), math.cos(angle / 100),
                  math.sin(math.pi), math.sin(math.pi / 100), -1.0, math.cos(math.pi / 100)]
        assert found[row].tolist() == pytest.approx(wanted, abs=1e-6)


def test_a_finer_grid_has_the_same_middle():
    coarse, fine = grid_positions(1, 1, 12), grid_positions(3, 3, 12)
    assert torch.allclose(coarse[0], fine[4], atol=1e-6)


@pytest.mark.parametrize(("shape", "told"), [((2, 2, 6), "multiple of 4"), ((0, 2, 8), "0 x 2")])
def test_mistakes_are_named(shape, told):
    with pytest.raises(ValueError, match=told):
        grid_positions(*shape)
