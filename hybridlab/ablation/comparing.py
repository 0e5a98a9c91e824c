"""One difference between paired runs, judged: interval, tests, effect size, power, words.

Which p is the main one: that of the hierarchical bootstrap, corrected by Holm's method over the
comparisons of one table. It asks what the interval asks: would other seeds *and* other test
samples show the difference too? The paired t-test stands beside it; it asks about seeds alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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
    alpha = 1 - level
    estimates = [hierarchical_interval(each.a, each.b, seed, level) for each in differences]
    tests = [paired_t(each.a.whole, each.b.whole, level) for each in differences]
    p_holm = holm([estimate.p for estimate in estimates])
    p_t_holm = holm([test.p for test in tests])
    strictest = alpha / max(1, len(differences))
    return [
        _judged(each, estimate, test, float(p), float(p_t), metric, alpha, strictest)
        for each, estimate, test, p, p_t in zip(
            differences, estimates, tests, p_holm, p_t_holm, strict=True
        )
    ]


def _judged(
    each: Difference, estimate: Estimate, test: PairedT, p_holm: float, p_t_holm: float,
    metric: str, alpha: float, strictest: float,
) -> Comparison:
    of_seeds, of_samples = test.sd**2, _variance_of_samples(each)
    strictest = resolved(strictest, np.shape(each.a.drawn)[1])
    verdict = _verdict(estimate, p_holm, metric, alpha)
    if verdict == UNDEFINED:  # without an interval, nothing is detected
        of_samples = math.nan
    detectable = detectable_difference(of_seeds, of_samples, estimate.seeds, strictest)
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
        seeds_needed=seeds_for(estimate.value, of_seeds, of_samples, strictest),
        verdict=verdict, words=words,
    )


def _variance_of_samples(each: Difference) -> float:
    """How much the difference varies with the test samples alone: no number of seeds helps."""
    a, b = (np.asarray(side.drawn, np.float64) for side in (each.a, each.b))
    means = (a - b).mean(axis=0)
    known = means[~np.isnan(means)]
    if known.size < 2:
        return 0.0
    # a difference that is the same in all resamples, but for the last bits of both sides
    rounding = 64 * np.finfo(np.float64).eps * max(np.nanmax(np.abs(a)), np.nanmax(np.abs(b)))
    return 0.0 if np.ptp(known) <= rounding else float(known.var(ddof=1))


def _verdict(estimate: Estimate, p_holm: float, metric: str, alpha: float) -> str:
    if math.isnan(estimate.low):
        return UNDEFINED
    if estimate.seeds == 1:
        return ONE_SEED
    if not (estimate.low > 0 or estimate.high < 0) or not p_holm < alpha:
        return NOT_SHOWN
    return BETTER if (estimate.value > 0) != named_metric(metric).lower_is_better else WORSE
