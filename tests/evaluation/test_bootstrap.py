"""The bootstrap against metrics recomputed on the rows that a resample holds."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridlab.evaluation.bootstrap import (
    METRICS,
    Predictions,
    bootstrap_metrics,
    paired_bootstrap,
    resample_counts,
    resampled_metrics,
    resampled_values,
)
from hybridlab.evaluation.metrics import mean_ap, threshold_metrics
from hybridlab.evaluation.weighted import WeightedMeanAP

quick = settings(max_examples=60, deadline=None, derandomize=True)


@st.composite
def splits(draw):
    n, labels = draw(st.integers(1, 30)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = rng.normal(size=(n, labels)).round(draw(st.sampled_from([0, 1, 9])))
    values = draw(st.sampled_from([(0, 1), (-1, 0, 1), (0, 0, 0, 0, 1), (1,), (0,)]))
    targets = rng.choice(values, size=(n, labels))
    picks = rng.integers(0, n, size=(draw(st.integers(1, 4)), n))
    return scores.astype(draw(st.sampled_from([np.float32, np.float64]))), targets, picks


def some_split(seed=0, n=300, labels=6, signal=1.5):
    rng = np.random.default_rng(seed)
    targets = (rng.random((n, labels)) < 0.2).astype(int)
    return rng.normal(size=(n, labels)) + signal * targets, targets


@quick
@given(splits())
def test_a_resample_equals_the_metrics_of_its_rows(split):
    scores, targets, picks = split
    decisions = scores > 0.3
    counts = [np.bincount(rows, minlength=len(scores)) for rows in picks]
    drawn = resampled_metrics(scores, decisions, targets, counts)
    for r, rows in enumerate(picks):
        measured = threshold_metrics(decisions[rows], targets[rows])
        expected = mean_ap(scores[rows], targets[rows]).value
        assert drawn["mean_ap"][r] == pytest.approx(expected, abs=1e-9, nan_ok=True)
        assert drawn["cf1"][r] == pytest.approx(measured.cf1, abs=1e-9, nan_ok=True)
        assert drawn["of1"][r] == pytest.approx(measured.of1, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("copies", [300, 70_000])
def test_counts_beyond_small_integers_do_not_overflow(copies):
    scores, targets = some_split(n=20)
    counts = np.full((1, 20), copies)
    drawn = resampled_metrics(scores, scores > 1, targets, counts)
    assert drawn["mean_ap"][0] == pytest.approx(mean_ap(scores, targets).value, abs=1e-9)


def test_intervals_are_the_percentiles_of_the_resamples():
    scores, targets = some_split()
    decisions = scores > 1
    intervals = bootstrap_metrics(
        scores, decisions, targets, resamples=600, seed=5, level=0.9, method="percentile"
    )
    drawn = resampled_metrics(scores, decisions, targets, resample_counts(300, 600, seed=5))
    basic = bootstrap_metrics(
        scores, decisions, targets, resamples=600, seed=5, level=0.9, method="basic"
    )
    assert tuple(intervals) == METRICS
    for name in METRICS:
        value, low, high = intervals[name]
        assert (low, high) == pytest.approx(tuple(np.quantile(drawn[name], [0.05, 0.95])))
        assert basic[name] == pytest.approx((value, 2 * value - high, 2 * value - low))
        assert low < value < high
    measured = threshold_metrics(decisions, targets)
    assert intervals["mean_ap"].value == pytest.approx(mean_ap(scores, targets).value, abs=1e-12)
    assert intervals["cf1"].value == pytest.approx(measured.cf1, abs=1e-12)
    assert intervals["of1"].value == pytest.approx(measured.of1, abs=1e-12)


def test_draws_depend_on_seed_and_size_alone():
    counts = resample_counts(50, 400, seed=1)
    assert counts.shape == (400, 50)
    assert (counts.sum(axis=1) == 50).all()
    assert counts.var() == pytest.approx(1 - 1 / 50, abs=0.05)  # that of a multinomial
    assert (counts == resample_counts(50, 400, seed=1)).all()
    assert (counts[:7] == resample_counts(50, 7, seed=1)).all()
    assert (counts != resample_counts(50, 400, seed=2)).any()


def test_the_global_generator_is_left_alone():
    scores, targets = some_split()
    before = np.random.get_state()[1].copy()
    first = bootstrap_metrics(scores, scores > 1, targets, resamples=20)
    assert (np.random.get_state()[1] == before).all()
    assert bootstrap_metrics(scores, scores > 1, targets, resamples=20) == first


def test_paired_differences_use_the_same_resamples():
    good, targets = some_split(signal=1.5)
    weak = good + np.random.default_rng(9).normal(size=good.shape) * 0.5
    a, b = Predictions(good, good > 1), (weak, weak > 1)
    paired = paired_bootstrap(a, b, targets, resamples=300, seed=4)
    counts = resample_counts(300, 300, seed=4)
    drawn_a = resampled_metrics(*a, targets, counts)
    drawn_b = resampled_metrics(*b, targets, counts)
    alone = bootstrap_metrics(good, good > 1, targets, resamples=300, seed=4)
    for name in METRICS:
        ends = tuple(np.quantile(drawn_a[name] - drawn_b[name], [0.025, 0.975]))
        assert paired[name][1:] == pytest.approx(ends)
        # what is hard for both cancels, so the difference is known better than either value
        assert paired[name].high - paired[name].low < alone[name].high - alone[name].low
    assert paired["mean_ap"].low > 0


def test_a_model_does_not_differ_from_itself():
    scores, targets = some_split()
    same = paired_bootstrap((scores, scores > 1), (scores, scores > 1), targets, resamples=50)
    assert all(interval == (0.0, 0.0, 0.0) for interval in same.values())


def test_differences_reverse_with_the_order():
    scores, targets = some_split()
    a, b = (scores, scores > 1), (-scores, scores > 0)
    forth = paired_bootstrap(a, b, targets, resamples=40)
    back = paired_bootstrap(b, a, targets, resamples=40)
    for name in METRICS:
        value, low, high = back[name]
        assert forth[name] == pytest.approx((-value, -high, -low))


def test_basic_interval_holds_the_true_map_of_rare_labels_more_often():
    rng = np.random.default_rng(0)

    def split(n):
        targets = (rng.random((n, 10)) < 0.03).astype(int)
        return rng.normal(size=targets.shape) + 1.5 * targets, targets

    truth = mean_ap(*split(100_000)).value
    held = {"percentile": 0, "basic": 0}
    for trial in range(30):
        scores, targets = split(400)
        for method in held:
            interval = bootstrap_metrics(
                scores, scores > 1, targets, resamples=100, seed=trial, method=method
            )["mean_ap"]
            held[method] += interval.low <= truth <= interval.high
    assert held["basic"] >= 24
    assert held["percentile"] <= held["basic"] - 5


def test_a_perfect_model_has_an_interval_without_width():
    _, targets = some_split()
    for method in ("percentile", "basic"):
        intervals = bootstrap_metrics(targets, targets, targets, resamples=50, method=method)
        assert all(interval == (1.0, 1.0, 1.0) for interval in intervals.values())


def test_basic_intervals_stay_inside_zero_and_one():
    scores = np.array([[0.9], [0.8], [0.1], [0.2]])
    intervals = bootstrap_metrics(scores, scores > 0.85, [[1], [1], [0], [0]], method="basic")
    assert all(0 <= i.low <= i.high <= 1 for i in intervals.values())


@pytest.mark.parametrize("shape", [(0, 3), (5, 3), (5, 0), (1, 1)])
def test_without_positives_everything_is_nan(shape):
    zeros = np.zeros(shape)
    for interval in bootstrap_metrics(zeros, zeros > 1, zeros, resamples=10).values():
        assert all(math.isnan(end) for end in interval)


@pytest.mark.parametrize("method", ["percentile", "basic"])
def test_one_sample_has_values_and_no_intervals(method):
    run = [[0.5, 0.5]], [[True, False]]
    alone = bootstrap_metrics(*run, [[1, 0]], resamples=10, method=method)
    other = [[0.4, 0.5]], [[False, True]]
    paired = paired_bootstrap(run, other, [[1, 0]], resamples=10, method=method)
    for name in METRICS:
        assert alone[name].value == 1.0
        assert math.isnan(alone[name].low) and math.isnan(alone[name].high)
        assert math.isnan(paired[name].low) and math.isnan(paired[name].high)
    assert (paired["mean_ap"].value, paired["of1"].value) == (0.0, 1.0)


def test_any_metric_is_drawn_on_the_same_resamples():
    scores, targets = some_split()
    drawn = resampled_values(WeightedMeanAP(scores, targets), len(scores), 300, seed=5)
    counts = resample_counts(len(scores), 300, seed=5)
    expected = resampled_metrics(scores, scores > 1, targets, counts)["mean_ap"]
    assert (drawn == expected).all() and drawn.std() > 0
    assert np.isnan(resampled_values(lambda counts: np.ones(len(counts)), 1, 7)).sum() == 7
    with pytest.raises(ValueError, match="resamples is 0"):
        resampled_values(lambda counts: np.ones(len(counts)), 5, 0)


def test_resamples_without_any_positive_are_left_out():
    # one positive in two samples: a quarter of the resamples miss it
    intervals = bootstrap_metrics(
        [[0.9], [0.1]], [[True], [True]], [[1], [0]], resamples=200, method="percentile"
    )
    assert intervals["mean_ap"] == (1.0, 1.0, 1.0)
    assert intervals["cf1"].low == pytest.approx(2 / 3)


def test_bad_input_is_named():
    scores, targets = some_split(n=10)
    decisions = scores > 1
    with pytest.raises(ValueError, match=r"decisions has shape \(9, 6\).*\(10, 6\)"):
        bootstrap_metrics(scores, decisions[:9], targets)
    with pytest.raises(ValueError, match=r"targets has shape \(9, 6\).*\(10, 6\)"):
        paired_bootstrap((scores, decisions), (scores, decisions), targets[:9])
    with pytest.raises(ValueError, match="resamples is 0"):
        bootstrap_metrics(scores, decisions, targets, resamples=0)
    with pytest.raises(ValueError, match="level is 95"):
        bootstrap_metrics(scores, decisions, targets, level=95)
    with pytest.raises(ValueError, match="method is 'bca'"):
        bootstrap_metrics(scores, decisions, targets, method="bca")
    with pytest.raises(ValueError, match=r"counts has shape \(2, 9\); expected \(R, 10\)"):
        resampled_metrics(scores, decisions, targets, np.ones((2, 9)))
    for bad in (-1, 0.5, np.nan):
        with pytest.raises(ValueError, match="whole numbers"):
            resampled_metrics(scores, decisions, targets, np.full((1, 10), bad))
    scores[7, 2] = np.inf
    with pytest.raises(ValueError, match="row 7, column 2"):
        bootstrap_metrics(scores, decisions, targets)
