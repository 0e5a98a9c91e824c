"""Power of the paired t-test against SciPy and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hybridlab.evaluation.power import (
    minimum_detectable_difference,
    paired_t_power,
    seeds_needed,
)

quick = settings(max_examples=100, deadline=None, derandomize=True)
alphas = st.sampled_from([0.001, 0.01, 0.05, 0.2])
powers = st.sampled_from([0.5, 0.8, 0.95])


@quick
@given(st.floats(0, 3), st.floats(0.01, 5), st.integers(2, 60), alphas)
def test_power_equals_scipy_s_noncentral_t(difference, sd, seeds, alpha):
    shift, free = difference / sd * math.sqrt(seeds), seeds - 1
    critical = stats.t.isf(alpha / 2, free)
    with np.errstate(all="ignore"):
        theirs = stats.nct.sf(critical, free, shift) + stats.nct.cdf(-critical, free, shift)
    ours = paired_t_power(difference, sd, seeds, alpha)
    assert 0 < ours <= 1 + 1e-12
    if math.isfinite(theirs):  # SciPy gives NaN in the far tail
        assert ours == pytest.approx(theirs, abs=1e-5)
    assert paired_t_power(-difference, sd, seeds, alpha) == ours


def test_power_equals_a_simulation():
    rng = np.random.default_rng(0)
    for seeds, difference in ((5, 1.7), (3, 2.0), (12, 0.5)):
        drawn = rng.normal(difference, 1, size=(20_000, seeds))
        rejected = stats.ttest_1samp(drawn, 0, axis=1).pvalue < 0.05
        assert rejected.mean() == pytest.approx(paired_t_power(difference, 1, seeds), abs=0.012)


@quick
@given(st.floats(1e-3, 10), st.integers(2, 40), powers, alphas)
def test_the_difference_detectable_with_n_seeds_needs_n_seeds(sd, seeds, power, alpha):
    difference = minimum_detectable_difference(sd, seeds, power, alpha)
    assert paired_t_power(difference, sd, seeds, alpha) == pytest.approx(power, abs=1e-6)
    assert seeds_needed(difference, sd, power, alpha) == seeds
    assert seeds_needed(-difference, sd, power, alpha) == seeds
    assert seeds_needed(difference * 0.999, sd, power, alpha) == seeds + 1
    assert minimum_detectable_difference(sd, seeds + 1, power, alpha) < difference


@quick
@given(st.floats(0.1, 3), st.floats(0.05, 3), powers, alphas)
def test_the_seeds_needed_are_the_fewest(difference, sd, power, alpha):
    needed = seeds_needed(difference, sd, power, alpha)
    assert paired_t_power(difference, sd, needed, alpha) >= power - 1e-8
    assert needed == 2 or paired_t_power(difference, sd, needed - 1, alpha) < power


def test_known_values():
    # five seeds, the default of the course; 34 pairs for d = .5 is in every table of power
    assert minimum_detectable_difference(1.0, 5) == pytest.approx(1.682, abs=1e-3)
    assert minimum_detectable_difference(0.5, 5) == pytest.approx(0.841, abs=1e-3)
    assert seeds_needed(0.5, 1.0) == 34
    assert seeds_needed(1.0, 1.0) == 10


def test_the_ends_are_defined():
    assert minimum_detectable_difference(1.0, 1) == math.inf
    assert minimum_detectable_difference(0.0, 5) == 0.0
    assert math.isnan(minimum_detectable_difference(math.nan, 5))
    assert seeds_needed(0.0, 1.0) is None
    assert seeds_needed(1e-6, 1.0) is None
    assert seeds_needed(0.5, 1.0, most=33) is None
    assert seeds_needed(0.5, 1.0, most=34) == 34
    assert seeds_needed(math.nan, 1.0) is None and seeds_needed(1.0, math.nan) is None
    assert seeds_needed(0.5, 0.0) == 2
    assert paired_t_power(1.0, 1.0, 1) == 0.0
    assert paired_t_power(0.0, 1.0, 5) == pytest.approx(0.05, abs=1e-6)
    assert (paired_t_power(0.1, 0.0, 5), paired_t_power(0.0, 0.0, 5)) == (1.0, 0.05)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="sd is -1"):
        minimum_detectable_difference(-1, 5)
    with pytest.raises(ValueError, match="sd is inf"):
        seeds_needed(1, math.inf)
    with pytest.raises(ValueError, match="alpha is 5"):
        paired_t_power(1, 1, 5, alpha=5)
    with pytest.raises(ValueError, match="difference is nan"):
        paired_t_power(math.nan, 1, 5)
    for power in (1.0, 0.05, 80):
        with pytest.raises(ValueError, match=f"power is {power}"):
            minimum_detectable_difference(1, 5, power=power)
