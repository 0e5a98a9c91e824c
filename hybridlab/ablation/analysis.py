"""What a study shows: every variant with its interval, and its difference to the reference.

    analysis = analyse("runs/studies/fusion")
    print(markdown(analysis))
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from hybridlab.ablation.caveats import caveats
from hybridlab.ablation.comparing import Difference, judge
from hybridlab.ablation.definition import load_definition, read_definition
from hybridlab.ablation.effects import Effects, factorial_effects, levels_of
from hybridlab.ablation.findings import (
    BETTER,
    LEAST_SECONDS,
    LEAST_SHARE,
    Analysis,
    Comparison,
    Row,
    Trouble,
)
from hybridlab.ablation.measuring import Measured, measure_runs, stacked
from hybridlab.ablation.provenance import provenance, without_paths
from hybridlab.ablation.records import RunRecord
from hybridlab.ablation.state import load_results, study_state
from hybridlab.ablation.study import Study, level_name
from hybridlab.evaluation.hierarchical import Estimate, RunMetric, hierarchical_interval
from hybridlab.evaluation.named import named_metric

LEAST_RESAMPLES = 100
_NAN = math.nan


class _Source(NamedTuple):
    """Runs, and what is known of the study that they belong to."""

    records: list[RunRecord]
    study: Study | None
    variants: list[str]
    seeds: tuple[int, ...]
    troubles: list[Trouble]
    notes: list[str]


def analyse(
    source: str | os.PathLike[str] | Sequence[RunRecord],
    reference: str | None = None,
    metric: str = "mean_ap",
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    command: str | None = None,
) -> Analysis:
    """Compare the variants of a study by one metric.

    Seeds are paired: a difference rests on the seeds that both variants have. Runs that failed,
    are missing, or have no value of the metric are listed in `troubles`.

    Args:
        source: a study's folder, or records of `load_results`.
        reference: what others are compared with; by default the study's, or the first record's.
        metric: any name that `hybridlab.evaluation.named` knows, whether or not the study has it.
        resamples: of the bootstrap; more where many variants are compared (a note says when).
        level: of the intervals; tests are at 1 - level.
        seed: of the resampling: the same gives the same figures.
        command: repeats the study, for reports. A folder does not tell which file its study was
            read from, so without it the report says in words what to run.

    Raises:
        StudyFileError: the folder holds no study.
        ValueError: no run at all, an unknown reference or metric, test samples that differ between
            paired runs, a bad `level`, or fewer than `LEAST_RESAMPLES` resamples.
    """
    found = _from_folder(Path(source)) if isinstance(source, (str, os.PathLike)) else (
        _from_records(list(source))
    )
    study = found.study
    if not found.records:
        raise ValueError(
            f"{study.name if study else 'the list'} has no run that is done; run the study first "
            "with `hybridlab ablate`"
        )
    reference = reference or (study.reference if study else found.variants[0])
    if reference not in found.variants:
        raise ValueError(
            f"reference is {reference!r}, which is no variant; the variants are "
            + ", ".join(map(repr, found.variants))
        )
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; expected a share between 0 and 1, such as 0.95")
    if resamples < LEAST_RESAMPLES:
        raise ValueError(
            f"resamples is {resamples}; an interval and a p-value need {LEAST_RESAMPLES} or more: "
            "give 1000, and more where many variants are compared"
        )
    measured = measure_runs(found.records, metric, resamples, seed)
    runs = {name: measured.runs.get(name, {}) for name in found.variants}
    rows = _rows(found, runs, reference, metric, level, seed)
    effects = Effects()
    if study is not None:
        effects = factorial_effects(
            study, runs, reference, metric, lambda one: _mean(one, metric, level, seed), level,
            seed,
        )
    origin = provenance(found.records)
    notes = [
        *caveats(rows, found.seeds, reference, measured, resamples, level), *found.notes,
        *origin.notes,
    ]
    return Analysis(
        study=study.name if study else "",
        question=study.question if study else "",
        metric=metric,
        reference=reference,
        seeds=found.seeds,
        level=level,
        resamples=resamples,
        bootstrap_seed=seed,
        samples=measured.samples,
        rows=tuple(rows),
        best=_best(runs, metric, level, seed),
        main_effects=effects.main,
        interactions=effects.interactions,
        cells=effects.cells,
        factors={
            name: [level_name(value) for value in values]
            for name, values in (study.factors if study else {}).items()
        },
        troubles=tuple([*found.troubles, *measured.troubles]),
        notes=tuple([*notes, effects.note] if effects.note else notes),
        recipe=dict(study.recipe) if study else {},
        versions=origin.versions,
        device=origin.device,
        commit=origin.commit,
        date=origin.date,
        command=command or "",
    )


def _from_folder(folder: Path) -> _Source:
    study = load_definition(folder)
    state = study_state(study, folder)
    troubles = [
        Trouble(each.variant, each.seed, "failed", without_paths(str(each)))
        for each in state.failed
    ]
    troubles += [
        Trouble(each.variant, each.seed, "missing", state.broken.get(each.key, ""))
        for each in state.missing
    ]
    order = list(study.variants)
    troubles.sort(key=lambda each: (order.index(each.variant), each.seed))
    mixed = (read_definition(folder) or {}).get("mixed_code")
    notes = ["runs of other code were let in with --allow-mixed-code"] if mixed else []
    return _Source(
        load_results(folder), study, order, tuple(study.seeds), troubles, notes
    )


def _from_records(records: list[RunRecord]) -> _Source:
    variants = list(dict.fromkeys(record.variant for record in records))
    seeds = tuple(dict.fromkeys(record.seed for record in records))
    there = [(record.variant, record.seed) for record in records]
    if len(set(there)) < len(there):
        twice = next(pair for pair in there if there.count(pair) > 1)
        raise ValueError(f"the records hold variant {twice[0]!r}, seed {twice[1]} twice; drop one")
    troubles = [
        Trouble(name, seed, "missing")
        for name in variants for seed in seeds if (name, seed) not in set(there)
    ]
    return _Source(records, None, variants, seeds, troubles, [])


def _mean(runs: RunMetric, metric: str, level: float, seed: int) -> Estimate:
    """Mean over seeds with its interval, inside [0, 1]."""
    # A resample holds copies, which raise AP: the basic interval takes that bias off again.
    method = "basic" if named_metric(metric).basic_interval else "percentile"
    found = hierarchical_interval(runs, None, seed, level, method)
    return found._replace(low=max(found.low, 0.0), high=min(found.high, 1.0))


def _rows(
    found: _Source, runs: Mapping[str, dict[int, Measured]], reference: str, metric: str,
    level: float, seed: int,
) -> list[Row]:
    own = runs[reference]
    shared = {
        name: [each for each in found.seeds if each in runs[name] and each in own]
        for name in found.variants if name != reference
    }
    pairs = {name: seeds for name, seeds in shared.items() if seeds}
    judged = judge(
        [Difference(tuple(seeds), stacked(runs[name], seeds), stacked(own, seeds))
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
    found: _Source, name: str, runs: dict[int, Measured], comparison: Comparison | None,
    cost: tuple[int | None, float], base: tuple[int | None, float], metric: str, level: float,
    seed: int,
) -> Row:
    seeds = [each for each in found.seeds if each in runs]
    mean = Estimate(_NAN, _NAN, _NAN, _NAN, 0)
    if seeds:
        mean = _mean(stacked(runs, seeds), metric, level, seed)
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


def _best(
    runs: Mapping[str, dict[int, Measured]], metric: str, level: float, seed: int
) -> str | None:
    """The variant that is shown to be better than each of the others, if one is.

    Compared with all others at once, as in Hsu's comparisons with the best.
    """
    sign = -1 if named_metric(metric).lower_is_better else 1
    means = {name: sign * float(np.mean([each.whole for each in found.values()]))
             for name, found in runs.items() if found}
    if len(means) < 2:
        return None
    top = max(means, key=lambda name: means[name])
    differences = []
    for other in means:
        seeds = [each for each in runs[top] if each in runs[other]]
        if other != top and seeds:
            sides = stacked(runs[top], seeds), stacked(runs[other], seeds)
            differences.append(Difference(tuple(seeds), *sides))
    if len(differences) < len(means) - 1:
        return None
    judged = judge(differences, metric, level, seed)
    return top if all(each.verdict == BETTER for each in judged) else None
