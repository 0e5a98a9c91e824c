"""How long the rest of a study will take, from the runs that are done, here or in other studies.

Runs share parts, and whoever comes first makes them: the first run of a study what all share, the
first of a seed what that seed shares. Variants are run in the same order for each seed, so what a
variant took with one seed is a fair guess for the others, waiting for shared parts included.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from hybridlab.ablation.records import RUNS
from hybridlab.ablation.runs import canonical
from hybridlab.ablation.study import Study

PILOT = 2  # runs: the first makes what runs share, and the second finds it
_LAST = 20  # runs by which it is judged how many go on at a time


@dataclass(frozen=True)
class VariantCost:
    """What a run of a variant takes.

    Attributes:
        name: of the variant.
        seconds: a typical run's, on the clock; NaN where nothing is known of this variant.
        most: the longest run's.
        source: where that is from: "this study", the name of another study's folder, or "".
    """

    name: str
    seconds: float
    most: float
    source: str


@dataclass(frozen=True)
class CostEstimate:
    """What is left of a study.

    Attributes:
        variants: one for each.
        done, left: runs.
        seconds: of all runs that are left, one after another; NaN where no run is known.
        most: the same if each run took as long as the longest of its variant (of all, for a
            variant of which nothing is known).
        longest: of one run: no number of workers is quicker.
    """

    variants: tuple[VariantCost, ...]
    done: int
    left: int
    seconds: float
    most: float
    longest: float

    def wall(self, at_once: float) -> tuple[float, float]:
        """Seconds by the clock, about and at most, if so many runs go on at a time."""
        if not self.left:
            return 0.0, 0.0
        return max(self.longest, self.seconds / at_once), max(self.longest, self.most / at_once)


def estimate_cost(study: Study, folder: str | Path, elsewhere: bool = True) -> CostEstimate:
    """What is left of a study, by the runs that its folder holds.

    Args:
        elsewhere: for variants of which there is no run here, look at the studies in the folders
            beside this one: the same run function and configuration, with any seed.
    """
    folder = Path(folder)
    here: dict[str, dict[int, float]] = {name: {} for name in study.variants}
    begun: dict[tuple[str, int], str] = {}
    left = []
    for run in study.runs():
        found = _read(folder / RUNS / run.key)
        if found is None:
            left.append(run.variant)
            continue
        here[run.variant][run.seed], begun[run.variant, run.seed] = found
    done = sum(map(len, here.values()))
    first = min(begun, key=lambda pair: begun[pair]) if begun else None
    missing = {name for name, times in here.items() if not times}
    others = _elsewhere(study, missing, folder) if elsewhere and missing else {}
    costs = []
    for name, times in here.items():
        if times:
            usual = [value for seed, value in times.items() if (name, seed) != first]
            costs.append(VariantCost(
                name, median(usual or times.values()), max(times.values()), "this study"))
        elif name in others:
            place, values = others[name]
            costs.append(VariantCost(name, median(values), max(values), place))
        else:
            costs.append(VariantCost(name, math.nan, math.nan, ""))
    known = [each for each in costs if each.source]
    if not known:
        return CostEstimate(tuple(costs), done, len(left), math.nan, math.nan, math.nan)
    # of those that nothing is known of, some find all that they need, and some train for long
    guess = sum(each.seconds for each in known) / len(known)
    largest = max(each.most for each in known)
    by_name = {each.name: each for each in costs}
    usual = [by_name[name].seconds if by_name[name].source else guess for name in left]
    most = [by_name[name].most if by_name[name].source else largest for name in left]
    return CostEstimate(
        tuple(costs), done, len(left), sum(usual), sum(most), max(usual, default=0.0)
    )


def at_once(study: Study, folder: str | Path) -> float:
    """How many runs went on at a time lately, by the clocks of the last runs; NaN without runs."""
    spans = []
    for run in study.runs():
        manifest = _json(Path(folder) / RUNS / run.key / "manifest.json")
        try:
            begun, ended = (datetime.fromisoformat(manifest[name]) for name in ("started", "ended"))
            spans.append((ended.timestamp(), begun.timestamp()))
        except (KeyError, TypeError, ValueError):
            continue
    last = sorted(spans)[-_LAST:]
    if not last:
        return math.nan
    whole = max(end for end, _ in last) - min(begin for _, begin in last)
    worked = sum(end - begin for end, begin in last)
    return max(1.0, worked / whole) if whole > 0 else 1.0


def _read(path: Path) -> tuple[float, str] | None:
    """Seconds by the clock of a run that seems done, and when it began; None otherwise."""
    done, manifest = _json(path / "done.json"), _json(path / "manifest.json")
    try:
        seconds = float(done["seconds"]["total"])
    except (KeyError, TypeError, ValueError):
        return None
    return (seconds, str(manifest.get("started", ""))) if math.isfinite(seconds) else None


def _elsewhere(
    study: Study, variants: set[str], folder: Path
) -> dict[str, tuple[str, list[float]]]:
    """Variant -> a study beside this one that has runs of its configuration, and their seconds."""
    wanted = {canonical(study.config(name)): name for name in variants}
    found: dict[str, tuple[str, list[float]]] = {}
    for path in _runs_beside(folder):
        config = _json(path / "config.json")
        if not config or config.get("function") != study.run:
            continue
        try:
            name = wanted.get(canonical(config.get("config")))
        except (TypeError, ValueError):
            continue
        seconds = _read(path)
        if name is not None and seconds is not None:
            place, values = found.setdefault(name, (path.parent.parent.name, []))
            if place == path.parent.parent.name:
                values.append(seconds[0])
    return found


def _runs_beside(folder: Path) -> Iterator[Path]:
    here = folder.absolute()
    for path in sorted(here.parent.glob(f"*/{RUNS}/[!.]*/done.json")):
        if path.parent.parent.parent != here:
            yield path.parent


def _json(path: Path) -> Mapping[str, Any]:
    try:
        read = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, Mapping) else {}
