"""Lists of the world's labels as people write them, checked and put in order."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from hybridlab.data.world import HELD_OUT, LABEL_NAMES

HELD_OUT_WORD = "held-out"  # stands for all of `world.HELD_OUT`


def label_names(given: Sequence[str], name: str = "labels") -> tuple[str, ...]:
    """Names of labels, each once and in the order of their columns.

    Args:
        given: label names; "held-out" stands for the world's 16 held-out labels.
        name: of the setting, for messages.

    Raises:
        TypeError: one string in place of a list of them.
        ValueError: a name that is no label.
    """
    if isinstance(given, str):
        raise TypeError(f"{name} is one string, {given!r}; give a list of label names")
    named: set[str] = set()
    for each in given:
        if each != HELD_OUT_WORD and each not in LABEL_NAMES:
            near = get_close_matches(each, (*LABEL_NAMES, HELD_OUT_WORD), 1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ValueError(
                f"{name} names {each!r}, which is no label{hint}; give labels of the world, or "
                f"{HELD_OUT_WORD!r} for the {len(HELD_OUT)} held-out ones"
            )
        named |= set(HELD_OUT) if each == HELD_OUT_WORD else {each}
    return tuple(label for label in LABEL_NAMES if label in named)
