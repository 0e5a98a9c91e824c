"""The power of the test that judges a study: what it detects, and how many seeds it needs.

The hierarchical bootstrap takes a difference as the true one plus errors. That of the test samples
is normal and its size is well known; that of the S seeds is estimated from S values, so it is
judged by Student's t with S - 1 degrees of freedom. A t-test over seeds and samples in one would
ask far too much: few seeds make the second part uncertain, not the first.

What each run does on each sample by itself is in both, and the judge's resamples add it to both
once more: its limits are wider than the error that they guard against (see
`hybridlab.evaluation.hierarchical`). So the spread that it really uses is taken, not a formula's.

The spread over seeds is itself estimated from few seeds, too small more often than too large. It is
divided by c4**2 (the factor that makes a standard deviation right on average). Even so, a stated
difference is a rough guide: in simulated studies of 3 to 10 seeds and 200 samples, with noise of
every kind, it was shown in 69 to 81 % of them, where 80 % is aimed at.

Power is computed by quadrature, without random numbers.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from scipy import special

from hybridlab.ablation.findings import LARGEST
from hybridlab.evaluation.inputs import Floats

POWER = 0.8
MOST_SEEDS = 1000


def detectable_difference(
    of_seeds: float, of_samples: float, seeds: int, alpha: float, power: float = POWER,
    of_runs: float = 0.0,
) -> float:
    """The smallest true difference that is shown with this power, in the metric's units.

    Args:
        of_seeds: variance of the paired differences over seeds, `of_runs` included.
        of_samples: variance that the test samples give to the differences of all seeds alike.
        seeds: S.
        alpha: two-sided level of the test, after any correction.
        power: the chance to show it.
        of_runs: variance that the test samples give to the difference of each seed alone.

    Returns:
        At most `LARGEST`, which says that no difference is shown with this power; NaN below two
        seeds, where a variance is NaN, and where nothing varies.
    """
    if seeds < 2 or not of_seeds + of_samples > 0:
        return math.nan
    limits, weights, error = _limits(of_seeds, of_samples, seeds, alpha, of_runs)
    low, high = 0.0, LARGEST
    if _power(high, limits, weights, error) < power:
        return LARGEST
    for _ in range(50):  # down to the last bits; power rises with the difference
        middle = (low + high) / 2
        if _power(middle, limits, weights, error) < power:
            low = middle
        else:
            high = middle
    return high


def seeds_for(
    difference: float, of_seeds: float, of_samples: float, alpha: float, power: float = POWER,
    of_runs: float = 0.0,
) -> int | None:
    """The fewest seeds that show a true `difference` with this power, on as many test samples.

    Returns:
        2 or more; None if `MOST_SEEDS` are too few, for a difference of 0 or NaN, where a variance
        is NaN, and where nothing varies.
    """
    if not abs(difference) > 0 or not of_seeds + of_samples > 0:
        return None

    def enough(seeds: int) -> bool:
        limits = _limits(of_seeds, of_samples, seeds, alpha, of_runs)
        reached = _power(abs(difference), *limits)
        return reached >= power - 1e-6  # rounding must not ask for one seed more

    if not enough(MOST_SEEDS):
        return None
    low, high = 1, 2  # one is too few
    while not enough(high):
        low, high = high, min(2 * high, MOST_SEEDS)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def resolved(alpha: float, resamples: int) -> float:
    """The level that R resamples really test at, a little below `alpha`.

    p is 2 (k + 1) / (R + 1) where k resamples lie beyond 0, so at most K of them may. This is
    twice the tail of which R resamples have K or fewer in half of all draws; `alpha` itself where
    R are too few to reach it.
    """
    most = math.ceil(alpha * (resamples + 1) / 2 - 1e-9) - 2
    if most < 0:
        return alpha
    return min(alpha, 2 * float(special.betaincinv(most + 1, resamples - most, 0.5)))


def _power(difference: float, limits: Floats, weights: Floats, error: float) -> float:
    """Chance that the estimate of a difference above 0 lies beyond its limit, on either side."""
    tails = special.ndtr((difference - limits) / error) + special.ndtr(
        (-difference - limits) / error
    )
    return float(weights @ tails)


def _limits(
    of_seeds: float, of_samples: float, seeds: int, alpha: float, of_runs: float
) -> tuple[Floats, Floats, float]:
    """How far an estimate must lie from 0 to be shown, and the estimate's standard error.

    The limit depends on the variance over seeds that a study happens to see: (K,) limits, and the
    (K,) weights of these variances.
    """
    free = seeds - 1
    at, weights = _nodes(32)
    seen = of_seeds / seeds * 2 * special.gammaincinv(free / 2, at) / free  # (K,)
    own = of_runs / seeds
    seen = seen + own  # resampled once more within each seed, by chance of the samples, not seeds
    common = of_samples + own
    # Student's t is a normal law of random variance: free / chi-square.
    inner, inner_weights = _nodes(128)
    wider = free / (2 * special.gammaincinv(free / 2, inner))  # (J,)
    spread = np.sqrt(common + seen[:, None] * wider)  # (K, J)
    tail = alpha / 2
    normal = -special.ndtri(tail) * math.sqrt(common)
    student = special.stdtrit(free, 1 - tail) * np.sqrt(seen)
    low, high = np.maximum(normal, student), normal + student
    for _ in range(20):
        middle = (low + high) / 2
        beyond = special.ndtr(-middle[:, None] / spread) @ inner_weights > tail
        low, high = np.where(beyond, middle, low), np.where(beyond, high, middle)
    return high, weights, math.sqrt(of_samples + of_seeds / seeds)


@cache
def _nodes(count: int) -> tuple[Floats, Floats]:
    """Gauss-Legendre over (0, 1)."""
    at, weights = np.polynomial.legendre.leggauss(count)
    return (at + 1) / 2, weights / 2
