"""The range of a bootstrap's p holds what more resamples give, and p is printed on its side."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from hybridlab.evaluation.p_values import p_range, p_text
from hybridlab.evaluation.significance import describe_difference


@pytest.mark.parametrize("share", [0.0, 0.002, 0.025, 0.3])
def test_the_range_holds_the_true_p_as_often_as_it_says(share):
    rng = np.random.default_rng(4)
    beyond = rng.binomial(1000, share, size=2000)
    inside = [low <= 2 * share <= high
              for low, high in (p_range(2 * (k + 1) / 1001, 1000) for k in beyond)]
    assert np.mean(inside) >= 0.985


def test_the_range_is_that_of_clopper_and_pearson():
    low, high = p_range(2 * 26 / 1001, 1000, sure=0.95)
    exact = stats.binomtest(25, 1000).proportion_ci(0.95, method="exact")
    assert (low, high) == pytest.approx((2 * exact.low, 2 * exact.high))
    assert p_range(2 / 1001, 1000)[0] == 0 and p_range(1.0, 1000)[1] == 1
    assert all(math.isnan(end) for end in p_range(math.nan, 1000))
    for wrong, words in (((0.5, 0), "resamples is 0"), ((0.5, 10, 1.0), "sure is 1.0")):
        with pytest.raises(ValueError, match=words):
            p_range(*wrong)


@pytest.mark.parametrize(
    ("p", "expected"),
    [(0.012, "0.012"), (0.0009, "< 0.001"), (0.0496, "0.0496"), (0.0504, "0.0504"),
     (0.04996, "0.04996"), (0.05, "0.050"), (0.5, "0.500"), (0.0505, "0.051")],
)
def test_p_never_reads_as_the_level_from_either_side(p, expected):
    assert p_text(p) == expected


def test_words_tell_the_side_too():
    assert "p = 0.04999," not in describe_difference((0.01, 0.001, 0.02), p=0.049996)
    assert "p = 0.049996" in describe_difference((0.01, 0.001, 0.02), p=0.049996)
    assert "p = 0.050004" in describe_difference((0.01, -0.001, 0.02), p=0.050004)
