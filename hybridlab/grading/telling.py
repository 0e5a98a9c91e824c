"""Inputs on which mistakes show: the right value and every known wrong one differ there.

A diagnosis is worth nothing where two mistakes give the same number, so checks draw again until
none do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from hybridlab.grading.comparing import ATOL, RTOL, Mistake

_WIDER = 20  # times the tolerance of `Trial.equal`: what differs less could be mistaken
_TRIES = 1000
_TOGETHER = 3  # mistakes that one value may mean

Inputs = TypeVar("Inputs")


def telling(
    draw: Callable[[], Inputs],
    judge: Callable[[Inputs], tuple[Any, Sequence[Mistake]]],
) -> tuple[Inputs, Any, list[Mistake]]:
    """Draw until the right value and all mistakes differ, each from each.

    Args:
        draw: random inputs.
        judge: the right value for inputs, and the known mistakes with theirs.

    Returns:
        inputs, right value, mistakes.

    Raises:
        RuntimeError: no draw tells them apart: two of the mistakes are one, or the inputs are of
            a kind on which they agree.
    """
    alike = ""
    for _ in range(_TRIES):
        inputs = draw()
        right, mistakes = judge(inputs)
        alike = _first_pair(right, mistakes)
        if not alike:
            return inputs, right, list(mistakes)
    raise RuntimeError(f"no inputs tell apart {alike}; draw others, or merge the two")


def own(right: Any, mistakes: Sequence[Mistake]) -> list[Mistake]:
    """The mistakes that show on this input; for inputs that are given, such as an example.

    Those that give the right value are left out. Two or three that give the same are told together,
    as either; more than that would explain nothing.
    """
    groups: list[list[Mistake]] = []
    for mistake in mistakes:
        if not _alike(mistake.value, right):
            same = next((each for each in groups if _alike(each[0].value, mistake.value)), None)
            if same is None:
                groups.append([mistake])
            else:
                same.append(mistake)
    return [
        each[0] if len(each) == 1
        else Mistake(_either([one.words for one in each]), each[0].value)
        for each in groups if len(each) <= _TOGETHER
    ]


def _either(several: Sequence[str]) -> str:
    """Words of which one holds; sentences that end all of them are said once."""
    sentences = [re.split(r"(?<=[.?!:]) (?=[A-Z0-9-])", words) for words in several]
    common: list[str] = []
    while all(len(each) > 1 for each in sentences) and len({each[-1] for each in sentences}) == 1:
        common.insert(0, sentences[0][-1])
        sentences = [each[:-1] for each in sentences]
    either = " Or: ".join(" ".join(each) for each in sentences)
    return " ".join([f"Either: {either}", *common])


def _first_pair(right: Any, mistakes: Sequence[Mistake]) -> str:
    named = [("the right answer", right), *((each.words, each.value) for each in mistakes)]
    for at, (name, value) in enumerate(named):
        for other, known in named[:at]:
            if _alike(value, known):
                return f"{other!r} and {name!r}"
    return ""


def _alike(one: Any, other: Any) -> bool:
    one, other = np.asarray(one), np.asarray(other)
    if one.shape != other.shape:
        return False
    if one.dtype == bool or other.dtype == bool:
        return np.array_equal(one, other)
    return bool(np.allclose(one, other, rtol=_WIDER * RTOL, atol=_WIDER * ATOL, equal_nan=True))
