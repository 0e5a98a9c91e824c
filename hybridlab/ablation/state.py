"""What a study's folder holds: which runs are done, failed or missing; and the results."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybridlab.ablation.definition import load_definition
from hybridlab.ablation.fingerprint import differences
from hybridlab.ablation.records import FAILURES, RUNS, RunRecord, check_run, read_record
from hybridlab.ablation.study import PlannedRun, Study


@dataclass(frozen=True)
class Failure:
    """A run that failed, the last time it was tried.

    Attributes:
        variant, seed, key: which run.
        error: class of the error.
        message: its message, one line.
        trace: the traceback as text.
    """

    variant: str
    seed: int
    key: str
    error: str
    message: str
    trace: str = ""

    def __str__(self) -> str:
        return f"{self.error}: {self.message}"


@dataclass(frozen=True)
class StudyState:
    """Where a study stands.

    Attributes:
        name: of the study.
        folder: of the study.
        done: runs that count.
        failed: runs that are not done and failed when last tried.
        missing: runs that are not done and have not failed.
        broken: key -> why a folder of that run does not count; such a run is done anew.
    """

    name: str
    folder: Path
    done: tuple[PlannedRun, ...]
    failed: tuple[Failure, ...]
    missing: tuple[PlannedRun, ...]
    broken: dict[str, str]

    @property
    def total(self) -> int:
        """All runs of the study."""
        return len(self.done) + len(self.failed) + len(self.missing)

    @property
    def complete(self) -> bool:
        """Every run is done."""
        return len(self.done) == self.total


def study_state(study: Study, folder: str | Path) -> StudyState:
    """Look at the disk: which runs of `study` are done, failed and missing in `folder`."""
    folder = Path(folder)
    done, failed, missing, broken = [], [], [], {}
    for run in study.runs():
        checked = check_run(folder / RUNS / run.key)
        if checked.why:
            broken[run.key] = checked.why
        if checked.done is not None:
            done.append(run)
        elif failure := _last_failure(folder, run):
            failed.append(failure)
        else:
            missing.append(run)
    return StudyState(
        study.name, folder, tuple(done), tuple(failed), tuple(missing), broken
    )


def load_results(folder: str | Path) -> list[RunRecord]:
    """Every run of the folder's study that is done, variant by variant in the study's order.

    Raises:
        StudyFileError: the folder holds no study.
    """
    study = load_definition(folder)
    order = {name: place for place, name in enumerate(study.variants)}
    records = []
    for run in sorted(study.runs(), key=lambda run: order[run.variant]):
        path = Path(folder) / RUNS / run.key
        done = check_run(path).done
        if done is not None:
            records.append(read_record(path, run.variant, run.seed, done))
    return records


def codes_of(folder: Path, runs: tuple[PlannedRun, ...]) -> dict[str, dict[str, str]]:
    """Key -> fingerprint of the code that did the run."""
    codes = {}
    for run in runs:
        manifest = json.loads((folder / RUNS / run.key / "manifest.json").read_text("utf-8"))
        codes[run.key] = manifest["code"]
    return codes


def mixtures(folder: Path, runs: tuple[PlannedRun, ...]) -> list[dict[str, Any]]:
    """What study.json would say under "mixed_code", as the runs' manifests tell it.

    One entry for each code but that of the run that was begun last, which is the expected one.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        manifest = json.loads((folder / RUNS / run.key / "manifest.json").read_text("utf-8"))
        groups.setdefault(json.dumps(manifest["code"], sort_keys=True), []).append(manifest)
    if len(groups) < 2:
        return []
    begun = {code: max(str(each["started"]) for each in group) for code, group in groups.items()}
    last = max(begun, key=lambda code: begun[code])
    return [
        {
            "when": min(str(each["started"]) for each in groups[last]), "runs": len(group),
            "files": sorted(differences(json.loads(last), json.loads(code))),
        }
        for code, group in groups.items() if code != last
    ]


def failure_record(failure: Failure, when: str, seconds: float) -> dict[str, Any]:
    """A failure as it is written to failures/KEY-TIME.json."""
    return {
        "variant": failure.variant, "seed": failure.seed, "key": failure.key,
        "error": failure.error, "message": failure.message, "when": when, "seconds": seconds,
        "traceback": failure.trace.splitlines(),
    }


def _last_failure(folder: Path, run: PlannedRun) -> Failure | None:
    for path in sorted((folder / FAILURES).glob(f"{run.key}-*.json"), reverse=True):
        try:
            told = json.loads(path.read_text("utf-8"))
            return Failure(
                run.variant, run.seed, run.key, told["error"], told["message"],
                "\n".join(told["traceback"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None
