"""Study folders with planted differences, written as the engine writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hybridlab.ablation.definition import write_definition
from hybridlab.ablation.records import RUNS, save_run
from hybridlab.ablation.runs import RunResult, RunSpec
from hybridlab.ablation.state import failure_record
from hybridlab.ablation.study import Study
from hybridlab.files import write_json

MANIFEST = {
    "versions": {"python": "3.11.9", "numpy": "2.1.0"}, "device": "cpu", "code": {"a.py": "12"},
    "git": {"commit": "abc123", "dirty": False}, "ended": "2026-11-05T10:00:00+00:00",
}


def targets_of(samples: int, labels: int = 4) -> np.ndarray:
    """(N, L): the same test samples for every run of a size."""
    found = (np.random.default_rng(99).random((samples, labels)) < 0.35).astype(np.int8)
    found[0] = 1
    return found


def result(
    strength: float, seed: int, name: str = "", samples: int = 60, jitter: float = 0.05, **others
) -> RunResult:
    """A run: targets seen through noise, which the variants of a seed share for a half.

    Args:
        strength: how much of the targets is in the scores.
        name: runs of one seed and name are equal.
        jitter: how much the strength varies with the seed and name.
    """
    targets = targets_of(samples)
    own = np.random.default_rng([seed, *name.encode()])
    shared = np.random.default_rng([seed]).normal(size=targets.shape)
    fixed = np.random.default_rng(5).normal(size=targets.shape)  # what is hard for everybody
    noise = fixed + 0.5 * shared + 0.5 * own.normal(size=targets.shape)
    scores = (strength + jitter * own.normal()) * targets + noise
    given = {"parameters": 100, "seconds": {"train": 60.0}, "ids": np.arange(samples), **others}
    return RunResult(scores, scores > 0.5, targets, **given)


def write_folder(
    folder: Path,
    variants: Mapping[str, Callable[[int], RunResult]],
    seeds: Iterable[int] = range(5),
    skip: Iterable[tuple[str, int]] = (),
    failed: Mapping[tuple[str, int], str] | None = None,
    study: Study | None = None,
    manifest: Mapping[str, Any] = MANIFEST,
    **of_study: Any,
) -> Path:
    """A study's folder with the result of `variants[name](seed)` as each run."""
    seeds = tuple(seeds)
    if study is None:
        given = {
            "name": "synthetic", "question": "Which is better?", "run": "somewhere:run",
            "recipe": {"which": ""}, "variants": {name: {"which": name} for name in variants},
            "seeds": seeds, "reference": next(iter(variants)), **of_study,
        }
        study = Study(**given)
    (folder / RUNS).mkdir(parents=True)
    (folder / "failures").mkdir()
    write_definition(study, folder, [])
    for run in study.runs():
        pair = run.variant, run.seed
        if pair in (failed or {}):
            write_failure(folder, run, (failed or {})[pair])
        elif pair not in set(skip):
            save_run(
                folder / RUNS, RunSpec(run.spec.function, run.spec.config, run.seed),
                variants[run.variant](run.seed), dict(manifest), 61.0,
            )
    return folder


def write_failure(folder: Path, run: Any, message: str) -> None:
    from hybridlab.ablation.state import Failure

    failure = Failure(run.variant, run.seed, run.key, "RuntimeError", message)
    record = failure_record(failure, "2026-11-05T10:00:00+00:00", 1.0)
    write_json(folder / "failures" / f"{run.key}-20261105-100000.json", record)
