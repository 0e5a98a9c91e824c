"""One run: what it is asked (`RunSpec`), how it is named, and what it gives back (`RunResult`).

A run is a pure function of its configuration and seed. Its name is a hash of both, so the same
run has the same name on every machine and in every call.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Part of every key: raise it when runs of before and after must not be taken for each other.
SCHEMA = 1
KEY_LENGTH = 16

# What the engine computes from the predictions of every run, and every done.json holds. A study
# may ask for more (`hybridlab.evaluation.named`): that is computed when it is analysed.
METRICS = (
    "mean_ap", "cp", "cr", "cf1", "op", "or_", "of1", "macro_f1", "exact_match", "hamming",
)


@dataclass(frozen=True)
class RunSpec:
    """Function, configuration and seed of one run.

    Attributes:
        function: "package.module:function", or "<study file>:function".
        config: the whole configuration, plain JSON.
        seed: of the run.
    """

    function: str
    config: dict[str, Any]
    seed: int

    @property
    def key(self) -> str:
        """The first 16 hex digits of SHA-256 over the canonical JSON of all of it."""
        whole = {
            "schema": SCHEMA, "function": self.function, "config": self.config, "seed": self.seed
        }
        return hashlib.sha256(canonical(whole).encode()).hexdigest()[:KEY_LENGTH]


def canonical(data: Any) -> str:
    """JSON in one form: sorted keys, no spaces, floats by their shortest exact decimal (repr)."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def plain_json(value: Any, where: str) -> Any:
    """A copy of `value` in JSON's own types (a tuple becomes a list).

    Raises:
        ValueError: a value that JSON does not hold as it is; the message says where it stands.
    """
    if value is None or type(value) in (bool, str, int):
        return value
    if type(value) is float:
        if not math.isfinite(value):
            raise ValueError(f"{where} is {value}; JSON holds finite numbers only, or None")
        return value
    if type(value) in (list, tuple):
        return [plain_json(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        for name in value:
            if type(name) is not str:
                raise ValueError(f"{where} has the key {name!r}; use text as keys")
        return {name: plain_json(item, f"{where}[{name!r}]") for name, item in value.items()}
    raise ValueError(
        f"{where} is a {type(value).__module__}.{type(value).__name__}, which JSON does not hold; "
        "give numbers, text, True, False, None, and lists or dicts of them "
        "(numpy numbers: float(x) or int(x))"
    )


@dataclass(frozen=True, eq=False)
class RunResult:
    """What a run function returns: its predictions on the test samples, and its cost.

    Not-finite scores are let in here, so that a run can hand over what it has; the engine records
    such a run as failed.

    Attributes:
        scores: (N, L) float32, higher means more likely; they rank the samples of each label.
        decisions: (N, L) bool, yes or no.
        targets: (N, L) int8 in {1, 0, -1 = not annotated}.
        ids: (N,) whole numbers or text, each once: which sample a row is. Runs of one study must
            have the same, or they cannot be paired.
        parameters: trainable parameters.
        seconds: wall-clock seconds of each stage.
        extra: anything else worth keeping, plain JSON.

    Raises:
        ValueError: a shape, a type or a value that does not fit; the message says which.
    """

    scores: NDArray[np.float32]
    decisions: NDArray[np.bool_]
    targets: NDArray[np.int8]
    ids: NDArray[Any]
    parameters: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        scores = np.asarray(self.scores)
        if scores.dtype.kind not in "fiub" or scores.ndim != 2 or 0 in scores.shape:
            raise ValueError(
                f"scores has shape {scores.shape} and dtype {scores.dtype}; expected numbers "
                "(N, L) with at least one sample and one label"
            )
        keep = object.__setattr__
        keep(self, "scores", scores.astype(np.float32))
        keep(self, "decisions", _two_way(self.decisions, "decisions", scores.shape, (0, 1), bool))
        keep(self, "targets", _two_way(self.targets, "targets", scores.shape, (0, 1, -1), np.int8))
        keep(self, "ids", _checked_ids(self.ids, len(scores)))
        keep(self, "parameters", _checked_count(self.parameters))
        keep(self, "seconds", _checked_seconds(self.seconds))
        keep(self, "extra", plain_json(self.extra, "extra"))


def _two_way(
    given: Any, name: str, shape: tuple[int, ...], allowed: tuple[int, ...], dtype: Any
) -> NDArray[Any]:
    array = np.asarray(given)
    if array.shape != shape:
        raise ValueError(
            f"{name} has shape {array.shape} but scores has shape {shape}; "
            "give one row for each sample and one column for each label in both"
        )
    if array.dtype.kind not in "fiub" or not np.isin(array, allowed).all():
        raise ValueError(
            f"{name} (dtype {array.dtype}) holds something else than {allowed}; "
            + ("pass probs >= thresholds" if dtype is bool else "make soft targets multi-hot first")
        )
    return array.astype(dtype)


def _checked_ids(given: Any, rows: int) -> NDArray[Any]:
    ids = np.asarray(given)
    if ids.dtype.kind == "O" and all(isinstance(item, str) for item in ids.flat):
        ids = ids.astype(str)
    if ids.shape != (rows,) or ids.dtype.kind not in "iuU":
        raise ValueError(
            f"ids has shape {ids.shape} and dtype {ids.dtype}; expected ({rows},) whole numbers "
            "or text, one for each row of scores"
        )
    if len(np.unique(ids)) != rows:
        raise ValueError(
            f"ids names {len(np.unique(ids))} samples in {rows} rows; give each sample once "
            "(samplers that pad with duplicates change mAP)"
        )
    return ids


def _checked_count(given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, (int, np.integer)) or given < 0:
        raise ValueError(f"parameters is {given!r}; give how many are trained, 0 or more")
    return int(given)


def _checked_seconds(given: Mapping[str, float]) -> dict[str, float]:
    seconds = {}
    for stage, value in given.items():
        number = float(value)
        if not isinstance(stage, str) or not math.isfinite(number) or number < 0:
            raise ValueError(f"seconds[{stage!r}] is {value!r}; give a finite number >= 0")
        seconds[stage] = number
    return seconds
