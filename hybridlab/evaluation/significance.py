"""Is it a difference? Tests over paired seeds, their correction, effect sizes, and words.

Pair by seed: the same seed, split and recipe on both sides (trap 18), so that what the seed does
to both cancels.

Why not Wilcoxon's signed-rank test, the usual advice for few runs: it only sees the order of the
differences and their signs, and n pairs have 2**n patterns of signs. Its smallest two-sided
p-value is 2 / 2**n, so five pairs cannot reach p < .05 however large the difference
(`wilcoxon_smallest_p(5)` is .0625). The paired t can; it takes the differences as normal, which
five of them cannot disprove. The hierarchical bootstrap (`hybridlab.evaluation.hierarchical`)
takes in the test samples too.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from hybridlab.evaluation.hierarchical import (
    Estimate,
    RunMetric,
    hierarchical_bootstrap,
    hierarchical_interval,
    paired_hierarchical_bootstrap,
    resample_runs,
)
from hybridlab.evaluation.inputs import Floats, as_array
from hybridlab.evaluation.p_values import p_text
from hybridlab.evaluation.power import (
    minimum_detectable_difference,
    paired_t_power,
    seeds_needed,
)

__all__ = [
    "Estimate",
    "PairedT",
    "RunMetric",
    "cohens_d_paired",
    "describe_difference",
    "hierarchical_bootstrap",
    "hierarchical_interval",
    "holm",
    "minimum_detectable_difference",
    "paired_hierarchical_bootstrap",
    "paired_t",
    "paired_t_power",
    "resample_runs",
    "seeds_needed",
    "wilcoxon_smallest_p",
]


@dataclass(frozen=True)
class PairedT:
    """A paired t-test over seeds.

    Attributes:
        value: mean of the differences a - b.
        low, high: ends of its t interval.
        t, p: the statistic and its two-sided p-value.
        sd: standard deviation of the differences (n - 1), for `minimum_detectable_difference`.
        seeds: pairs.
        note: why something is NaN; empty if nothing is.
    """

    value: float
    low: float
    high: float
    t: float
    p: float
    sd: float
    seeds: int
    note: str = ""


def paired_t(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> PairedT:
    """Mean difference a - b over paired seeds, with its t interval and two-sided p-value.

    One seed has a difference but no interval: NaN, and `note` says so. So it is where every seed
    differs by the same non-zero amount: the seed then changes nothing, and a test over seeds has
    nothing to test. Where every difference is 0 the interval is [0, 0] and p is 1.

    Args:
        a, b: (S,) the metric of both variants, the i-th of both with the same seed.
        level: of the interval.

    Raises:
        ValueError: shapes differ or are empty, a value is not finite, or `level` is not in (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; expected a share between 0 and 1, such as 0.95")
    differences, equal = _differences(a, b)
    seeds, nan = len(differences), math.nan
    value = float(differences.mean())
    if seeds == 1:
        note = "one seed: no interval over seeds; run more, or use the bootstrap over samples"
        return PairedT(value, nan, nan, nan, nan, nan, 1, note)
    if equal and value == 0:
        return PairedT(0.0, 0.0, 0.0, 0.0, 1.0, 0.0, seeds)
    if equal:
        note = (
            "every seed gives the same difference, so the seed changes nothing: no test over "
            "seeds; use the bootstrap over samples"
        )
        return PairedT(value, nan, nan, nan, nan, 0.0, seeds, note)
    sd = float(differences.std(ddof=1))
    error = sd / math.sqrt(seeds)
    t = value / error
    p = 2 * float(special.stdtr(seeds - 1, -abs(t)))
    reach = error * float(special.stdtrit(seeds - 1, (1 + level) / 2))
    return PairedT(value, value - reach, value + reach, t, p, sd, seeds)


def wilcoxon_smallest_p(pairs: int) -> float:
    """The smallest two-sided p-value that Wilcoxon's exact signed-rank test can give: 2 / 2**n.

    Raises:
        ValueError: fewer than one pair.
    """
    if pairs < 1:
        raise ValueError(f"pairs is {pairs}; expected at least 1")
    return 2.0 ** (1 - pairs)


def holm(p: ArrayLike) -> Floats:
    """p-values adjusted for their number by Holm's step-down method, in the given order.

    The smallest of m is multiplied by m, the next by m - 1 and so on, none below one before it
    and none above 1. Compare the result with the level wanted for all tests together. A NaN (a
    test that could not be made) stays NaN and is not counted among the m.

    Shape:
        p (M,) -> (M,)

    Raises:
        ValueError: not one axis, or a value outside [0, 1].
    """
    given = as_array(p).astype(np.float64)
    if given.ndim != 1:
        raise ValueError(f"p has shape {given.shape}; expected (M,), one p-value for each test")
    outside = (given < 0) | (given > 1)
    if outside.any():
        at = int(np.argmax(outside))
        raise ValueError(f"p is {given[at]} at place {at}; expected p-values in [0, 1]")
    known = np.flatnonzero(~np.isnan(given))
    order = known[np.argsort(given[known], kind="stable")]
    times = np.arange(len(order), 0, -1)
    adjusted = np.full(given.shape, np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(given[order] * times), 1)
    return adjusted


def cohens_d_paired(a: ArrayLike, b: ArrayLike, hedges: bool = False) -> float:
    """Effect size d_z: mean of the paired differences over their standard deviation (n - 1).

    d_z says how the difference stands to the noise of seeds, not how much it is worth. From few
    seeds it comes out too large: by 25 % on average with five.

    Args:
        a, b: (S,) as `paired_t`.
        hedges: take that bias off (Hedges 1981, the exact factor with S - 1 degrees of freedom).

    Returns:
        NaN for one seed, for differences that are all equal, and with `hedges` for two seeds,
        where the correction is not defined.

    Raises:
        ValueError: as `paired_t`.
    """
    differences, equal = _differences(a, b)
    free = len(differences) - 1
    if equal or free < (2 if hedges else 1):
        return math.nan
    d = float(differences.mean() / differences.std(ddof=1))
    if not hedges:
        return d
    log_factor = math.lgamma(free / 2) - math.lgamma((free - 1) / 2) - math.log(free / 2) / 2
    return d * math.exp(log_factor)


class _Ends(NamedTuple):
    value: float
    low: float
    high: float


def describe_difference(
    interval: tuple[float, ...] | PairedT,
    p: float | None = None,
    alpha: float = 0.05,
    scale: float = 100.0,
    unit: str = "points",
    detectable: float | None = None,
) -> str:
    """A difference in words that follow the numbers; "no difference shown" where none is.

    It is shown only if the interval leaves out 0 and p, where there is one, is below `alpha`. A
    difference that is not shown is not a proof of equality; `detectable` says how large one could
    have been missed.

    Args:
        interval: `Estimate`, `Interval`, `PairedT`, or any (value, low, high, ...).
        p: p-value to judge by, such as one that `holm` adjusted. Without it, that of the
            `Estimate` or `PairedT`, if it has one.
        alpha: the level of the judgement; the interval should be of 1 - alpha.
        scale: factor from the metric's units to `unit`: 100 from shares to points.
        unit: printed after the difference.
        detectable: the minimum detectable difference, in the metric's units.

    Returns:
        Such as "+1.20 points [+0.31, +2.09], p = 0.012" or "no difference shown: +0.40 points
        [-0.50, +1.30], p = 0.38; one below 1.30 points would often be missed".

    Raises:
        ValueError: the interval has fewer than three numbers, or its ends are crossed; or `alpha`
            or p is out of range.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha}; expected a level between 0 and 1, such as 0.05")
    ends = _ends(interval)
    if p is None:
        p = getattr(interval, "p", None)
    if p is not None and not (math.isnan(p) or 0 <= p <= 1):
        raise ValueError(f"p is {p}; expected a p-value in [0, 1], or NaN where there is none")
    if math.isnan(ends.value):
        return "not defined"
    value, low, high = (f"{x * scale:+.2f}" for x in ends)
    if math.isnan(ends.low) or math.isnan(ends.high):
        why = getattr(interval, "note", "") or "no interval"
        return f"no difference shown: {value} {unit} ({why})"
    known = p is not None and not math.isnan(p)
    shown = (ends.low > 0 or ends.high < 0) and (p is None or not known or p < alpha)
    words = f"{value} {unit} [{low}, {high}]"
    if p is not None and known:
        text = f"{p:.3g}"
        if float(text) == alpha:  # rounded onto the level: the side must still be told
            text = p_text(p, alpha)
        words += ", p " + ("< 0.001" if p < 0.001 else f"= {text}")
    if getattr(interval, "seeds", None) == 1:
        words += "; one seed, so the noise of training is not in it"
    if shown:
        return words
    if detectable is not None and math.isfinite(detectable):
        words += f"; one below {detectable * scale:.2f} {unit} would often be missed"
    return f"no difference shown: {words}"


def _ends(interval: tuple[float, ...] | PairedT) -> _Ends:
    if isinstance(interval, PairedT):
        return _Ends(interval.value, interval.low, interval.high)
    if len(interval) < 3:
        raise ValueError(f"interval is {interval}; expected (value, low, high)")
    ends = _Ends(*interval[:3])
    if ends.low > ends.high:
        raise ValueError(f"interval runs from {ends.low} to {ends.high}; expected low <= high")
    return ends


def _differences(a: ArrayLike, b: ArrayLike) -> tuple[Floats, bool]:
    """a - b, (S,), and whether all are equal but for rounding."""
    left, right = (as_array(side).astype(np.float64) for side in (a, b))
    if left.ndim != 1 or left.shape != right.shape or not left.size:
        raise ValueError(
            f"a has shape {left.shape} and b has shape {right.shape}; expected (S,) for both, one "
            "value for each seed: leave out seeds that only one side has"
        )
    for name, values in (("a", left), ("b", right)):
        if not np.isfinite(values).all():
            at = int(np.argmin(np.isfinite(values)))
            raise ValueError(
                f"{name} is {values[at]} at place {at}; expected a finite metric for each seed: "
                "leave a failed seed out on both sides"
            )
    differences = left - right
    rounding = 8 * np.finfo(np.float64).eps * max(np.abs(left).max(), np.abs(right).max())
    equal = bool(np.ptp(differences) <= rounding)
    if equal and abs(differences).max() <= rounding:
        differences = np.zeros_like(differences)
    return differences, equal
