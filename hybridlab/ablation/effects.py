"""Main effects and two-way interactions of a factorial study.

Each is a difference of means over the study's cells, seed by seed and resample by resample, so
that what a seed or a sample does to all cells cancels as it does between two variants.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, product
from typing import Any, NamedTuple

import numpy as np

from hybridlab.ablation.comparing import Difference, judge
from hybridlab.ablation.findings import Cell, Effect
from hybridlab.ablation.measuring import Measured, together
from hybridlab.ablation.study import Study, level_name
from hybridlab.evaluation.hierarchical import Estimate, RunMetric

Levels = tuple[str, ...]


class Effects(NamedTuple):
    """What `factorial_effects` found; `note` says why there is nothing, if so."""

    main: tuple[Effect, ...] = ()
    interactions: tuple[Effect, ...] = ()
    cells: tuple[Cell, ...] = ()
    note: str = ""


class _Grid(NamedTuple):
    """All cells of a factorial study, over the seeds that every cell has."""

    factors: dict[str, list[str]]
    base: dict[str, str]
    cells: dict[Levels, RunMetric]
    seeds: tuple[int, ...]

    def mean(self, fixed: Mapping[str, str]) -> RunMetric:
        """Mean over all cells with these levels: (S,), (S, R)."""
        chosen = [
            cell for levels, cell in self.cells.items()
            if all(level == fixed.get(name, level)
                   for name, level in zip(self.factors, levels, strict=True))
        ]
        return _mean(chosen)


def levels_of(study: Study, variant: str) -> dict[str, str]:
    """Factor -> the name of its level in a variant."""
    config = study.config(variant)
    return {factor: level_name(config[factor]) for factor in study.factors if factor in config}


def factorial_effects(
    study: Study,
    runs: Mapping[str, Mapping[int, Measured]],
    reference: str,
    metric: str,
    interval: Callable[[RunMetric], Estimate],
    level: float,
    seed: int,
) -> Effects:
    """Effects of the study's factors, each level against that of `reference`.

    Holm's correction is over all main effects, and apart from these over all interactions. Only
    seeds that every cell has are used.

    Args:
        runs: variant -> seed -> its measure.
        interval: mean and interval of one side, for the interaction plot.
    """
    factors = {
        factor: [level_name(value) for value in values]
        for factor, values in study.factors.items() if len(values) > 1
    }
    if not factors:
        return Effects()
    grid = _grid(study, factors, runs, reference)
    if isinstance(grid, str):
        return Effects(note=f"no main effects and interactions: {grid}")
    main = _effects(grid, 1, metric, level, seed)
    interactions = _effects(grid, 2, metric, level, seed)
    cells = [
        Cell((one, two), (a, b), *interval(grid.mean({one: a, two: b}))[:3])
        for one, two in combinations(factors, 2)
        for a, b in product(factors[one], factors[two])
    ]
    left = [each for each in study.seeds if each not in grid.seeds]
    note = (
        f"main effects and interactions rest on the seeds that every combination has: "
        f"{', '.join(map(str, grid.seeds))}" if left else ""
    )
    return Effects(main, interactions, tuple(cells), note)


def _grid(
    study: Study, factors: dict[str, list[str]], runs: Mapping[str, Mapping[int, Measured]],
    reference: str,
) -> _Grid | str:
    """The cells, or why there is no whole grid of them."""
    placed: dict[Levels, str] = {}
    for variant in study.variants:
        levels = levels_of(study, variant)
        place = tuple(levels.get(factor, "") for factor in factors)
        if not all(level in factors[name] for name, level in zip(factors, place, strict=True)):
            continue  # a variant outside the factors' levels
        if place in placed:
            return f"the variants {placed[place]!r} and {variant!r} stand in the same cell"
        placed[place] = variant
    for place in product(*factors.values()):
        if place not in placed:
            return f"no variant has {_words(factors, place)}"
        if not runs.get(placed[place]):
            return f"the variant {placed[place]!r} has no run"
    base = {factor: levels_of(study, reference).get(factor, "") for factor in factors}
    if not all(base[factor] in factors[factor] for factor in factors):
        return f"the reference {reference!r} is no combination of the factors' levels"
    seeds = tuple(
        seed for seed in study.seeds if all(seed in runs[name] for name in placed.values())
    )
    if not seeds:
        return "there is no seed that every combination has"
    sides = together([runs[name] for name in placed.values()], seeds)
    cells = dict(zip(placed, sides, strict=True))
    return _Grid(factors, base, cells, seeds)


def _effects(grid: _Grid, order: int, metric: str, level: float, seed: int) -> tuple[Effect, ...]:
    """All main effects (order 1) or two-way interactions (order 2), judged together."""
    steps: list[tuple[Levels, Levels, Levels]] = []
    for names in combinations(grid.factors, order):
        bases = tuple(grid.base[name] for name in names)
        others = [[each for each in grid.factors[name] if each != grid.base[name]]
                  for name in names]
        steps += [(names, levels, bases) for levels in product(*others)]
    sides: list[Difference] = []
    for names, levels, bases in steps:
        corner = [dict(zip(names, each, strict=True))
                  for each in product(*zip(levels, bases, strict=True))]
        means = [grid.mean(fixed) for fixed in corner]
        if order == 1:
            sides.append(Difference(grid.seeds, means[0], means[1]))
        else:
            # (ab - a'b) - (ab' - a'b') = (ab + a'b') - (ab' + a'b), in the order of `product`
            sides.append(Difference(
                grid.seeds, _sum([means[0], means[3]]), _sum([means[1], means[2]])
            ))
    judged: Sequence[Any] = judge(sides, metric, level, seed)
    return tuple(Effect(*step, comparison) for step, comparison in zip(steps, judged, strict=True))


def _sum(parts: Sequence[RunMetric]) -> RunMetric:
    return RunMetric(
        np.stack([np.asarray(part.whole) for part in parts]).sum(axis=0),
        np.stack([np.asarray(part.drawn) for part in parts]).sum(axis=0),
    )


def _mean(parts: Sequence[RunMetric]) -> RunMetric:
    total = _sum(parts)
    return RunMetric(np.divide(total.whole, len(parts)), np.divide(total.drawn, len(parts)))


def _words(factors: Mapping[str, Any], place: Levels) -> str:
    return ", ".join(f"{name}={level}" for name, level in zip(factors, place, strict=True))
