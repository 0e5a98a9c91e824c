"""Who finds what: shares against a count by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridlab.evaluation.complementarity import as_many, complementarity

FIRST = np.array([[1, 1, 0], [0, 1, 0]], bool)
SECOND = np.array([[1, 0, 0], [1, 1, 1]], bool)
TARGETS = np.array([[1, 1, -1], [1, 0, 1]])


def test_a_count_by_hand():
    (found,) = complementarity(FIRST, SECOND, TARGETS)
    assert (found.group, found.count) == ("all", 4)
    assert (found.both, found.first, found.second, found.neither) == (0.25, 0.25, 0.5, 0.0)
    assert found.either == 1.0


def test_groups_are_counted_by_themselves_and_an_empty_one_has_no_share():
    upper = np.array([[1, 1, 1], [0, 0, 0]], bool)
    one, none = complementarity(FIRST, SECOND, TARGETS, {"upper": upper, "none": ~upper & upper})
    assert (one.group, one.count, one.both, one.first) == ("upper", 2, 0.5, 0.5)
    assert none.count == 0 and math.isnan(none.both) and math.isnan(none.either)


@given(st.integers(0, 2**32 - 1))
def test_shares_add_up_to_1_and_either_is_the_recall_of_the_union(seed):
    draw = np.random.default_rng(seed)
    first, second = draw.random((2, 9, 4)) < 0.5
    targets = draw.integers(-1, 2, (9, 4))
    targets[0, 0] = 1
    (found,) = complementarity(first, second, targets)
    assert found.either + found.neither == pytest.approx(1)
    assert found.either == pytest.approx((first | second)[targets == 1].mean())
    (turned,) = complementarity(second, first, targets)
    assert (turned.first, turned.second) == (found.second, found.first)


@pytest.mark.parametrize(("first", "groups", "words"), [
    (FIRST[:1], None, r"first is \(1, 3\)"), (FIRST.astype(float), None, "of float64"),
    (FIRST, {"small": np.ones((2, 2), bool)}, r"small is \(2, 2\)"),
])
def test_what_does_not_fit_is_named(first, groups, words):
    with pytest.raises(ValueError, match=words):
        complementarity(first, SECOND, TARGETS, groups)


@given(st.integers(0, 2**31), st.integers(0, 12))
def test_as_many_says_yes_so_often_and_to_the_highest(seed, count):
    draw = np.random.default_rng(seed)
    scores = draw.integers(0, 4, (3, 4)) / 4  # with ties
    yes = as_many(scores, count)
    assert yes.dtype == bool and yes.shape == (3, 4) and yes.sum() == count
    if 0 < count < 12:
        assert scores[yes].min() >= scores[~yes].max()


@pytest.mark.parametrize(("scores", "count"), [([[0.5]], 2), ([[0.5]], -1), ([[math.nan]], 1)])
def test_as_many_names_what_it_cannot_choose_from(scores, count):
    with pytest.raises(ValueError, match=rf"count is {count} of 1 scores"):
        as_many(np.array(scores), count)
