"""One run on the disk: written whole under its key, and believed only if it is whole.

    runs/KEY/config.json       function, configuration and seed
    runs/KEY/predictions.npz   scores, decisions, targets and ids of every test sample
    runs/KEY/manifest.json     versions, code, device, times: where the result came from
    runs/KEY/done.json         metrics, cost, and the SHA-256 of the three; written last

A run is written in a folder of its own, `.KEY-RANDOM`, that takes the name KEY in one step.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hybridlab.ablation.runs import METRICS, SCHEMA, RunResult, RunSpec
from hybridlab.evaluation.metrics import mean_ap, threshold_metrics
from hybridlab.files import atomic_path, write_json

RUNS, FAILURES = "runs", "failures"
_HASHED = ("config.json", "predictions.npz", "manifest.json")


class Predictions(NamedTuple):
    """What a run predicted for every test sample.

    Shape:
        scores (N, L) float32, decisions (N, L) bool, targets (N, L) int8 in {1, 0, -1}, ids (N,)
    """

    scores: NDArray[np.float32]
    decisions: NDArray[np.bool_]
    targets: NDArray[np.int8]
    ids: NDArray[Any]


@dataclass(frozen=True)
class RunRecord:
    """A run that is done.

    Attributes:
        variant, seed: which one.
        config: its whole configuration.
        metrics: name -> value of every metric in `runs.METRICS`; NaN where undefined.
        seconds: stage -> seconds, and "total".
        parameters: trainable parameters.
        path: its folder.
        extra: what else the run function gave.
    """

    variant: str
    seed: int
    config: dict[str, Any]
    metrics: dict[str, float]
    seconds: dict[str, float]
    parameters: int
    path: Path
    extra: dict[str, Any] = field(default_factory=dict)

    def predictions(self) -> Predictions:
        """Read the predictions of every sample from the disk."""
        return read_predictions(self.path)

    def manifest(self) -> dict[str, Any]:
        """Read where the run came from: versions, code, device, times."""
        return json.loads((self.path / "manifest.json").read_text("utf-8"))


class Checked(NamedTuple):
    """What a run's folder holds: `done` is done.json if the run counts, else `why` says why not."""

    done: dict[str, Any] | None
    why: str = ""


def read_predictions(path: Path) -> Predictions:
    """The predictions in the folder of a run."""
    with np.load(path / "predictions.npz", allow_pickle=False) as arrays:
        return Predictions(*(arrays[name] for name in Predictions._fields))


def measure(result: RunResult) -> tuple[dict[str, float], list[str]]:
    """Every metric of a run (NaN where undefined), and the names of those that are undefined.

    Raises:
        FloatingPointError: scores that are not finite; the message says how many and where.
    """
    bad = ~np.isfinite(result.scores)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise FloatingPointError(
            f"scores holds {int(bad.sum())} values that are not finite, in "
            f"{int(bad.any(axis=1).sum())} of {len(bad)} samples (the first is "
            f"{result.scores[row, column]} at row {row}, column {column}): the model diverged, so "
            "the run has no result; try a lower learning rate or look for a division by zero"
        )
    decided = threshold_metrics(result.decisions, result.targets)
    metrics = {"mean_ap": float(mean_ap(result.scores, result.targets).value)}
    metrics |= {name: float(getattr(decided, name)) for name in METRICS if name != "mean_ap"}
    return metrics, [name for name, value in metrics.items() if np.isnan(value)]


