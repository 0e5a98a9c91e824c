"""One difference between paired runs, judged: interval, tests, effect size, power, words.

Which p is the main one: that of the hierarchical bootstrap, corrected by Holm's method over the
comparisons of one table. It asks what the interval asks: would other seeds *and* other test
samples show the difference too? The paired t-test stands beside it; it asks about seeds alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from hybridlab.ablation.detecting import detectable_difference, resolved, seeds_for
from hybridlab.ablation.findings import (
    BETTER,
    LARGEST,
    NOT_SHOWN,
    ONE_SEED,
    UNDEFINED,
    WORSE,
    Comparison,
)
from hybridlab.evaluation.hierarchical import Estimate, RunMetric, hierarchical_interval
from hybridlab.evaluation.named import named_metric
from hybridlab.evaluation.p_values import p_range
from hybridlab.evaluation.significance import (
    PairedT,
    cohens_d_paired,
    describe_difference,
    holm,
    paired_t,
)


class Difference(NamedTuple):
    """Two sides of a comparison, before it is judged: each holds the runs of `seeds`, in order."""

    seeds: tuple[int, ...]
    a: RunMetric
    b: RunMetric


def judge(
    differences: Sequence[Difference], metric: str, level: float = 0.95, seed: int = 0
) -> list[Comparison]:
    """Judge the comparisons of one table together, with Holm's correction over all of them.

    A difference is shown if its interval leaves out 0, its corrected p-value is below 1 - level,
    and it has two seeds or more: one seed compares two trained models, not two methods.

    Args:
        metric: whether more is better depends on it.
        seed: of the draw of seeds.
    """
    alpha = round(1 - level, 12)
    estimates = [hierarchical_interval(each.a, each.b, seed, level) for each in differences]
    tests = [paired_t(each.a.whole, each.b.whole, level) for each in differences]
    p_holm = holm([estimate.p for estimate in estimates])
    p_t_holm = holm([test.p for test in tests])
    # Holm's adjusted p rises with each p, so the ends of all ranges give the ends of its own.
    ends = [p_range(one.p, _known(each)) for one, each in zip(estimates, differences, strict=True)]
    lows, highs = (holm([end[side] for end in ends]) for side in (0, 1))
    strictest = alpha / max(1, len(differences))
    return [
        replace(
            _judged(each, estimate, test, float(p), float(p_t), metric, alpha, strictest),
            resamples=np.shape(each.a.drawn)[1], p_holm_low=float(low), p_holm_high=float(high),
        )
        for each, estimate, test, p, p_t, low, high in zip(
            differences, estimates, tests, p_holm, p_t_holm, lows, highs, strict=True
        )
    ]


def _known(each: Difference) -> int:
    """Resamples in which every run of both sides has a value, at least 1."""
    lost = np.isnan(each.a.drawn).any(axis=0) | np.isnan(each.b.drawn).any(axis=0)
    return max(1, int((~lost).sum()))


def _judged(
    each: Difference, estimate: Estimate, test: PairedT, p_holm: float, p_t_holm: float,
    metric: str, alpha: float, strictest: float,
) -> Comparison:
    spread = _spread(each)
    strictest = resolved(strictest, np.shape(each.a.drawn)[1])
    verdict = _verdict(estimate, p_holm, metric, alpha)
    if verdict == UNDEFINED:  # without an interval, nothing is detected
        spread = spread._replace(of_samples=math.nan)
    of_seeds, of_samples, of_runs = spread
    detectable = detectable_difference(
        of_seeds, of_samples, estimate.seeds, strictest, of_runs=of_runs
    )
    known = detectable < LARGEST  # False for NaN
    words = describe_difference(estimate, p_holm, alpha, detectable=detectable if known else None)
    if detectable == LARGEST and words.startswith(NOT_SHOWN):
        words += "; none, however large, is likely to be shown with so few seeds"
    if verdict == UNDEFINED:
        words = words.replace(NOT_SHOWN, UNDEFINED, 1)
    if verdict == ONE_SEED and not words.startswith(NOT_SHOWN):
        words = f"between these two trained models: {words}"
    return Comparison(
        value=estimate.value, low=estimate.low, high=estimate.high, seeds=each.seeds,
        per_seed=tuple(float(x) for x in np.subtract(each.a.whole, each.b.whole)),
        p=estimate.p, p_holm=p_holm, t_low=test.low, t_high=test.high, p_t=test.p,
        p_t_holm=p_t_holm, effect=cohens_d_paired(each.a.whole, each.b.whole, hedges=True),
        detectable=detectable,
        seeds_needed=seeds_for(
            estimate.value, of_seeds, of_samples, strictest, of_runs=of_runs
        ),
        verdict=verdict, words=words,
    )


class _Spread(NamedTuple):
    """Variances of a difference: over seeds, of samples for all seeds alike, and for each alone."""

    of_seeds: float
    of_samples: float
    of_runs: float


def _spread(each: Difference) -> _Spread:
    """What the judge's own resamples say; no number of seeds helps against `of_samples`."""
    a, b = (np.asarray(side.drawn, np.float64) for side in (each.a, each.b))
    whole = np.subtract(each.a.whole, each.b.whole)
    seeds = len(whole)
    of_seeds = float(whole.var(ddof=1)) / _c4(seeds) ** 2 if seeds > 1 else math.nan
    drawn = (a - b)[:, ~np.isnan(a - b).any(axis=0)]
    if drawn.shape[1] < 2:
        return _Spread(of_seeds, 0.0, 0.0)
    means = drawn.mean(axis=0)
    # a difference that is the same in all resamples, but for the last bits of both sides
    rounding = 64 * np.finfo(np.float64).eps * max(np.nanmax(np.abs(a)), np.nanmax(np.abs(b)))
    same = np.ptp(means) <= rounding
    of_means = 0.0 if same else float(means.var(ddof=1))
    own = drawn - means
    if seeds < 2 or np.ptp(own, axis=1).max() <= rounding:
        return _Spread(of_seeds, of_means, 0.0)
    of_runs = float(own.var(axis=1, ddof=1).sum()) / (seeds - 1)
    return _Spread(of_seeds, max(of_means - of_runs / seeds, 0.0), of_runs)


def _c4(seeds: int) -> float:
    """The share of the true standard deviation that one of `seeds` values has on average."""
    free = seeds - 1
    return math.sqrt(2 / free) * math.exp(math.lgamma(seeds / 2) - math.lgamma(free / 2))


def _verdict(estimate: Estimate, p_holm: float, metric: str, alpha: float) -> str:
    if math.isnan(estimate.low):
        return UNDEFINED
    if estimate.seeds == 1:
        return ONE_SEED
    if not (estimate.low > 0 or estimate.high < 0) or not p_holm < alpha:
        return NOT_SHOWN
    return BETTER if (estimate.value > 0) != named_metric(metric).lower_is_better else WORSE
