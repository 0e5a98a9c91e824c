"""What stands in `bundle.json`: every value is checked before it is used."""

from __future__ import annotations

import hashlib
import json
import math
import unicodedata
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from hybridlab.bundle_files import AGAIN, MANIFEST_FILE, BundleError, one_line, read_file, short
from hybridlab.configs import ALL_PLACES
from hybridlab.data.sample import Vocabulary
from hybridlab.encoders.preprocessing import Preprocessing

FORMAT = "hybridlab bundle"
# 2: the decoder's choices, what the fusion reads and its options; 3: a CNN with weights of its own
FORMAT_VERSION = 3
MAX_MANIFEST_BYTES = 16_000_000
MAX_SIDE = 2048  # pixels an encoder may ask for; more would be an attack on the memory

# bounds far above any sensible model and far below what would exhaust a machine
_MOST = {"dim": 65_536, "channels": 65_536, "layers": 64, "max_steps": 10_000}


@dataclass(frozen=True)
class CnnPart:
    """The CNN: rebuilt by name, its weights compared with `weights_hash`; or, where it was trained
    itself, its weights in the bundle."""

    name: str
    stage: str
    weights_hash: str
    preprocessing: dict
    places: int = ALL_PLACES
    own_weights: bool = False


@dataclass(frozen=True)
class ClipPart:
    """CLIP's image tower: rebuilt by name, its weights in the bundle."""

    name: str
    dim: int
    preprocessing: dict


@dataclass(frozen=True)
class DecoderPart:
    """The arguments of `LabelDecoder`."""

    channels: int
    dim: int
    layers: int
    dropout: float
    max_steps: int
    # of format version 2; what version 1 could only have been stands here
    cell: str = "gru"
    look: str = "attention"
    output: str = "linear"
    feed_image: bool = True
    read: str = "linear"


@dataclass(frozen=True)
class FusionPart:
    """The arguments of `HybridClassifier` beside its parts."""

    name: str
    dim: int
    dropout: float
    view: str
    tokens: str = "steps"
    without: str = ""
    text_bias: bool = False
    options: dict = field(default_factory=dict)
    own_opinion: bool = False


@dataclass(frozen=True)
class WeightsPart:
    """The file of weights: its SHA-256, its size, and "float32" or "float16"."""

    sha256: str
    bytes: int
    precision: str


@dataclass(frozen=True)
class Manifest:
    """All of `bundle.json`, checked. `thresholds` is (L,) float64 in [0, 1]."""

    vocabulary: Vocabulary
    thresholds: np.ndarray
    cnn: CnnPart
    clip: ClipPart
    decoder: DecoderPart
    fusion: FusionPart
    weights: WeightsPart
    versions: dict
    info: dict


def labels_hash(names: tuple[str, ...]) -> str:
    """Names the labels and their order: another order gives another hash."""
    return hashlib.sha256(json.dumps(list(names)).encode()).hexdigest()


def check_names(names: tuple[str, ...]) -> None:
    """Refuse names that would drive a terminal or break a line.

    Raises:
        ValueError: a control character, a line end or half a surrogate pair in a name.
    """
    for column, name in enumerate(names):
        if any(unicodedata.category(mark) in ("Cc", "Cs", "Zl", "Zp") for mark in name):
            raise ValueError(f"label {column} is {short(name)}; names hold printable text only")


