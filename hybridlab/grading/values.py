"""Values that cross between the grader and a learner's process: plain data, never pickles.

Unpickling runs code that the sender chose, and the sender here is a learner's process. So numbers,
text, lists, arrays and tensors are written down one by one, as JSON beside raw bytes, and what is
none of these arrives as `Other`: its type and what it looks like.
"""

from __future__ import annotations

import json
import math
import numbers
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

LARGEST = 64 * 2**20  # bytes of a message
_LARGEST_TEXT = 4 * 2**20  # of its JSON: lists in lists take a hundred times their text in memory
_DEEPEST = 12  # lists in lists
_MOST_ITEMS = 100_000  # of one list or dict
_LONGEST = 10_000  # characters of a text
_DTYPES = frozenset((
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16",
    "float32", "float64", "complex64", "complex128", "bfloat16",
))
_HEAD = struct.Struct("<II")  # bytes of JSON, bytes of buffers


class BadMessageError(Exception):
    """Bytes that no honest child sends."""


@dataclass(frozen=True)
class Other:
    """Something that is no plain value.

    Attributes:
        type: its class, as "module.Class".
        shown: the beginning of its `repr`.
    """

    type: str
    shown: str

    def __repr__(self) -> str:
        return f"{self.type}: {self.shown}"


def pack(message: dict[str, Any], longest: int | None = _LONGEST) -> bytes:
    """A message with its length in front.

    Args:
        longest: characters of a text, the rest of which is cut; None cuts nothing.

    Raises:
        BadMessageError: it is longer than `LARGEST`.
    """
    buffers: list[bytes] = []
    text = json.dumps(_plain(message, buffers, longest)).encode()
    size = sum(map(len, buffers))
    if len(text) + size > LARGEST or len(text) > _LARGEST_TEXT:
        raise BadMessageError(
            f"{(len(text) + size) / 2**20:.0f} MB are too much; at most {LARGEST // 2**20} MB of "
            f"arrays, and {_LARGEST_TEXT // 2**20} MB of lists and text"
        )
    return b"".join([_HEAD.pack(len(text), size), text, *buffers])


def unpack(text: bytes, buffers: bytes) -> dict[str, Any]:
    """The message that `pack` wrote, whoever sent it.

    Raises:
        BadMessageError: it is no such message.
    """
    try:
        found = _value(json.loads(text), memoryview(buffers))
    except BadMessageError:
        raise
    except Exception as error:  # whatever a hostile sender can make json and numpy say
        raise BadMessageError(f"{type(error).__name__}: {error}") from error
    if not isinstance(found, dict):
        raise BadMessageError("a message is a dict")
    return found


def sizes(head: bytes) -> tuple[int, int]:
    """Bytes of JSON and of buffers that follow a head.

    Raises:
        BadMessageError: more than `LARGEST`.
    """
    text, buffers = _HEAD.unpack(head)
    if text + buffers > LARGEST or text > _LARGEST_TEXT:
        raise BadMessageError(f"a message of {text} and {buffers} bytes")
    return text, buffers


HEAD = _HEAD.size


def _plain(value: Any, buffers: list[bytes], longest: int | None, depth: int = 0) -> Any:
    if value is None or type(value) in (bool, float):
        return value
    if type(value) is int:
        return value if abs(value) < 2**63 else _other(value)
    if type(value) is str:
        return value[:longest]
    if isinstance(value, (np.generic, np.ndarray)) and not _masked(value):
        kind = "scalar" if isinstance(value, np.generic) else "array"
        array = _common(np.asarray(value))
        return {"t": kind, **_raw(array, str(array.dtype), buffers)}
    if _is_tensor(value):
        return _tensor(value, buffers)
    if depth < _DEEPEST and type(value) in (list, tuple, set, frozenset, dict):
        if len(value) > _MOST_ITEMS:
            return _other(value)
        kind = type(value).__name__
        if kind == "dict":
            pairs = [[_plain(each, buffers, longest, depth + 1) for each in pair]
                     for pair in value.items()]
            return {"t": "dict", "v": pairs}
        items = [_plain(item, buffers, longest, depth + 1) for item in value]
        return {"t": "set" if kind == "frozenset" else kind, "v": items}
    return _number(value)


def _number(value: Any) -> Any:
    """Fractions and the like are numbers, too."""
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral):
        try:
            return float(value)
        except Exception:
            return _other(value)
    return _other(value)


