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

from hybridlab.ablation.findings import (
    BETTER,
    LOWER_IS_BETTER,
    NOT_SHOWN,
    ONE_SEED,
    UNDEFINED,
    WORSE,
    Comparison,
)
from hybridlab.evaluation.hierarchical import Estimate, RunMetric, hierarchical_interval
from hybridlab.evaluation.significance import (
    PairedT,
    cohens_d_paired,
    describe_difference,
    holm,
    minimum_detectable_difference,
    paired_t,
    paired_t_power,
)

POWER = 0.8
_MOST_SEEDS = 1000


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
    of_samples = _variance_of_samples(each)
    detectable = math.nan
    spread = math.sqrt(test.sd**2 + estimate.seeds * of_samples) if estimate.seeds > 1 else 0.0
    if spread > 0:
        detectable = minimum_detectable_difference(spread, estimate.seeds, POWER, strictest)
    verdict = _verdict(estimate, p_holm, metric, alpha)
    words = describe_difference(
        estimate, p_holm, alpha, detectable=None if math.isnan(detectable) else detectable
    )
    if verdict == ONE_SEED and not words.startswith(NOT_SHOWN):
        words = f"between these two trained models: {words}"
    return Comparison(
        value=estimate.value, low=estimate.low, high=estimate.high, seeds=each.seeds,
        per_seed=tuple(float(x) for x in np.subtract(each.a.whole, each.b.whole)),
        p=estimate.p, p_holm=p_holm, t_low=test.low, t_high=test.high, p_t=test.p,
        p_t_holm=p_t_holm, effect=cohens_d_paired(each.a.whole, each.b.whole, hedges=True),
        detectable=detectable,
        seeds_needed=_seeds_needed(estimate.value, test.sd, of_samples, strictest),
        verdict=verdict, words=words,
    )


def _variance_of_samples(each: Difference) -> float:
    """How much the difference varies with the test samples alone: no number of seeds helps."""
    means = np.subtract(each.a.drawn, each.b.drawn).mean(axis=0)
    known = means[~np.isnan(means)]
    return float(known.var(ddof=1)) if known.size > 1 else 0.0


def _verdict(estimate: Estimate, p_holm: float, metric: str, alpha: float) -> str:
    if math.isnan(estimate.low):
        return UNDEFINED
    if estimate.seeds == 1:
        return ONE_SEED
    if not (estimate.low > 0 or estimate.high < 0) or not p_holm < alpha:
        return NOT_SHOWN
    return BETTER if (estimate.value > 0) != (metric in LOWER_IS_BETTER) else WORSE


def _seeds_needed(value: float, sd: float, of_samples: float, alpha: float) -> int | None:
    """The fewest seeds that show `value` with `POWER`, on a test set of the same size."""
    if math.isnan(sd) or value == 0:
        return None

    def enough(seeds: int) -> bool:
        spread = math.sqrt(sd**2 + seeds * of_samples)
        # the slack keeps rounding from asking for one seed more
        return paired_t_power(value, spread, seeds, alpha) >= POWER - 1e-9

    if not enough(_MOST_SEEDS):
        return None
    low, high = 1, _MOST_SEEDS  # one is too few, the most are enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
