"""Dataclasses of plain values, to what JSON holds and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any


def plain(value: Any) -> Any:
    """Dicts, lists and finite numbers; NaN becomes None.

    Raises:
        ValueError: an infinite number.
    """
    if isinstance(value, float):
        if math.isinf(value):
            raise ValueError("an infinite figure has no place in JSON")
        return None if math.isnan(value) else value
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def build(kind: Any, data: Mapping[str, Any], nested: Mapping[str, Any]) -> Any:
    """A dataclass from its plain form, by the annotations of its fields.

    Args:
        nested: name -> class of the dataclasses that may stand in its fields.
    """
    given = {}
    for each in fields(kind):
        if each.name not in data and each.default is not MISSING:
            continue  # recorded before there was such a figure
        value, wanted = data[each.name], str(each.type)
        inner = wanted.removeprefix("tuple[").partition(",")[0].partition(" ")[0]
        if wanted == "float":
            value = _number(value)
        elif wanted == "tuple[float, ...]":
            value = tuple(_number(item) for item in value)
        elif inner in nested and wanted.startswith("tuple["):
            value = tuple(build(nested[inner], item, nested) for item in value)
        elif inner in nested:
            value = None if value is None else build(nested[inner], value, nested)
        elif wanted.startswith("tuple["):
            value = tuple(value)
        given[each.name] = value
    return kind(**given)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
