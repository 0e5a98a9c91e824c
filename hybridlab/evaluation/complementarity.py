"""What two views find alone: of the labels that are there, those found by both, one, or neither.

A fusion of decisions can at most find what one of them found; how much that is bounds its gain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Found:
    """Shares of the labels that are there, in one group; they add up to 1.

    Attributes:
        group: its name.
        count: labels that are there.
        both, first, second, neither: found by both views, by the first alone, by the second alone,
            by none. NaN where count is 0.
    """

    group: str
    count: int
    both: float
    first: float
    second: float
    neither: float

    @property
    def either(self) -> float:
        """Found by one of them at least: what an oracle that knows whom to trust would reach."""
        return self.both + self.first + self.second


def complementarity(
    first: Array, second: Array, targets: Array, groups: Mapping[str, Array] | None = None
) -> list[Found]:
    """Who finds what, group by group.

    Args:
        first, second: decisions (N, L) of two views, bool.
        targets: (N, L) of 1, 0 and -1; only 1 is there.
        groups: name -> (N, L) bool, which entries belong to it, such as those of small objects; all
            together, as "all", where None.

    Raises:
        ValueError: shapes differ, or decisions are not bool.
    """
    shape = np.shape(targets)
    named = {"first": first, "second": second, **(groups or {})}
    for name, each in named.items():
        if np.shape(each) != shape or np.asarray(each).dtype != bool:
            raise ValueError(
                f"{name} is {np.shape(each)} of {np.asarray(each).dtype}, expected bool {shape}, "
                "the shape of targets; decide first: probs >= threshold"
            )
    there = np.asarray(targets) == 1
    found = []
    for name, group in (groups or {"all": np.ones(shape, bool)}).items():
        own = there & group
        count = int(own.sum())
        one, other = first[own], second[own]
        shares = [float(np.mean(each)) if count else float("nan") for each in (
            one & other, one & ~other, ~one & other, ~one & ~other)]
        found.append(Found(name, count, *shares))
    return found


def as_many(scores: Array, count: int) -> Array:
    """The `count` highest scores (N, L) are a yes, so that two views can be compared that say yes
    equally often; of equal scores the first ones are.

    Raises:
        ValueError: count is negative, or there are fewer scores; or some are NaN.
    """
    scores = np.asarray(scores)
    if not 0 <= count <= scores.size or np.isnan(scores).any():
        raise ValueError(
            f"count is {count} of {scores.size} scores, {int(np.isnan(scores).sum())} of them NaN; "
            "give finite scores, and a count from 0 to their number"
        )
    yes = np.zeros(scores.size, dtype=bool)
    yes[np.argsort(-scores.ravel(), kind="stable")[:count]] = True
    return yes.reshape(scores.shape)