def check_thresholds(thresholds: Any, n_labels: int) -> np.ndarray:
    """Thresholds as (L,) float64.

    Raises:
        ValueError: not numbers, not one per label, or one outside [0, 1] (NaN included).
    """
    try:
        values = np.asarray(thresholds, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError("thresholds must be numbers, one per label") from error
    if values.shape != (n_labels,):
        raise ValueError(
            f"thresholds has shape {values.shape}, expected ({n_labels},): one a label"
        )
    wrong = np.flatnonzero(~((values >= 0) & (values <= 1)))  # also catches NaN
    if len(wrong):
        raise ValueError(
            f"threshold {wrong[0]} is {values[wrong[0]]}; give numbers from 0 to 1"
        )
    return values


def read_manifest(folder: Path) -> Manifest:
    """`bundle.json`, every field checked.

    Raises:
        BundleError: as `read_file`; damaged JSON, a newer format, a missing key, a wrong type, or
            values that contradict each other.
    """
    data = read_file(folder, MANIFEST_FILE, MAX_MANIFEST_BYTES)
    try:
        found = json.loads(data, parse_constant=_no_constant, object_pairs_hook=_no_twins)
    except (ValueError, RecursionError) as error:
        what = "too deeply nested" if isinstance(error, RecursionError) else one_line(error)
        raise BundleError(f"{folder}: {MANIFEST_FILE} is damaged ({what}); {AGAIN}") from error
    try:
        return _manifest(found)
    except (ValueError, TypeError, OverflowError) as error:
        raise BundleError(f"{folder}: {MANIFEST_FILE}: {one_line(error)}") from error


def _manifest(found: Any) -> Manifest:
    found = _typed(found, dict, "the file")
    if found.get("format") != FORMAT:
        raise ValueError(f"format is {short(found.get('format'))}, expected {FORMAT!r}")
    version = _typed(_need(found, "format_version"), int, "format_version")
    if version > FORMAT_VERSION:
        raise ValueError(
            f"it has format version {short(version)}, and this hybridlab reads up to "
            f"{FORMAT_VERSION}; update hybridlab"
        )
    if version < 1:
        raise ValueError(f"format_version is {short(version)}, expected 1 or more")
    labels = _typed(_need(found, "labels"), list, "labels")
    vocabulary = Vocabulary(_typed(name, str, "a label") for name in labels)
    check_names(vocabulary.names)
    if _need(found, "labels_sha256") != labels_hash(vocabulary.names):
        raise ValueError("labels or their order were changed after saving; " + AGAIN)
    thresholds = _typed(_need(found, "thresholds"), list, "thresholds")
    for value in thresholds:
        _typed(value, float, "a threshold")
    manifest = Manifest(
        vocabulary,
        check_thresholds(thresholds, len(vocabulary)),
        _part(CnnPart, found, "cnn"),
        _part(ClipPart, found, "clip"),
        _part(DecoderPart, found, "decoder"),
        _part(FusionPart, found, "fusion"),
        _part(WeightsPart, found, "weights"),
        _typed(_need(found, "versions"), dict, "versions"),
        _typed(_need(found, "info"), dict, "info"),
    )
    for part in (manifest.cnn, manifest.clip):
        if Preprocessing.from_dict(part.preprocessing).image_size > MAX_SIDE:
            raise ValueError(f"preprocessing asks for more than {MAX_SIDE} pixels a side")
    if manifest.weights.precision not in ("float32", "float16"):
        raise ValueError(f"weights.precision is {short(manifest.weights.precision)}")
    return manifest


PartT = TypeVar("PartT", CnnPart, ClipPart, DecoderPart, FusionPart, WeightsPart)
_TYPES = {"str": str, "int": int, "float": float, "dict": dict, "bool": bool}


def _part(kind: type[PartT], found: dict, key: str) -> PartT:
    values = _typed(_need(found, key), dict, key)
    read: dict[str, Any] = {}
    for each in fields(kind):
        name = f"{key}.{each.name}"
        optional = not (each.default is MISSING and each.default_factory is MISSING)
        if optional and each.name not in values:
            continue
        value = _typed(_need(values, each.name, name), _TYPES[str(each.type)], name)
        if each.type == "int" and not 1 <= value <= _MOST.get(each.name, 2**40):
            raise ValueError(f"{name} is {short(value)}, which no model has")
        if each.name == "dropout" and not 0 <= value < 1:
            raise ValueError(f"{name} is {short(value)}; expected a number in [0, 1)")
        read[each.name] = value
    return kind(**read)


def _need(values: dict, key: str, name: str = "") -> Any:
    if key not in values:
        raise ValueError(f"the key {name or key} is missing; {AGAIN}")
    return values[key]


def _typed(value: Any, kind: type, name: str) -> Any:
    # True is an int to Python and 1 is a fine float to JSON
    fits = isinstance(value, (int, float) if kind is float else kind)
    if not fits or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{name} is {short(value)}, expected {kind.__name__}")
    if kind is float and not math.isfinite(value):
        raise ValueError(f"{name} is {short(value)}, expected a finite number")
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return found
