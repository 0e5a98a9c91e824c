"""Checkpoints of one run: whole or not there, without pickles, the previous one kept.

    FOLDER/step-00000120/weights.safetensors    the model, to be used or shared
    FOLDER/step-00000120/training.safetensors   moments, averages, random states: to go on from
    FOLDER/step-00000120/facts.json             where the run stood, and a hash of both files
    FOLDER/best.json                            which step is the best one

A checkpoint is written in a hidden folder, flushed, and takes its name in one step. A kill at any
moment leaves the one before as it was; what it leaves half done is removed when the run goes on.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hybridlab.files import NotEnoughDiskError, flush, write_json
from hybridlab.tensor_files import save_tensors

WEIGHTS, TRAINING, FACTS, BEST = (
    "weights.safetensors", "training.safetensors", "facts.json", "best.json",
)
_NAME = re.compile(r"step-(\d{8,})")
_FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True)
class Snapshot:
    """A run at the end of a step.

    Attributes:
        weights: of the model, by their names.
        training: all other tensors that the run needs to go on.
        facts: what is not a tensor; plain JSON, in which NaN is None.
    """

    weights: Mapping[str, Tensor]
    training: Mapping[str, Tensor] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


class Loaded(NamedTuple):
    """A checkpoint that was read, and what was wrong with newer ones, one line for each."""

    step: int
    snapshot: Snapshot
    passed_over: tuple[str, ...] = ()


class CheckpointStore:
    """The checkpoints of a run, of which the newest few and the best are kept.

    Several processes of one run may read; one writes.

    Args:
        folder: of this run alone; it is made when the first one is saved.
        keep: how many of the newest are kept; two or more, so that one may be damaged.

    Raises:
        ValueError: `keep` below 2.
        NotADirectoryError: `folder` is a file.
    """

    def __init__(self, folder: str | os.PathLike[str], keep: int = 2):
        if keep < 2:
            raise ValueError(f"keep is {keep}; give 2 or more, for the newest may be cut short")
        self.folder, self.keep = Path(folder), keep
        if self.folder.exists() and not self.folder.is_dir():
            raise NotADirectoryError(f"{folder} is a file; name a folder for checkpoints")

    def steps(self) -> list[int]:
        """The steps of which there is a checkpoint, whole or not, oldest first."""
        if not self.folder.is_dir():
            return []
        found = (_NAME.fullmatch(each.name) for each in self.folder.iterdir() if each.is_dir())
        return sorted(int(match[1]) for match in found if match)

    def save(self, step: int, snapshot: Snapshot, score: float | None = None) -> Path:
        """Write the checkpoint of a step, then drop old ones.

        Args:
            score: higher is better; a checkpoint with the highest so far is kept as the best. Ties
                go to the earlier one, and NaN is no score.

        Raises:
            ValueError: `step` is negative.
            NotEnoughDiskError: the disk filled up; the checkpoints that were there are untouched.
        """
        if step < 0:
            raise ValueError(f"step is {step}; give 0 or more")
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self._path(step)
        part = self.folder / f".{target.name}.part-{secrets.token_hex(4)}"
        try:
            part.mkdir()
            _write(part, step, snapshot)
            if target.exists():  # cut short, or of a run that went on from before it
                target.rename(self.folder / f".{target.name}.old-{secrets.token_hex(4)}")
            part.rename(target)
        except OSError as error:
            if error.errno in _FULL and not isinstance(error, NotEnoughDiskError):
                raise NotEnoughDiskError(
                    f"the disk became full while writing {target}; the checkpoints before it are "
                    "untouched: free some space and resume"
                ) from error
            raise
        finally:
            shutil.rmtree(part, ignore_errors=True)
        with suppress(OSError):  # the new name itself, where a folder can be flushed
            flush(self.folder)
        best = self.best_score()
        if score is not None and score == score and (best is None or score > best):
            write_json(self.folder / BEST, {"step": step, "score": score}, overwrite=True)
        self.tidy()
        return target

    def latest(self) -> Loaded | None:
        """The newest checkpoint that is whole; None if there is none at all.

        Raises:
            DamagedCheckpointError: there are some, and none of them is whole.
        """
        bad: list[str] = []
        for step in reversed(self.steps()):
            try:
                return self.load(step)._replace(passed_over=tuple(bad))
            except DamagedCheckpointError as error:
                bad.append(str(error))
        if bad:
            raise DamagedCheckpointError(f"no checkpoint is whole: {'; '.join(bad)}")
        return None

    def load(self, step: int) -> Loaded:
        """One checkpoint.

        Raises:
            DamagedCheckpointError: it is not there, or not whole; says what is wrong.
        """
        return Loaded(step, _read(self._path(step)))

    def best(self) -> Loaded | None:
        """The best checkpoint; None if none had a score.

        Raises:
            DamagedCheckpointError: as `load`.
        """
        step = self._best().get("step")
        return None if step is None else self.load(step)

    def best_score(self) -> float | None:
        """Its score; None if none had one."""
        return self._best().get("score")

    def tidy(self) -> None:
        """Remove what a kill left half done, and all but the best and the newest few."""
        if not self.folder.is_dir():
            return
        for each in self.folder.iterdir():
            if each.name.startswith((".step-", ".best.json.part-")):
                shutil.rmtree(each) if each.is_dir() else each.unlink()
        kept = {*self.steps()[-self.keep:], self._best().get("step")}
        for step in self.steps():
            if step not in kept:
                # first out of sight: a kill in the middle must not leave half a checkpoint
                gone = self.folder / f".{self._path(step).name}.old-{secrets.token_hex(4)}"
                self._path(step).rename(gone)
                shutil.rmtree(gone, ignore_errors=True)

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}"

    def _best(self) -> dict[str, Any]:
        try:
            found = json.loads((self.folder / BEST).read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


class DamagedCheckpointError(ValueError):
    """A checkpoint is cut short, changed, or missing."""


def _write(folder: Path, step: int, snapshot: Snapshot) -> None:
    hashes = {}
    for name, tensors in ((WEIGHTS, snapshot.weights), (TRAINING, snapshot.training)):
        # clones: tensors that share memory are refused by the format
        save_tensors(folder / name, {key: value.detach().clone() for key, value in tensors.items()})
        flush(folder / name)
        hashes[name] = _hash(folder / name)
    write_json(folder / FACTS, {"step": step, "sha256": hashes, "facts": dict(snapshot.facts)})
    with suppress(OSError):
        flush(folder)


def _read(folder: Path) -> Snapshot:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        told = json.loads((folder / FACTS).read_text("utf-8"))
        hashes, facts = told["sha256"], told["facts"]
        for name in (WEIGHTS, TRAINING):
            if _hash(folder / name) != hashes[name]:
                raise DamagedCheckpointError(
                    f"{folder.name}/{name} is not what was written: it was cut short or changed"
                )
        weights, training = (load_file(folder / name) for name in (WEIGHTS, TRAINING))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        if isinstance(error, DamagedCheckpointError):
            raise
        raise DamagedCheckpointError(
            f"{folder.name} cannot be read ({type(error).__name__}: {error})"
        ) from error
    return Snapshot(weights, training, facts)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def optimiser_tensors(
    optimiser: torch.optim.Optimizer, names: Mapping[Tensor, str]
) -> dict[str, Tensor]:
    """What an optimiser keeps of each parameter, by names that do not depend on their order.

    Args:
        names: parameter -> its name.
    """
    return {
        f"{names[parameter]}:{key}": torch.as_tensor(value)
        for parameter, kept in optimiser.state.items() for key, value in kept.items()
        if value is not None
    }


def restore_optimiser(
    optimiser: torch.optim.Optimizer, names: Mapping[Tensor, str], tensors: Mapping[str, Tensor]
) -> None:
    """Give an optimiser back what `optimiser_tensors` found, each in its parameter's own layout.

    Raises:
        ValueError: tensors of a parameter that this optimiser does not have; the names are told.
    """
    known = {names[each]: each for group in optimiser.param_groups for each in group["params"]}
    found: dict[str, dict[str, Tensor]] = {}
    for label, value in tensors.items():
        name, _, key = label.rpartition(":")
        found.setdefault(name, {})[key] = value
    if strange := sorted(found.keys() - known.keys()):
        raise ValueError(
            f"the checkpoint has moments of {len(strange)} parameters that are not trained here, "
            f"such as {strange[0]!r}; resume with the same model and stages"
        )
    for name, kept in found.items():
        parameter = known[name]
        optimiser.state[parameter] = {
            key: torch.empty_like(parameter, dtype=value.dtype).copy_(value)
            if value.shape == parameter.shape and value.dim() else value.clone()
            for key, value in kept.items()
        }
