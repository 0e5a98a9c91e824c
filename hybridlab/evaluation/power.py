"""How large a difference a study can see, and how many seeds a difference needs.

Both ask for the power of a two-sided paired t-test over seeds: the chance that it comes out
significant when the true difference is as given. With few seeds that takes more than "two
standard errors": five seeds see, four times in five, a difference of 1.7 standard deviations of
the paired differences; two seeds, one of 12.
"""

import math
from functools import cache

import numpy as np
from scipy import special

from hybridlab.evaluation.inputs import Floats


def paired_t_power(difference: float, sd: float, seeds: int, alpha: float = 0.05) -> float:
    """Chance that a two-sided paired t-test shows a true `difference`.

    Args:
        difference: true mean difference, in the metric's units; the sign does not matter.
        sd: standard deviation of the paired differences, in the same units.
        seeds: pairs. With fewer than 2 there is no test and the power is 0.
        alpha: the test's level.

    Raises:
        ValueError: `difference` or `sd` is not finite, `sd` is negative, or `alpha` is not in
            (0, 1).
    """
    _check(sd, alpha)
    if not math.isfinite(difference):
        raise ValueError(f"difference is {difference}; expected a finite number")
    if seeds < 2:
        return 0.0
    if sd == 0:
        return 1.0 if difference else alpha
    return _power(abs(difference) / sd * math.sqrt(seeds), seeds - 1, alpha)


def minimum_detectable_difference(
    sd: float, seeds: int, power: float = 0.8, alpha: float = 0.05
) -> float:
    """The smallest true difference that a paired t-test over `seeds` shows with this power.

    Args:
        sd: standard deviation of the paired differences, in the metric's units.
        seeds: pairs.
        power: chance to show it, above alpha and at most .9999.
        alpha: the test's level.

    Returns:
        A difference in the units of `sd`; infinite below 2 seeds, NaN if `sd` is NaN.

    Raises:
        ValueError: `sd` is negative or infinite, or `alpha` or `power` is out of range.
    """
    if math.isnan(sd):
        return math.nan
    _check(sd, alpha, power)
    if seeds < 2:
        return math.inf
    low, high = 0.0, 1.0
    while _power(high, seeds - 1, alpha) < power:
        low, high = high, 2 * high
    for _ in range(60):  # halves the bracket down to the last bit; power rises with the shift
        middle = (low + high) / 2
        if _power(middle, seeds - 1, alpha) < power:
            low = middle
        else:
            high = middle
    return high * sd / math.sqrt(seeds)


def seeds_needed(
    difference: float, sd: float, power: float = 0.8, alpha: float = 0.05, most: int = 10_000
) -> int | None:
    """The fewest seeds with which a paired t-test shows `difference` with this power.

    Args:
        difference, sd, power, alpha: as `paired_t_power` and `minimum_detectable_difference`.
        most: where to give up.

    Returns:
        2 or more; None if `most` are too few (no number shows a difference of 0), or if
        `difference` or `sd` is NaN.

    Raises:
        ValueError: `sd` is negative or infinite, or `alpha` or `power` is out of range.
    """
    if math.isnan(difference) or math.isnan(sd):
        return None
    _check(sd, alpha, power)

    def enough(seeds: int) -> bool:
        # the slack keeps rounding from asking for one seed more than the difference was made for
        return paired_t_power(difference, sd, seeds, alpha) >= power - 1e-9

    if most < 2 or not enough(most):
        return None
    low, high = 1, most  # one is too few, `most` are enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _power(shift: float, free: int, alpha: float) -> float:
    """P(|T| > critical) for the noncentral t with `free` degrees of freedom and this shift.

    T = (Z + shift) / s with s**2 a chi-square over its degrees of freedom, so the power is a mean
    over s of two normal tails. SciPy's own noncentral t gives NaN in its far tail.
    """
    at, weights = _nodes()
    s = np.sqrt(2 * special.gammaincinv(free / 2, at) / free)
    critical = special.stdtrit(free, 1 - alpha / 2)
    tails = special.ndtr(shift - critical * s) + special.ndtr(-shift - critical * s)
    return float(weights @ tails)


@cache
def _nodes() -> tuple[Floats, Floats]:
    """Gauss-Legendre over (0, 1); 200 nodes give the power to 3e-6."""
    at, weights = np.polynomial.legendre.leggauss(200)
    return (at + 1) / 2, weights / 2


def _check(sd: float, alpha: float, power: float | None = None) -> None:
    if not (math.isfinite(sd) and sd >= 0):
        raise ValueError(f"sd is {sd}; expected a finite standard deviation of at least 0")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha}; expected a level between 0 and 1, such as 0.05")
    if power is not None and not alpha < power <= 0.9999:
        raise ValueError(
            f"power is {power}; expected a chance above alpha ({alpha}) and at most 0.9999"
        )
