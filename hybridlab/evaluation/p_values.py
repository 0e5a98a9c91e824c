"""p-values of a bootstrap: how much hangs on the resamples drawn, and how they are printed.

Such a p is a share of resamples, twice (k + 1) / (R + 1) where k of R lie beyond 0. With 1,000
resamples and Holm's correction over eleven comparisons, two resamples more or less decide; another
seed of the bootstrap then turns the verdict.
"""

from __future__ import annotations

import math

from scipy import special

SURE = 0.99


def p_range(p: float, resamples: int, sure: float = SURE) -> tuple[float, float]:
    """Between which values p would lie with resamples without end (Clopper and Pearson, 1934).

    Args:
        p: two-sided, as `hybridlab.evaluation.hierarchical` gives it.
        resamples: R, those with a value.
        sure: the chance that the range holds it.

    Returns:
        (low, high), both NaN where p is.

    Raises:
        ValueError: `resamples` below 1, or `sure` is not in (0, 1).
    """
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}; expected at least 1")
    if not 0 < sure < 1:
        raise ValueError(f"sure is {sure}; expected a chance between 0 and 1, such as 0.99")
    if math.isnan(p):
        return math.nan, math.nan
    beyond = min(max(round(p * (resamples + 1) / 2) - 1, 0), resamples)
    tail = (1 - sure) / 2
    low = special.betaincinv(beyond, resamples - beyond + 1, tail) if beyond else 0.0
    high = (
        special.betaincinv(beyond + 1, resamples - beyond, 1 - tail)
        if beyond < resamples else 1.0
    )
    return min(1.0, 2 * float(low)), min(1.0, 2 * float(high))


def p_text(p: float, level: float = 0.05, digits: int = 3) -> str:
    """ "0.012" or "< 0.001"; with more digits where p would else read as the level itself.

    Args:
        p: not NaN.
        level: that p is judged at: 0.0499 and 0.0501 must not both read 0.050.
        digits: after the point, elsewhere.
    """
    if p < 0.001:
        return "< 0.001"
    if p != level:
        while digits < 9 and f"{p:.{digits}f}" == f"{level:.{digits}f}":
            digits += 1
    return f"{p:.{digits}f}"
