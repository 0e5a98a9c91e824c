"""Tests over seeds against SciPy and brute force; words that follow the numbers."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hybridlab.evaluation import significance
from hybridlab.evaluation.bootstrap import Interval
from hybridlab.evaluation.significance import (
    Estimate,
    cohens_d_paired,
    describe_difference,
    holm,
    paired_t,
    wilcoxon_smallest_p,
)

quick = settings(max_examples=100, deadline=None, derandomize=True)


@st.composite
def pairs(draw, least=2):
    n = draw(st.integers(least, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.random(n), rng.random(n)


@quick
@given(pairs(), st.sampled_from([0.8, 0.95]))
def test_paired_t_equals_scipy(both, level):
    found, theirs = paired_t(*both, level=level), stats.ttest_rel(*both)
    ends = theirs.confidence_interval(level)
    assert (found.t, found.p) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9)
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high), rel=1e-9)
    assert found.value == pytest.approx((both[0] - both[1]).mean())
    assert found.sd == pytest.approx((both[0] - both[1]).std(ddof=1))
    assert found.seeds == len(both[0]) and found.note == ""


def test_one_seed_has_a_difference_and_no_test():
    found = paired_t([0.7], [0.6])
    assert found.value == pytest.approx(0.1) and found.seeds == 1
    assert all(math.isnan(x) for x in (found.low, found.high, found.t, found.p, found.sd))
    assert "one seed" in found.note


def test_differences_without_variance():
    same = paired_t([0.1, 0.2, 0.3], [0.1, 0.2, 0.3])
    assert (same.value, same.low, same.high, same.p, same.note) == (0, 0, 0, 1, "")
    # .1 + .2 style rounding makes the differences unequal in their last bits only
    shifted = paired_t(np.array([0.1, 0.2, 0.3]) + 0.7, [0.1, 0.2, 0.3])
    assert shifted.value == pytest.approx(0.7) and math.isnan(shifted.p)
    assert math.isnan(shifted.low) and "the seed changes nothing" in shifted.note
    assert math.isnan(cohens_d_paired(np.array([0.1, 0.2, 0.3]) + 0.7, [0.1, 0.2, 0.3]))


@pytest.mark.parametrize("n", [1, 2, 3, 5, 6, 9])
def test_wilcoxon_cannot_go_lower(n):
    gains = np.arange(1.0, n + 1)  # every difference to the same side: the strongest case
    assert wilcoxon_smallest_p(n) == stats.wilcoxon(gains, method="exact").pvalue


def test_five_pairs_cannot_reach_five_percent_by_wilcoxon_but_by_t():
    assert wilcoxon_smallest_p(5) == 0.0625
    assert paired_t([0.61, 0.62, 0.61, 0.63, 0.62], [0.60, 0.60, 0.60, 0.61, 0.60]).p < 0.01


@quick
@given(st.lists(st.one_of(st.floats(0, 1), st.just(math.nan), st.just(0.01)), max_size=6))
def test_holm_equals_the_closed_test(p):
    """The closed test with Bonferroni: a hypothesis falls if every set that holds it does."""
    found = holm(p)
    known = [i for i, x in enumerate(p) if not math.isnan(x)]
    assert [i for i, x in enumerate(found) if not math.isnan(x)] == known
    for i in known:
        sets = (s for size in range(1, 7) for s in itertools.combinations(known, size) if i in s)
        expected = max(min(1.0, len(s) * min(p[j] for j in s)) for s in sets)
        assert found[i] == pytest.approx(expected, rel=1e-12)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, math.nan, 0.005]).tolist() == pytest.approx(
        [0.03, 0.06, 0.06, math.nan, 0.02], nan_ok=True
    )
    assert holm([]).shape == (0,)
    assert np.isnan(holm([math.nan])).all()


def test_cohen_and_hedges():
    a, b = np.array([3.0, 5, 4, 8]), np.array([2.0, 3, 4, 5])
    gaps = a - b
    d = gaps.mean() / gaps.std(ddof=1)
    assert cohens_d_paired(a, b) == pytest.approx(d)
    exact = math.gamma(1.5) / (math.sqrt(1.5) * math.gamma(1.0))
    assert cohens_d_paired(a, b, hedges=True) == pytest.approx(d * exact)
    assert cohens_d_paired(b, a) == pytest.approx(-d)
    assert math.isnan(cohens_d_paired([1.0], [2.0]))
    assert not math.isnan(cohens_d_paired([1.0, 3], [2.0, 2.5]))
    assert math.isnan(cohens_d_paired([1.0, 3], [2.0, 2.5], hedges=True))


def test_hedges_takes_the_bias_off():
    drawn = np.random.default_rng(0).normal(1.0, 1.0, size=(20_000, 5))
    plain = drawn.mean(axis=1) / drawn.std(axis=1, ddof=1)
    factor = cohens_d_paired(drawn[0], np.zeros(5), hedges=True) / plain[0]
    assert plain.mean() == pytest.approx(1.25, abs=0.03)
    assert plain.mean() * factor == pytest.approx(1.0, abs=0.02)


def test_words_for_a_difference_that_is_shown():
    e = Estimate(0.012, 0.0031, 0.0209, 0.0123, 5)
    assert describe_difference(e) == "+1.20 points [+0.31, +2.09], p = 0.0123"
    assert describe_difference((-0.5, -0.9, -0.1), scale=1, unit="labels") == (
        "-0.50 labels [-0.90, -0.10]"
    )
    assert describe_difference(e._replace(p=0.0001)).endswith("p < 0.001")


def test_words_where_none_is_shown():
    e = Estimate(0.004, -0.005, 0.013, 0.38, 5)
    none = "no difference shown: +0.40 points [-0.50, +1.30], p = 0.38"
    assert describe_difference(e) == none
    assert describe_difference(e, detectable=0.013) == (
        f"{none}; one below 1.30 points would often be missed"
    )
    assert describe_difference(e, detectable=math.inf) == none
    assert describe_difference(Interval(0.0, 0.0, 0.0)).startswith("no difference shown")


@quick
@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1), st.one_of(st.none(), st.floats(0, 1)))
def test_shown_only_if_interval_and_p_both_say_so(value, down, up, p):
    words = describe_difference((value, value - down, value + up), p)
    shown = (value - down > 0 or value + up < 0) and (p is None or p < 0.05)
    assert words.startswith("no difference shown") != shown


def test_a_corrected_p_overrules_the_interval():
    e = Estimate(0.012, 0.0031, 0.0209, 0.0123, 5)
    words = describe_difference(e, p=0.0615)
    assert words == "no difference shown: +1.20 points [+0.31, +2.09], p = 0.0615"
    assert describe_difference(e, p=0.0615, alpha=0.1).startswith("+1.20")


def test_words_for_what_is_not_defined():
    nan = math.nan
    assert describe_difference(Estimate(nan, nan, nan, nan, 5)) == "not defined"
    words = describe_difference(paired_t([0.7], [0.6]))
    assert words.startswith("no difference shown: +10.00 points (one seed: no interval")
    words = describe_difference(paired_t([0.7, 0.8], [0.6, 0.7]))
    assert "the seed changes nothing" in words and words.startswith("no difference shown")
    one = describe_difference(Estimate(0.02, 0.01, 0.03, 0.002, 1))
    assert one == (
        "+2.00 points [+1.00, +3.00], p = 0.002; one seed, so the noise of training is not in it"
    )
    words = describe_difference((0.01, nan, nan))
    assert words == "no difference shown: +1.00 points (no interval)"


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"a has shape \(2,\) and b has shape \(3,\)"):
        paired_t([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match=r"a has shape \(0,\)"):
        paired_t([], [])
    with pytest.raises(ValueError, match="b is nan at place 1"):
        cohens_d_paired([1, 2], [1, math.nan])
    with pytest.raises(ValueError, match="level is 95"):
        paired_t([1, 2], [1, 3], level=95)
    with pytest.raises(ValueError, match=r"p is 1\.5 at place 1"):
        holm([0.1, 1.5])
    with pytest.raises(ValueError, match=r"p has shape \(1, 1\)"):
        holm([[0.1]])
    with pytest.raises(ValueError, match="pairs is 0"):
        wilcoxon_smallest_p(0)
    with pytest.raises(ValueError, match=r"interval runs from 0\.3 to 0\.1"):
        describe_difference((0.2, 0.3, 0.1))
    with pytest.raises(ValueError, match=r"expected \(value, low, high\)"):
        describe_difference((0.2, 0.3))
    with pytest.raises(ValueError, match="p is 2"):
        describe_difference((0.2, 0.1, 0.3), p=2)
    with pytest.raises(ValueError, match="alpha is 95"):
        describe_difference((0.2, 0.1, 0.3), alpha=95)


def test_one_import_has_all_that_a_study_needs():
    for name in significance.__all__:
        assert getattr(significance, name)
