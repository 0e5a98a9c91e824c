"""Two shares of counted images: an interval of their difference and a test, for whole tables.

Images are independent draws, and the two groups share none. So the shares are binomial, and no
resampling is needed; with a handful of events in a cell, a bootstrap would see only zeros.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from hybridlab.evaluation.inputs import Floats, ratio


def wilson_interval(
    events: ArrayLike, trials: ArrayLike, level: float = 0.95
) -> tuple[Floats, Floats]:
    """Wilson's score interval of shares (Wilson 1927); [NaN, NaN] without a trial.

    Args:
        events, trials: whole numbers, any shape; events are at most trials.
        level: between 0 and 1.

    Returns:
        low, high: of the given shape, in [0, 1].
    """
    k, n = (np.asarray(x, np.float64) for x in (events, trials))
    z = float(special.ndtri((1 + level) / 2))
    middle = ratio(k + z * z / 2, n + z * z, np.nan)
    share = ratio(k, n, np.nan)
    reach = z / (n + z * z) * np.sqrt(n * share * (1 - share) + z * z / 4)
    # exact ends: rounding must not give a share of 0 an interval above 0
    low = np.where(k == 0, 0.0, middle - reach)
    high = np.where(k == n, 1.0, middle + reach)
    return np.where(n > 0, low, np.nan), np.where(n > 0, high, np.nan)


def difference_interval(
    events: ArrayLike,
    trials: ArrayLike,
    other_events: ArrayLike,
    other_trials: ArrayLike,
    level: float = 0.95,
) -> tuple[Floats, Floats]:
    """Interval of events/trials - other_events/other_trials: Newcombe 1998, method 10.

    It is made of the two Wilson intervals, so it stays within [-1, 1] and has a width where both
    shares are 0. NaN where one side has no trial.

    Shape:
        all of one shape -> low, high of that shape
    """
    share, other = ratio(events, trials, np.nan), ratio(other_events, other_trials, np.nan)
    low, high = wilson_interval(events, trials, level)
    other_low, other_high = wilson_interval(other_events, other_trials, level)
    gap = share - other
    return (
        gap - np.hypot(share - low, other_high - other),
        gap + np.hypot(high - share, other - other_low),
    )


def fisher_p(
    events: ArrayLike, trials: ArrayLike, other_events: ArrayLike, other_trials: ArrayLike
) -> Floats:
    """Two-sided p of equal shares: twice the smaller tail of Fisher's exact test, at most 1.

    NaN where one side has no trial.

    Shape:
        all of one shape -> p of that shape
    """
    k, n, other_k, other_n = (
        np.asarray(x, np.int64) for x in (events, trials, other_events, other_trials)
    )
    upper = stats.hypergeom.sf(k - 1, n + other_n, k + other_k, n)
    lower = stats.hypergeom.cdf(k, n + other_n, k + other_k, n)
    p = np.minimum(1.0, 2 * np.minimum(upper, lower))
    return np.where((n > 0) & (other_n > 0), p, np.nan)
