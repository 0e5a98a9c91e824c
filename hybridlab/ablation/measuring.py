"""One metric of every run of a study, on its test samples and on resamples of them.

Rows are brought into one order by their ids, so that a resample holds the same samples in every
run. One run is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hybridlab.ablation.findings import OTHER_SAMPLES, Trouble
from hybridlab.ablation.records import Predictions, RunRecord
from hybridlab.evaluation.bootstrap import resampled_values
from hybridlab.evaluation.hierarchical import RunMetric
from hybridlab.evaluation.inputs import Floats
from hybridlab.evaluation.named import NamedMetric, named_metric


class Measured(NamedTuple):
    """A metric of one run: on its test samples, and (R,) on resamples of them.

    All is NaN where the metric is not defined; `drawn` also for fewer than two samples.
    """

    whole: float
    drawn: Floats


Kept = MutableMapping[tuple[Path, str, int, int], Measured]
"""Measures by run, metric, resamples and seed of the resampling: a done run does not change."""


class Measurements(NamedTuple):
    """A metric of all runs.

    Attributes:
        runs: variant -> seed -> its measure; runs on which the metric is not defined are left out.
        troubles: those that were left out.
        samples: N of the first seed.
        fewest: N of the seed that has fewest.
        absent: labels without a positive among the test samples, of `labels`.
        shared: every seed has the same test samples.
    """

    runs: dict[str, dict[int, Measured]]
    troubles: list[Trouble]
    samples: int
    fewest: int
    absent: int
    labels: int
    shared: bool


class _Split(NamedTuple):
    variant: str
    ids: NDArray[Any]
    targets: NDArray[np.int8]


def measure_runs(
    records: Iterable[RunRecord], metric: str, resamples: int = 1000, seed: int = 0,
    reference: str | None = None, kept: Kept | None = None,
) -> Measurements:
    """Measure every run; the slow half of an analysis (1.5 s for 1,500 samples x 80 labels).

    Args:
        reference: the variant whose test samples count. A run of the same seed with others, or
            with other targets, cannot be paired with it and is left out. Without it, and for
            seeds that it has no run of, those of the first record count.
        kept: measures of earlier analyses, which need not be made again; new ones are added.

    Raises:
        ValueError: an unknown metric, or `resamples` below 1.
    """
    asked = named_metric(metric)
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}; expected at least 1 (1000 is usual)")
    runs: dict[str, dict[int, Measured]] = {}
    troubles: list[Trouble] = []
    splits: dict[int, _Split] = {}
    for record in sorted(records, key=lambda record: record.variant != reference):  # stable
        found = runs.setdefault(record.variant, {})
        sorted_ = _by_id(record.predictions())
        split = splits.setdefault(
            record.seed, _Split(record.variant, sorted_.ids, sorted_.targets)
        )
        if other := _otherwise(split, sorted_):
            troubles.append(Trouble(record.variant, record.seed, OTHER_SAMPLES, other))
            continue
        try:
            measured = _measured(record, sorted_, asked, resamples, seed, kept)
            why = f"{metric} is not defined on its test samples (no label has a positive, say)"
        except ValueError as error:  # such as K above the number of labels: other runs may do
            measured, why = None, f"{metric} cannot be computed for it: {error}"
        if measured is None or np.isnan(measured.whole):
            troubles.append(Trouble(record.variant, record.seed, "undefined", why))
        else:
            found[record.seed] = measured
    first = next(iter(splits.values()), None)
    if first is None:
        return Measurements(runs, troubles, 0, 0, 0, 0, True)
    return Measurements(
        runs, troubles, len(first.ids), min(len(each.ids) for each in splits.values()),
        int((~(first.targets == 1).any(axis=0)).sum()), first.targets.shape[1],
        all(_equal(first, other) for other in splits.values()),
    )


def measure_run(
    predictions: Predictions, metric: str | NamedMetric, resamples: int, seed: int
) -> Measured:
    """One metric of one run; the same `seed`, N and `resamples` give the same resamples.

    Raises:
        ValueError: an unknown metric, or one that these predictions cannot have.
    """
    asked = named_metric(metric) if isinstance(metric, str) else metric
    scores, decisions, targets, _ = predictions
    weigh = asked.prepare(scores, decisions, targets)
    whole = float(weigh(np.ones((1, len(targets)), np.int32))[0])
    if np.isnan(whole):
        return Measured(whole, np.full(resamples, np.nan))
    return Measured(whole, resampled_values(weigh, len(targets), resamples, seed))


def measure_again(
    measured: Measurements, records: Iterable[RunRecord], variants: Container[str], metric: str,
    resamples: int, seed: int, kept: Kept | None = None,
) -> Measurements:
    """The same with more resamples of the runs of some variants; the first ones stay the same."""
    asked = named_metric(metric)
    runs = {name: dict(found) for name, found in measured.runs.items()}
    for record in records:
        if record.variant in variants and record.seed in runs.get(record.variant, {}):
            runs[record.variant][record.seed] = _measured(
                record, _by_id(record.predictions()), asked, resamples, seed, kept
            )
    return measured._replace(runs=runs)


def _measured(
    record: RunRecord, predictions: Predictions, metric: NamedMetric, resamples: int, seed: int,
    kept: Kept | None,
) -> Measured:
    """`measure_run`, or what `kept` has of it."""
    kept = {} if kept is None else kept
    key = (record.path, metric.name, resamples, seed)
    if key not in kept:
        kept[key] = measure_run(predictions, metric, resamples, seed)
    return kept[key]


def stacked(runs: Mapping[int, Measured], seeds: Iterable[int]) -> RunMetric:
    """The runs of some seeds, in their order, as the bootstrap takes them: (S,), (S, R)."""
    return together([runs], seeds)[0]


def together(
    variants: Sequence[Mapping[int, Measured]], seeds: Iterable[int]
) -> list[RunMetric]:
    """`stacked` for several variants, cut to the resamples that all of them have."""
    seeds = tuple(seeds)
    chosen = [[runs[seed] for seed in seeds] for runs in variants]
    least = min(len(each.drawn) for runs in chosen for each in runs)
    return [
        RunMetric(
            np.array([each.whole for each in runs]),
            np.stack([each.drawn[:least] for each in runs]),
        )
        for runs in chosen
    ]


def _by_id(predictions: Predictions) -> Predictions:
    order = np.argsort(predictions.ids, kind="stable")
    scores, decisions, targets, ids = predictions
    return Predictions(scores[order], decisions[order], targets[order], ids[order])


def _equal(a: _Split, b: _Split) -> bool:
    return np.array_equal(a.ids, b.ids) and np.array_equal(a.targets, b.targets)


def _otherwise(split: _Split, given: Predictions) -> str:
    """How a run's test samples differ from the ones that count for its seed; empty if not."""
    other = f"{split.variant!r}, whose test samples count"
    if not np.array_equal(split.ids, given.ids):
        one, two = set(split.ids.tolist()), set(given.ids.tolist())
        return (
            f"it was tested on other samples than {other}: {len(one - two)} ids only there, "
            f"{len(two - one)} only here; let every variant test on the samples that the recipe "
            "and the seed name"
        )
    if split.targets.shape != given.targets.shape:
        return (
            f"its targets have shape {given.targets.shape} and those of {other}, "
            f"{split.targets.shape}; let every variant have the same labels"
        )
    if np.array_equal(split.targets, given.targets):
        return ""
    row, column = (int(at) for at in np.argwhere(split.targets != given.targets)[0])
    return (
        f"it has other targets for the same samples than {other} (the first: id "
        f"{given.ids[row]}, label column {column}: {given.targets[row, column]} here and "
        f"{split.targets[row, column]} there); let every variant test on the same targets"
    )
