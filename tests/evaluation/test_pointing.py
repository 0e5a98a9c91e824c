"""Attention inside boxes: exact on fractions of places, unions counted once, brute force agrees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridlab.evaluation.pointing import pointing

EVEN = np.ones((3, 4))


def test_even_attention_has_the_share_of_the_box():
    found = pointing(EVEN, [(2, 3, 30, 12)], (30, 40))
    assert found.inside == pytest.approx(found.area) == pytest.approx(28 * 9 / 1200)


def test_attention_on_one_place_counts_by_how_much_of_it_is_covered():
    one = np.zeros((3, 4))
    one[1, 2] = 5.0  # rows 10 to 20, columns 20 to 30
    assert pointing(one, [(20, 10, 30, 20)], (30, 40)).inside == pytest.approx(1)
    half = pointing(one, [(20, 10, 25, 20)], (30, 40))
    assert half.inside == pytest.approx(0.5) and not half.hit  # its middle, 25, is the edge
    assert pointing(one, [(0, 0, 26, 30)], (30, 40)).hit
    twice = pointing(one, [(20, 10, 25, 20), (20, 10, 25, 20)], (30, 40))
    assert twice.inside == pytest.approx(0.5) and twice.area == pytest.approx(50 / 1200)


@given(st.integers(0, 2**32 - 1))
def test_it_equals_counting_pixels(seed):
    draw = np.random.default_rng(seed)
    attention = draw.random((3, 4))
    boxes = []
    for _ in range(int(draw.integers(1, 4))):
        left, top = int(draw.integers(0, 39)), int(draw.integers(0, 29))
        boxes.append((left, top, int(draw.integers(left + 1, 41)), int(draw.integers(top + 1, 31))))
    pixels = np.kron(attention, np.ones((10, 10)))
    mask = np.zeros((30, 40), bool)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    found = pointing(attention, boxes, (30, 40))
    assert found.inside == pytest.approx((pixels * mask).sum() / pixels.sum())
    assert found.area == pytest.approx(mask.mean())


@pytest.mark.parametrize(("attention", "boxes", "told"), [
    (np.zeros((3, 4)), [(0, 0, 5, 5)], "not all 0"), (np.ones(4), [(0, 0, 5, 5)], r"expected \(h,"),
    (-EVEN, [(0, 0, 5, 5)], "0 or more"), (EVEN, [], "boxes are"), (EVEN, [(5, 0, 5, 5)], "boxes"),
    (EVEN, [(0, 0, 50, 5)], "40 x 30 pixels"),
])
def test_what_cannot_be_measured_is_named(attention, boxes, told):
    with pytest.raises(ValueError, match=told):
        pointing(attention, boxes, (30, 40))
