"""The rows of an analysis: each variant with its mean, its cost, and how it is judged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median
from typing import NamedTuple

import numpy as np

from hybridlab.ablation.comparing import Difference, judge
from hybridlab.ablation.effects import levels_of
from hybridlab.ablation.findings import BETTER, LEAST_SECONDS, LEAST_SHARE, Comparison, Row
from hybridlab.ablation.measuring import Measured, stacked, together
from hybridlab.ablation.records import RunRecord
from hybridlab.ablation.sources import Source
from hybridlab.evaluation.hierarchical import Estimate, RunMetric, hierarchical_interval
from hybridlab.evaluation.named import named_metric

_NAN = math.nan


def mean_of(runs: RunMetric, metric: str, level: float, seed: int) -> Estimate:
    """Mean over seeds with its interval, inside [0, 1]."""
    # A resample holds copies, which raise AP: the basic interval takes that bias off again.
    method = "basic" if named_metric(metric).basic_interval else "percentile"
    found = hierarchical_interval(runs, None, seed, level, method)
    return found._replace(low=max(found.low, 0.0), high=min(found.high, 1.0))


def rows_of(
    found: Source, runs: Mapping[str, dict[int, Measured]], reference: str, metric: str,
    level: float, seed: int,
) -> list[Row]:
    """A row for each variant, each compared with the reference.

    Args:
        runs: variant -> seed -> its measure.
    """
    own = runs[reference]
    shared = {
        name: [each for each in found.seeds if each in runs[name] and each in own]
        for name in found.variants if name != reference
    }
    pairs = {name: seeds for name, seeds in shared.items() if seeds}
    judged = judge(
        [Difference(tuple(seeds), *together([runs[name], own], seeds))
         for name, seeds in pairs.items()],
        metric, level, seed,
    )
    comparisons = dict(zip(pairs, judged, strict=True))
    costs = {name: _cost(found.records, name) for name in found.variants}
    return [
        _row(found, name, runs[name], comparisons.get(name), costs[name], costs[reference],
             metric, level, seed)
        for name in found.variants
    ]


def _row(
    found: Source, name: str, runs: dict[int, Measured], comparison: Comparison | None,
    cost: tuple[int | None, float], base: tuple[int | None, float], metric: str, level: float,
    seed: int,
) -> Row:
    seeds = [each for each in found.seeds if each in runs]
    mean = Estimate(_NAN, _NAN, _NAN, _NAN, 0)
    if seeds:
        mean = mean_of(stacked(runs, seeds), metric, level, seed)
    gain = _NAN if comparison is None else 100 * comparison.value
    study = found.study
    return Row(
        name=name, mean=mean.value, low=mean.low, high=mean.high, seeds=tuple(seeds),
        values=tuple(runs[each].whole for each in seeds), parameters=cost[0], seconds=cost[1],
        comparison=comparison,
        per_million_parameters=_per(gain, _more(cost[0], base[0]) / 1e6),
        per_minute=_per(gain, _more(cost[1], base[1], LEAST_SECONDS) / 60),
        hypothesis=study.hypotheses.get(name, "") if study else "",
        changes=dict(study.variants[name]) if study else {},
        levels=levels_of(study, name) if study else {},
    )


def _more(cost: float | None, base: float | None, least: float = 0.0) -> float:
    """What a variant costs more than the reference; NaN where that is too little to divide by."""
    if cost is None or base is None:
        return _NAN
    more = cost - base
    return more if more >= max(least, LEAST_SHARE * base) else _NAN


def _per(gain: float, more: float) -> float:
    return gain / more if more > 0 else _NAN


def _cost(records: list[RunRecord], variant: str) -> tuple[int | None, float]:
    """Trainable parameters and seconds of a variant, medians over its runs.

    A run may find stages in the cache that it shares with others; their seconds are recorded with
    it as they were when they were computed, but its wall-clock "total" is then too small. So the
    stages are added up where there are any.
    """
    mine = [record for record in records if record.variant == variant]
    if not mine:
        return None, _NAN
    sums = []
    for record in mine:
        stages = [value for stage, value in record.seconds.items() if stage != "total"]
        sums.append(sum(stages) if stages else record.seconds.get("total", _NAN))
    return int(median(record.parameters for record in mine)), float(median(sums))


class Best(NamedTuple):
    """The variant that is shown to be better than each of the others, None if there is none.

    `close` are the variants of which more resamples might change that.
    """

    name: str | None
    close: frozenset[str] = frozenset()


def best_of(
    runs: Mapping[str, dict[int, Measured]], metric: str, level: float, seed: int
) -> Best:
    """Compared with all others at once, as in Hsu's comparisons with the best.

    Args:
        runs: variant -> seed -> its measure.
    """
    sign = -1 if named_metric(metric).lower_is_better else 1
    means = {name: sign * float(np.mean([each.whole for each in found.values()]))
             for name, found in runs.items() if found}
    if len(means) < 2:
        return Best(None)
    top = max(means, key=lambda name: means[name])
    differences = {}
    for other in means:
        seeds = [each for each in runs[top] if each in runs[other]]
        if other != top and seeds:
            sides = together([runs[top], runs[other]], seeds)
            differences[other] = Difference(tuple(seeds), *sides)
    if len(differences) < len(means) - 1:
        return Best(None)
    judged = dict(zip(
        differences, judge(list(differences.values()), metric, level, seed), strict=True
    ))
    close = {name for name, one in judged.items() if one.close(round(1 - level, 12))}
    won = [name for name, one in judged.items() if one.verdict == BETTER]
    if len({*won, *close}) < len(judged):
        return Best(None)  # one that is clearly not beaten decides
    name = top if len(won) == len(judged) else None
    return Best(name, frozenset({*close, top}) if close else frozenset())
