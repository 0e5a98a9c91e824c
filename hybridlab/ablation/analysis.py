"""What a study shows: every variant with its interval, and its difference to the reference.

    analysis = analyse("runs/studies/fusion")
    print(markdown(analysis))
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from hybridlab.ablation.caveats import caveats, close_calls
from hybridlab.ablation.effects import Effects, factorial_effects
from hybridlab.ablation.findings import ABLATE, Analysis, Row
from hybridlab.ablation.measuring import Kept, Measurements, measure_again, measure_runs
from hybridlab.ablation.provenance import provenance
from hybridlab.ablation.records import RunRecord
from hybridlab.ablation.rows import best_of, mean_of, rows_of
from hybridlab.ablation.sources import Source, from_folder, from_records
from hybridlab.ablation.study import level_name

LEAST_RESAMPLES = 100
FIRST, MOST = 1000, 10_000  # resamples: of every run, and of those whose verdict is close


def analyse(
    source: str | os.PathLike[str] | Sequence[RunRecord],
    reference: str | None = None,
    metric: str = "mean_ap",
    resamples: int | None = None,
    level: float = 0.95,
    seed: int = 0,
    command: str | None = None,
    without: Sequence[str] = (),
    kept: Kept | None = None,
) -> Analysis:
    """Compare the variants of a study by one metric.

    Seeds are paired: a difference rests on the seeds that both variants have. Runs that failed,
    are missing, or have no value of the metric are listed in `troubles`.

    Args:
        source: a study's folder, or records of `load_results`.
        reference: what others are compared with; by default the study's, or the first record's.
        metric: any name that `hybridlab.evaluation.named` knows, whether or not the study has it.
        resamples: of the bootstrap. By default `FIRST`, and `MOST` for the comparisons whose
            verdict might turn with other resamples; a number is kept to throughout.
        level: of the intervals; tests are at 1 - level.
        seed: of the resampling: the same gives the same figures.
        command: repeats the study, for reports. Without it, that of the study's file, by its name,
            where the folder knows it.
        without: variants to leave out.
        kept: a dictionary that carries what was measured from one analysis to the next, where
            several are made of the same runs.

    Raises:
        StudyFileError: the folder holds no study.
        ValueError: no run at all, an unknown reference or metric, a bad `level`, fewer than
            `LEAST_RESAMPLES` resamples, or a variant to leave out that is unknown or the reference.
    """
    if isinstance(source, (str, os.PathLike)):
        found = from_folder(Path(source), reference, without)
    else:
        found = from_records(list(source), reference, without)
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
    if resamples is not None and resamples < LEAST_RESAMPLES:
        raise ValueError(
            f"resamples is {resamples}; an interval and a p-value need {LEAST_RESAMPLES} or more: "
            "give 1000, and more where many variants are compared"
        )
    measured = measure_runs(found.records, metric, resamples or FIRST, seed, reference, kept)
    judged = _judged(found, measured, reference, metric, level, seed)
    if resamples is None and judged.close:
        measured = measure_again(
            measured, found.records, judged.close, metric, MOST, seed, kept
        )
        judged = _judged(found, measured, reference, metric, level, seed)
    effects = judged.effects
    origin = provenance(found.records)
    notes = [
        *caveats(judged.rows, found.seeds, reference, measured, level),
        *close_calls(judged.rows, [*effects.main, *effects.interactions], level), *found.notes,
        *origin.notes,
    ]
    return Analysis(
        study=study.name if study else "",
        question=study.question if study else "",
        metric=metric,
        reference=reference,
        seeds=found.seeds,
        level=level,
        resamples=resamples or FIRST,
        bootstrap_seed=seed,
        samples=measured.samples,
        rows=tuple(judged.rows),
        best=judged.best,
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
        command=command or _command(source, found),
    )


def _command(source: object, found: Source) -> str:
    """What goes on with the study of a folder, both named without their places; "" if unknown."""
    if found.study is None or not found.study.source or not isinstance(source, str | os.PathLike):
        return ""
    seeds = " ".join(map(str, found.seeds))
    folder = Path(source).resolve().name
    return f"{ABLATE} {quote(found.study.source)} --folder {quote(folder)} --seeds {seeds}"


class _Judged(NamedTuple):
    """All verdicts, and the variants of which more resamples might turn one."""

    rows: list[Row]
    best: str | None
    effects: Effects
    close: frozenset[str]


def _judged(
    found: Source, measured: Measurements, reference: str, metric: str, level: float, seed: int
) -> _Judged:
    alpha = round(1 - level, 12)
    runs = {name: measured.runs.get(name, {}) for name in found.variants}
    rows = rows_of(found, runs, reference, metric, level, seed)
    best = best_of(runs, metric, level, seed)
    effects = Effects()
    if found.study is not None:
        effects = factorial_effects(
            found.study, runs, reference, metric, lambda one: mean_of(one, metric, level, seed),
            level, seed,
        )
    close = {row.name for row in rows if row.comparison and row.comparison.close(alpha)}
    if close:
        close.add(reference)
    if any(each.comparison.close(alpha) for each in (*effects.main, *effects.interactions)):
        close |= set(runs)  # an effect is a mean over all of them
    return _Judged(rows, best.name, effects, best.close | close)
