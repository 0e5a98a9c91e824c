"""The figures of a report against those of the study: what stands in it must be what was found."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import pstdev, stdev
from typing import NamedTuple

from hybridlab.ablation.findings import Analysis, Row

_MOST = 200  # figures of a sentence or row that are looked up
_NUMBER = r"[+-]?\d{1,9}(?:\.\d{1,9})?"
_INTERVAL = re.compile(
    rf"(?P<value>{_NUMBER})\s{{0,3}}(?:%|points?|pts?)?\s{{0,3}}[,:;]?\s{{0,3}}"
    rf"(?:95\s?%\s{{0,3}}(?:CI|interval)?:?\s{{0,3}})?[\[(]\s{{0,3}}(?:95\s?%\s?(?:CI)?:?\s{{0,3}})?"
    rf"(?P<low>{_NUMBER})\s{{0,3}}%?\s{{0,3}}(?:,|;|to|\.\.\.?|–|…)\s{{0,3}}"
    rf"(?P<high>{_NUMBER})\s{{0,3}}%?\s{{0,3}}[\])]"
)
_DECIMAL = re.compile(r"(?<![\w.@-])[+-]?\d{1,9}\.\d{1,9}(?![\w.]*\d)")
# a time, a size or a share of runs: no figure of a metric
_UNIT = re.compile(r"\s{0,2}(?:s|sec|seconds?|min|minutes?|h|hours?|k|M|[KMG]i?B|million|ms)\b")
_SMALLER = re.compile(r"(?:<|>|≤|≥|below|under|above|than|alpha|level|p)\s{0,2}=?\s{0,2}$")
_USUAL = (0.05, 0.95, 0.01, 0.1, 95.0, 99.0)


class Interval(NamedTuple):
    """A figure with its interval, as it stands in a report: "54.1 [52.0, 56.3]"."""

    value: str
    low: str
    high: str

    def __str__(self) -> str:
        return f"{self.value} [{self.low}, {self.high}]"


@dataclass(frozen=True)
class Known:
    """What the study knows of one variant.

    Attributes:
        means: by each metric, (mean, low, high), the metric that judges first.
        differences: to the reference, the same; empty for the reference.
        others: single figures that a report may hold besides.
        rough: the same with a slack: they depend on the resamples.
    """

    name: str
    means: tuple[tuple[float, float, float], ...]
    differences: tuple[tuple[float, float, float], ...]
    others: tuple[float, ...]
    rough: tuple[tuple[float, float], ...] = ()

    def has(self, found: Interval) -> bool:
        """Whether a figure with its interval is one of the variant's."""
        return any(_same_interval(found, each) for each in (*self.means, *self.differences))


def known_figures(analyses: Sequence[Analysis]) -> dict[str, Known]:
    """Variant -> its figures, of analyses of one study by several metrics."""
    return {
        row.name: _known([analysis.row(row.name) for analysis in analyses], analyses)
        for row in analyses[0].rows
    }


def intervals(text: str) -> list[Interval]:
    """All figures with intervals."""
    return [Interval(found["value"], found["low"], found["high"])
            for found in islice(_INTERVAL.finditer(text), _MOST)]


def odd_figures(text: str, mentioned: Iterable[Known]) -> list[str]:
    """Figures in a text that none of the variants has, as they stand there.

    Figures with an interval are looked up as such. Of single ones only those with decimals are: a
    whole number may count anything.
    """
    variants = list(mentioned)
    odd = [str(found) for found in intervals(text)
           if not any(each.has(found) for each in variants)]
    rest = _INTERVAL.sub(lambda found: " " * len(found[0]), text)
    for found in islice(_DECIMAL.finditer(rest), _MOST):
        if _UNIT.match(rest, found.end()) or _SMALLER.search(rest[:found.start()][-12:]):
            continue
        if not is_known(found[0], variants):
            odd.append(found[0])
    return odd