def _masked(value: Any) -> bool:
    return isinstance(value, np.ma.MaskedArray) and bool(np.ma.getmaskarray(value).any())


def _common(array: np.ndarray) -> np.ndarray:
    """Of a type that every machine has: not `longdouble`, nor bytes the other way round."""
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "f" and size > 8:
        return array.astype(np.float64)
    if kind == "c" and size > 16:
        return array.astype(np.complex128)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _raw(array: Any, dtype: str, buffers: list[bytes]) -> dict[str, Any]:
    if dtype not in _DTYPES:
        return _other(array)
    buffers.append(np.ascontiguousarray(array).tobytes())
    return {"d": dtype, "s": list(array.shape), "n": len(buffers[-1])}


def _is_tensor(value: Any) -> bool:
    kind = type(value)
    return kind.__module__ in ("torch", "torch.nn.parameter") and kind.__name__ in (
        "Tensor", "Parameter"
    )


def _tensor(value: Any, buffers: list[bytes]) -> Any:
    dtype = str(value.dtype).removeprefix("torch.")
    given = {"g": bool(value.requires_grad), "p": str(value.device)}
    try:
        flat = value.detach().cpu().contiguous()
        if dtype == "bfloat16":
            flat = flat.view(_torch().int16)
        array = flat.numpy()
    except (RuntimeError, TypeError):  # sparse, quantised, on "meta", ...
        return _other(value)
    raw = _raw(array, str(array.dtype), buffers)
    if "d" not in raw:
        return raw
    return {"t": "tensor", **raw, "d": dtype, **given}


def _other(value: Any) -> dict[str, Any]:
    kind = type(value)
    try:
        shown = repr(value)[:200]
    except Exception as error:
        shown = f"(its repr raises {type(error).__name__})"
    return {"t": "other", "type": f"{kind.__module__}.{kind.__qualname__}", "shown": shown}


def _value(data: Any, rest: memoryview) -> Any:
    reader = _Reader(rest)
    found = reader.value(data, 0)
    if reader.at != len(rest):
        raise BadMessageError("bytes are left over")
    return found


class _Reader:
    """Takes the buffers one after the other, in the order in which they were written."""

    def __init__(self, rest: memoryview):
        self.rest, self.at = rest, 0

    def value(self, data: Any, depth: int) -> Any:
        if data is None or isinstance(data, (bool, int, float, str)):
            return data
        if depth > _DEEPEST + 1 or not isinstance(data, dict):
            raise BadMessageError("no plain value")
        kind = data["t"]
        if kind == "other":
            return Other(str(data["type"])[:200], str(data["shown"])[:200])
        if kind == "dict":
            found = {}
            for key, item in data["v"]:
                name = self.value(key, depth + 1)
                found[name] = self.value(item, depth + 1)
            return found
        if kind in ("list", "tuple", "set"):
            items = [self.value(item, depth + 1) for item in data["v"]]
            return {"list": list, "tuple": tuple, "set": set}[kind](items)
        if kind in ("array", "scalar", "tensor"):
            return self._array(kind, data)
        raise BadMessageError(f"a value of kind {kind!r}")

    def _array(self, kind: str, data: dict[str, Any]) -> Any:
        dtype, shape, size = str(data["d"]), tuple(map(int, data["s"])), int(data["n"])
        if dtype not in _DTYPES or any(side < 0 for side in shape) or len(shape) > 32:
            raise BadMessageError(f"an array of {dtype} {shape}")
        stored = np.dtype("int16" if dtype == "bfloat16" else dtype)
        if math.prod(shape) * stored.itemsize != size or self.at + size > len(self.rest):
            raise BadMessageError("an array that is not as long as its shape says")
        raw = self.rest[self.at : self.at + size]
        self.at += size
        array = np.frombuffer(raw, stored).reshape(shape).copy()
        if dtype == "bool":
            array = array.view(np.uint8).astype(bool)
        if kind == "scalar":
            return array[()]
        if kind == "array":
            return array
        torch = _torch()
        tensor = torch.from_numpy(array)
        if dtype == "bfloat16":
            tensor = tensor.view(torch.bfloat16)
        tensor.came_from = str(data["p"])[:20]
        return tensor.requires_grad_() if data["g"] and tensor.is_floating_point() else tensor


def device(tensor: Any) -> str:
    """Where a tensor was before it crossed the line; all of them arrive in the grader's memory."""
    return str(getattr(tensor, "came_from", tensor.device))


def _torch() -> Any:
    import torch

    return torch
