"""The two-level bootstrap against loops over explicit draws, and its honesty in simulation."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridlab.evaluation.bootstrap import METRICS, bootstrap_metrics, resample_counts
from hybridlab.evaluation.hierarchical import (
    RunMetric,
    hierarchical_bootstrap,
    hierarchical_interval,
    paired_hierarchical_bootstrap,
    resample_runs,
)
from hybridlab.evaluation.metrics import mean_ap, threshold_metrics
from hybridlab.evaluation.significance import describe_difference

quick = settings(max_examples=30, deadline=None, derandomize=True)


def study(seed=0, seeds=3, n=60, labels=4, signal=1.5, targets=None):
    rng = np.random.default_rng(seed)
    if targets is None:
        targets = (rng.random((n, labels)) < 0.3).astype(int)
    shared = rng.normal(size=targets.shape)
    runs = []
    for _ in range(seeds):
        scores = signal * targets + shared + 0.4 * rng.normal(size=targets.shape)
        runs.append((scores, scores > 1))
    return runs, targets


def measure(run, targets, rows):
    scores, decisions = run
    found = threshold_metrics(decisions[rows], targets[rows])
    return {
        "mean_ap": mean_ap(scores[rows], targets[rows]).value,
        "cf1": found.cf1,
        "of1": found.of1,
    }


def drawn_seeds(seeds, resamples, seed):
    """Which seeds each resample holds: a stream of its own."""
    return np.random.default_rng([seed, 1]).integers(0, seeds, size=(resamples, seeds))


def test_it_equals_a_loop_that_redraws_seeds_and_rows():
    runs, targets = study()
    resamples, seed = 40, 5
    counts = resample_counts(len(targets), resamples, seed)
    picks = drawn_seeds(3, resamples, seed)
    found = hierarchical_bootstrap(
        runs, targets, resamples, seed, 0.9, method="percentile", small_sample=False
    )
    whole = [measure(run, targets, np.arange(len(targets))) for run in runs]
    for name in METRICS:
        means = []
        for count, pick in zip(counts, picks, strict=True):
            rows = np.repeat(np.arange(len(targets)), count)
            means.append(np.mean([measure(runs[s], targets, rows)[name] for s in pick]))
        low, high = np.quantile(means, [0.05, 0.95])
        value = np.mean([run[name] for run in whole])
        assert found[name][:3] == pytest.approx((value, low, high), abs=1e-9)
        assert math.isnan(found[name].p) and found[name].seeds == 3


def test_a_difference_pairs_seeds_and_samples():
    a, targets = study(seed=1, signal=1.8)
    b, _ = study(seed=1, signal=1.2, targets=targets)
    found = paired_hierarchical_bootstrap(a, b, targets, 50, seed=2, small_sample=False)
    of_a, of_b = (resample_runs(runs, targets, 50, seed=2) for runs in (a, b))
    picks = drawn_seeds(3, 50, 2)
    for name in METRICS:
        gaps = of_a[name].drawn - of_b[name].drawn  # (S, R): the same seed and the same samples
        means = np.array([gaps[pick, r].mean() for r, pick in enumerate(picks)])
        assert found[name][1:3] == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])))
        far = min((means <= 0).sum(), (means >= 0).sum())
        assert found[name].p == pytest.approx(min(1, 2 * (far + 1) / 51))
        back = paired_hierarchical_bootstrap(b, a, targets, 50, seed=2)[name]
        forth = hierarchical_interval(of_a[name], of_b[name], seed=2)
        assert forth[:3] == pytest.approx((-back.value, -back.high, -back.low))
        assert forth.p == back.p


def test_what_is_common_to_both_cancels():
    a, targets = study(seed=3, seeds=5, n=150, signal=1.5)
    worse = [(scores - 0.25 * targets, decisions) for scores, decisions in a]
    alone = hierarchical_bootstrap(a, targets, 300)["mean_ap"]
    gap = paired_hierarchical_bootstrap(a, worse, targets, 300)["mean_ap"]
    assert gap.high - gap.low < 0.5 * (alone.high - alone.low)
    assert gap.low > 0 and gap.p == pytest.approx(2 / 301)


@quick
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.sampled_from(["percentile", "basic"]))
def test_p_is_small_exactly_when_the_interval_leaves_out_0(seed, seeds, method):
    rng = np.random.default_rng(seed)
    shift = rng.normal() * 2
    a = RunMetric(shift + rng.normal(size=seeds), shift + rng.normal(size=(seeds, 999)))
    b = RunMetric(np.zeros(seeds), np.zeros((seeds, 999)))
    e = hierarchical_interval(a, b, method=method)
    assert 0 < e.p <= 1
    if e.p < 0.048:
        assert e.low > 0 or e.high < 0
    if e.p > 0.052:
        assert e.low <= 0 <= e.high


def test_one_seed_is_the_bootstrap_over_samples():
    runs, targets = study(seeds=1)
    for method in ("percentile", "basic"):
        found = hierarchical_bootstrap(runs, targets, 100, seed=4, method=method)
        expected = bootstrap_metrics(*runs[0], targets, 100, seed=4, method=method)
        for name in METRICS:
            assert found[name][:3] == pytest.approx(expected[name])
            assert found[name].seeds == 1


def test_a_variant_does_not_differ_from_itself():
    runs, targets = study()
    for e in paired_hierarchical_bootstrap(runs, runs, targets, 50).values():
        assert e == (0.0, 0.0, 0.0, 1.0, 3)


def test_the_small_sample_widening_touches_seeds_only():
    rng = np.random.default_rng(0)
    samples = rng.normal(size=500)
    alike = RunMetric(np.zeros(4), np.tile(samples, (4, 1)))  # seeds that all agree
    assert hierarchical_interval(alike) == pytest.approx(
        hierarchical_interval(alike, small_sample=False), nan_ok=True
    )
    seeds = rng.normal(size=4)
    apart = RunMetric(seeds, np.tile(seeds[:, None], (1, 4000)))  # samples that all agree
    wide, plain = (hierarchical_interval(apart, small_sample=s) for s in (True, False))
    # Student's interval is the measure of the widened one
    reach = 3.182 * seeds.std(ddof=1) / 2
    assert (wide.high - wide.low) / 2 == pytest.approx(reach, rel=0.12)
    assert plain.high - plain.low < 0.65 * (wide.high - wide.low)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(0)
    trials, seeds, resamples = 300, 5, 200
    held = {True: 0, False: 0}
    for trial in range(trials):
        of_seeds = rng.normal(size=seeds) * 2
        of_samples = rng.normal() + rng.normal(size=resamples)  # its error, and its resamples'
        metric = RunMetric(of_seeds, of_seeds[:, None] + of_samples)
        for small_sample in held:
            e = hierarchical_interval(metric, seed=trial, small_sample=small_sample)
            held[small_sample] += e.low <= 0 <= e.high
    assert held[True] / trials >= 0.93
    assert held[False] / trials <= held[True] / trials - 0.03


def test_missing_values_are_left_out_or_told():
    # where the first run has no value, draws that hold only the second must not count either
    drawn = np.array([[1.0, *[np.nan] * 20, 3.0], [1.0, *[100.0] * 20, 3.0]])
    for small_sample in (True, False):
        e = hierarchical_interval(RunMetric([2, 2], drawn), small_sample=small_sample)
        assert (e.low, e.high) == pytest.approx((1.05, 2.95))  # of 1 and 3
    e = hierarchical_interval(RunMetric([np.nan, 2], drawn), RunMetric([2, 2], drawn))
    assert all(math.isnan(x) for x in e[:4]) and e.seeds == 2
    e = hierarchical_interval(RunMetric([3], [[np.nan]]), RunMetric([2], [[1]]))
    assert e.value == 1 and all(math.isnan(x) for x in e[1:4])
    nothing = np.zeros((3, 2))
    for e in hierarchical_bootstrap([(nothing, nothing)] * 2, nothing, 10).values():
        assert all(math.isnan(x) for x in e[:3])


def test_one_sample_has_values_and_no_intervals():
    runs = [([[0.9, score]], [[True, score > 0.5]]) for score in (0.2, 0.4, 0.8)]
    others = [([[0.1, 0.7]], [[False, True]])] * 3
    alone = hierarchical_bootstrap(runs, [[1, 0]], 20)["of1"]
    assert alone.value == pytest.approx((1 + 1 + 2 / 3) / 3)
    paired = paired_hierarchical_bootstrap(runs, others, [[1, 0]], 20)["of1"]
    assert paired.value == alone.value
    assert all(math.isnan(x) for x in (*alone[1:4], *paired[1:4]))
    assert describe_difference(paired).startswith("no difference shown: +88.89 points (no interval")


def test_five_seeds_take_seconds():
    rng = np.random.default_rng(0)
    targets = (rng.random((1000, 80)) < 0.04).astype(np.int8)
    runs = [(s, s > 2) for s in (rng.normal(size=targets.shape) + 2 * targets for _ in range(5))]
    started = time.process_time()
    hierarchical_bootstrap(runs, targets)
    assert time.process_time() - started < 10  # about 1 s on an idle core


def test_bad_input_is_named():
    runs, targets = study()
    with pytest.raises(ValueError, match="runs is empty"):
        hierarchical_bootstrap([], targets)
    short = [*runs[:2], (runs[2][0][:5], runs[2][1][:5])]
    with pytest.raises(ValueError, match=r"run 2 of 3: targets has shape \(60, 4\)"):
        hierarchical_bootstrap(short, targets)
    broken = runs[1][0].copy()
    broken[7, 2] = np.nan
    with pytest.raises(ValueError, match="run 1 of 3: scores is nan at row 7, column 2"):
        hierarchical_bootstrap([runs[0], (broken, runs[1][1]), runs[2]], targets)
    with pytest.raises(ValueError, match=r"a has .*\(3, 10\) but b has \(2, 10\).*same seeds"):
        paired_hierarchical_bootstrap(runs, runs[:2], targets, 10)
    with pytest.raises(ValueError, match="resamples is 0"):
        hierarchical_bootstrap(runs, targets, 0)
    with pytest.raises(ValueError, match="level is 95"):
        hierarchical_bootstrap(runs, targets, 10, level=95)
    with pytest.raises(ValueError, match="method is 'bca'"):
        hierarchical_bootstrap(runs, targets, 10, method="bca")
    for whole, drawn in (([1, 2], [[1.0]]), ([], np.empty((0, 3))), ([1], [1.0])):
        with pytest.raises(ValueError, match="b has whole of shape"):
            hierarchical_interval(RunMetric([1], [[1.0]]), RunMetric(whole, drawn))