def is_known(figure: str, variants: Sequence[Known]) -> bool:
    """Whether a single figure, as a share or in percent, is one of these variants', or a difference
    of two of them."""
    singles = [value for each in variants for value in _all(each)]
    heads = [each.means[0][0] for each in variants if each.means]
    singles += [one - two for one in heads for two in heads]
    value = float(figure)
    if any(math.isclose(value, usual) for usual in _USUAL):
        return True
    sign = figure[0] in "+-"
    rough = [pair for each in variants for pair in each.rough]
    return any(_same(figure, known, sign) for known in singles) or any(
        _same(figure, known, sign, slack) for known, slack in rough)


def has_mean(texts: Iterable[str], variant: Known) -> bool:
    """Whether one of the texts gives the variant's mean by the metric that judges."""
    if not variant.means or math.isnan(variant.means[0][0]):
        return True
    mean = variant.means[0][0]
    return any(
        _same(found[0], mean, sign=False)
        for text in texts for found in islice(re.finditer(_NUMBER, text), _MOST)
        if "." in found[0]
    )


def has_difference(texts: Iterable[str], variant: Known) -> bool:
    """Whether one gives its difference to the reference, with the interval."""
    if not variant.differences or math.isnan(variant.differences[0][1]):
        return True
    return any(_same_interval(found, variant.differences[0])
               for text in texts for found in intervals(text))


def _known(rows: Sequence[Row], analyses: Sequence[Analysis]) -> Known:
    means = tuple((row.mean, row.low, row.high) for row in rows)
    compared = [row.comparison for row in rows if row.comparison is not None]
    others: list[float] = []
    rough: list[tuple[float, float]] = []
    for row, analysis in zip(rows, analyses, strict=True):
        others += row.values
        if len(row.values) > 1:
            others += [stdev(row.values), pstdev(row.values)]
        others += [analysis.alpha / 100, analysis.level / 100]
    for each in compared:
        others += [*each.per_seed, each.t_low, each.t_high]
        rough.append((each.detectable, 0.15 * each.detectable))
        rough += [(p / 100, min(0.05, 0.005 + 0.5 * p) / 100) for p in (each.p, each.p_holm)]
        if len(each.per_seed) > 1:
            others += [stdev(each.per_seed), pstdev(each.per_seed)]
        # not in points: as if they were shares of 100
        others += [value / 100 for value in (each.p_t, each.p_t_holm, each.effect)]
    first = rows[0]
    others += [value / 100 for value in (
        first.per_million_parameters, first.per_minute, first.seconds, first.seconds / 60,
        first.seconds / 3600)]
    if first.parameters is not None:
        others += [first.parameters / size / 100 for size in (1, 1e3, 1e6)]
    return Known(
        first.name, means, tuple((each.value, each.low, each.high) for each in compared),
        tuple(value for value in others if not math.isnan(value)),
        tuple(pair for pair in rough if not math.isnan(pair[0])),
    )


def _all(variant: Known) -> list[float]:
    ends = [value for each in (*variant.means, *variant.differences) for value in each]
    return [value for value in [*ends, *variant.others] if not math.isnan(value)]


def _same(figure: str, share: float, sign: bool, slack: float = 0.0) -> bool:
    """Whether a figure is a share, in percent or as it is, within the rounding of its digits."""
    decimals = len(figure.partition(".")[2])
    reach = 0.51 * 10.0**-decimals
    value = float(figure)
    candidates = [(100 * share, 100 * slack)]
    if decimals >= 2:
        candidates.append((share, slack))
    return any(
        abs(value - known) <= reach + more or (
            not sign and abs(value - abs(known)) <= reach + more)
        for known, more in candidates
    )


def _same_interval(found: Interval, known: tuple[float, float, float]) -> bool:
    """Ends may differ by a tenth of the width: other resamples give that much."""
    value, low, high = known
    if math.isnan(value) or math.isnan(low):
        return False
    slack = 0.1 * (high - low)
    if _same(found.value, value, sign=found.value[0] in "+-"):
        ends = [(found.low, low), (found.high, high)]
        if all(_same(text, end, sign=True, slack=slack) for text, end in ends):
            return True
        # "worse by 2.1 points [1.0, 3.2]": both signs turned
        if value < 0 and found.value[0] not in "+-":
            ends = [(found.low, -high), (found.high, -low)]
            return all(_same(text, end, sign=True, slack=slack) for text, end in ends)
    return False
