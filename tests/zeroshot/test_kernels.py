"""Linear CKA against sums over tuples, and what it must not notice."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hybridlab.zeroshot.kernels import linear_cka


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def rotation(width: int) -> np.ndarray:
    return np.linalg.qr(draw(width, width, seed=9))[0]


def hsic_by_tuples(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased estimate as its definition has it: means over different i, j, q, r."""
    k, m = x @ x.T, y @ y.T
    n = range(len(x))
    pairs = np.mean([k[i, j] * m[i, j] for i, j in itertools.permutations(n, 2)])
    threes = np.mean([k[i, j] * m[i, q] for i, j, q in itertools.permutations(n, 3)])
    fours = np.mean([k[i, j] * m[q, r] for i, j, q, r in itertools.permutations(n, 4)])
    return float(pairs + fours - 2 * threes)


def test_equal_to_sums_over_tuples():
    x, y = draw(7, 3) + 2, draw(7, 5, seed=1) - 1
    y[:, :3] += x
    expected = hsic_by_tuples(x, y) / np.sqrt(hsic_by_tuples(x, x) * hsic_by_tuples(y, y))
    assert linear_cka(x, y) == pytest.approx(expected, abs=1e-10)


def test_the_plain_estimate_is_that_of_the_paper():
    x, y = draw(20, 3), draw(20, 5, seed=1)
    one, other = x - x.mean(axis=0), y - y.mean(axis=0)
    cross = np.linalg.norm(other.T @ one) ** 2
    expected = cross / (np.linalg.norm(one.T @ one) * np.linalg.norm(other.T @ other))
    assert linear_cka(x, y, debiased=False) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("debiased", [True, False])
def test_axes_shifts_and_scale_do_not_count(debiased):
    x = draw(60, 8)
    for other in (x, 3 * x + 5, x @ rotation(8), -x, np.hstack([x, x])):
        assert linear_cka(x, other, debiased=debiased) == pytest.approx(1, abs=1e-9)
    assert linear_cka(x, x * [9, 1, 1, 1, 1, 1, 1, 1], debiased=debiased) < 0.8


def test_unrelated_vectors_with_more_axes_than_rows():
    """Why the plain estimate is not the one that is reported."""
    found = [linear_cka(draw(50, 500, seed=s), draw(50, 500, seed=99 + s)) for s in range(8)]
    assert abs(np.mean(found)) < 0.02
    assert linear_cka(draw(50, 500), draw(50, 500, seed=1), debiased=False) > 0.8


@pytest.mark.parametrize(("left", "right", "says"), [
    (draw(5, 2), draw(6, 2), r"\(5, 2\) and \(6, 2\)"),
    (draw(5), draw(5), "expected"),
    (draw(3, 2), draw(3, 2), "got 3 rows; expected 4 or more"),
    (np.full((5, 2), np.nan), draw(5, 2), "NaN"),
    (np.ones((5, 2)), draw(5, 2), "all alike"),
])
def test_what_has_no_geometry_is_refused(left, right, says):
    with pytest.raises(ValueError, match=says):
        linear_cka(left, right)