def save_run(
    runs: Path, spec: RunSpec, result: RunResult, manifest: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """Write a run whole, under its key, or find that somebody else has done so.

    Args:
        runs: the study's folder of runs, which exists.
        seconds: wall-clock time of the whole run.

    Returns:
        what done.json holds.

    Raises:
        FloatingPointError: as `measure`.
        OSError: the folder cannot be written; NotEnoughDiskError where it is full.
    """
    metrics, undefined = measure(result)
    done = {
        "schema": SCHEMA, "key": spec.key, "metrics": metrics, "undefined": undefined,
        "parameters": result.parameters, "seconds": {"total": seconds, **result.seconds},
        "extra": result.extra,
    }
    for attempts_left in (2, 1, 0):
        try:
            _write(runs, spec, result, manifest, done)
            break
        except FileNotFoundError:
            # Others who write the same run clear away what is not theirs, our folder too: then
            # theirs stands, or will in a moment.
            other = check_run(runs / spec.key).done
            if other is not None:
                return other
            if not attempts_left:
                raise
    for left in runs.glob(f".{spec.key}-*"):  # of workers that were killed while they wrote
        shutil.rmtree(left, ignore_errors=True)
    return check_run(runs / spec.key).done or done


def _write(
    runs: Path, spec: RunSpec, result: RunResult, manifest: dict[str, Any], done: dict[str, Any]
) -> None:
    """Write all files of a run in a folder of our own, and give it the run's name."""
    private = runs / f".{spec.key}-{secrets.token_hex(4)}"
    try:
        private.mkdir()
        config = {"function": spec.function, "config": spec.config, "seed": spec.seed}
        write_json(private / "config.json", config)
        with atomic_path(private / "predictions.npz") as part:
            np.savez_compressed(
                part, scores=result.scores, decisions=result.decisions, targets=result.targets,
                ids=result.ids,
            )
        write_json(private / "manifest.json", manifest)
        files = {name: _sha256(private / name) for name in _HASHED}
        write_json(private / "done.json", {**done, "files": files})
        _take_name(private, runs / spec.key)
    finally:
        shutil.rmtree(private, ignore_errors=True)


def check_run(path: Path, key: str | None = None) -> Checked:
    """Whether the folder of a run counts: done.json is whole and the files are what it says.

    Args:
        key: of the run; by default the folder's name.
    """
    if not path.is_dir():
        return Checked(None)
    try:
        done = json.loads((path / "done.json").read_text("utf-8"))
        files = done["files"]
        whole = {"metrics", "undefined", "parameters", "seconds", "extra"} <= set(done)
        if done["schema"] != SCHEMA or done["key"] != (key or path.name) or not whole:
            return Checked(None, "done.json is of another version or another run")
        if set(files) != set(_HASHED):
            return Checked(None, "done.json does not name the files of a run")
    except FileNotFoundError:
        return Checked(None, "done.json is missing: the run was not finished")
    except IsADirectoryError:
        return Checked(None, "done.json is damaged: it is a folder")
    except (ValueError, KeyError, TypeError):
        return Checked(None, "done.json is cut short or damaged")
    for name, expected in files.items():
        try:
            if _sha256(path / name) != expected:
                return Checked(None, f"{name} is not the file that done.json describes")
        except OSError as error:
            return Checked(None, f"{name} cannot be read ({error.strerror})")
    return Checked(done)


def read_record(path: Path, variant: str, seed: int, done: dict[str, Any]) -> RunRecord:
    """The record of a run that counts; `done` is its done.json."""
    config = json.loads((path / "config.json").read_text("utf-8"))["config"]
    metrics = {
        name: float("nan") if value is None else float(value)
        for name, value in done["metrics"].items()
    }
    return RunRecord(
        variant, seed, config, metrics, done["seconds"], done["parameters"], path, done["extra"]
    )


def _take_name(private: Path, final: Path) -> None:
    """Rename our folder to the run's name, unless a whole one has it; a broken one makes way."""
    for _ in range(10):
        there = check_run(final)
        if there.done is not None:
            return  # another worker was first with the same run
        aside = final.with_name(f".old-{final.name}-{secrets.token_hex(4)}")
        if there.why:
            with suppress(FileNotFoundError):
                final.rename(aside)
        try:
            # What was broken a moment ago may have been made whole: then it goes back.
            (private if check_run(aside, final.name).done is None else aside).rename(final)
        except OSError:  # a folder that is not empty has the name by now, or ours was cleared away
            if not final.exists():
                raise
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    raise FileExistsError(f"{final} cannot be replaced; delete it and run the study again")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
