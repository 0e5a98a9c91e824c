"""A mix of two opinions: the weight is validation's choice, and both splits get the same."""

from __future__ import annotations

import numpy as np
import pytest

from hybridlab.evaluation.metrics import mean_ap
from hybridlab.evaluation.mixing import mixed

DRAW = np.random.default_rng(0)
TARGETS = (DRAW.random((60, 5)) < 0.3).astype(np.float32)


def noisy(scale: float) -> tuple[np.ndarray, np.ndarray]:
    seen = TARGETS + DRAW.normal(0, scale, TARGETS.shape)
    return 1 / (1 + np.exp(-seen)), DRAW.random((7, 5))


def test_the_mix_has_the_best_map_of_all_weights():
    one, other = noisy(1.0), noisy(1.0)
    (val, test), weight = mixed(one, other, TARGETS)
    grid = [mean_ap((1 - w) * one[0] + w * other[0], TARGETS).value for w in np.linspace(0, 1, 11)]
    assert mean_ap(val, TARGETS).value == max(grid) > max(grid[0], grid[-1])
    assert 0 < weight < 1
    assert np.allclose(test, (1 - weight) * one[1] + weight * other[1])


def test_a_useless_partner_is_left_alone():
    good, useless = noisy(0.01), (np.full(TARGETS.shape, 0.5), np.full((7, 5), 0.5))
    assert mixed(good, useless, TARGETS)[1] == 0.0
    assert mixed((1 - good[0], good[1]), good, TARGETS, steps=1)[1] == 1.0


def test_mistakes_are_named():
    one = noisy(1.0)
    with pytest.raises(ValueError, match="steps is 0"):
        mixed(one, one, TARGETS, 0)
    with pytest.raises(ValueError, match=r"test probabilities are \(7, 5\) and \(6, 5\)"):
        mixed(one, (one[0], one[1][:6]), TARGETS)
