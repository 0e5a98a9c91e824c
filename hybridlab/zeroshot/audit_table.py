"""The table of an audit: false positives of every label in every group, and its worst rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybridlab.evaluation.bootstrap import Interval
from hybridlab.evaluation.inputs import Floats, ratio
from hybridlab.evaluation.significance import holm


@dataclass(frozen=True)
class AuditRow:
    """One label in one group.

    Attributes:
        label, group: names.
        false, images: false positives, and images without the label, in the group.
        others_false, others: the same outside the group.
        difference: rate in the group minus rate outside, with its interval (Newcombe).
        p: two-sided, Fisher's exact; `p_holm`: corrected over the rows of the table asked for.
    """

    label: str
    group: str
    false: int
    images: int
    others_false: int
    others: int
    difference: Interval
    p: float
    p_holm: float

    @property
    def rate(self) -> float:
        """False positives per image without the label, in the group."""
        return self.false / self.images if self.images else float("nan")

    @property
    def others_rate(self) -> float:
        """The same outside the group."""
        return self.others_false / self.others if self.others else float("nan")


@dataclass(frozen=True, eq=False)
class Audit:
    """False positives of every label in every group.

    Attributes:
        groups: C names, in the order of the rows below.
        labels: L names, in the order of the columns below.
        false, images: (C, L) false positives, and images without the label, in the group.
        others_false, others: (C, L) the same outside the group.
        low, high: (C, L) ends of the interval of the difference of rates; NaN where one side has
            no image.
        p: (C, L) two-sided p-values, Fisher's exact; NaN where one side has no image.
    """

    groups: tuple[str, ...]
    labels: tuple[str, ...]
    false: NDArray[np.int64]
    images: NDArray[np.int64]
    others_false: NDArray[np.int64]
    others: NDArray[np.int64]
    low: Floats
    high: Floats
    p: Floats

    @property
    def difference(self) -> Floats:
        """(C, L) rate in the group minus rate outside; NaN where one side has no image."""
        inside = ratio(self.false, self.images, np.nan)
        return np.asarray(inside - ratio(self.others_false, self.others, np.nan))

    def at(self, usual: Sequence[str]) -> tuple[AuditRow, ...]:
        """A row for each label, in its usual group; p corrected over these L rows.

        Args:
            usual: for each label the name of its group, such as its home context.

        Raises:
            ValueError: another number of names than labels, or an unknown group.
        """
        if len(usual) != len(self.labels):
            raise ValueError(f"usual has {len(usual)} names for {len(self.labels)} labels")
        for name in usual:
            if name not in self.groups:
                raise ValueError(f"usual names {name!r}; groups are {', '.join(self.groups)}")
        rows = [self.groups.index(name) for name in usual]
        return self._rows(list(zip(rows, range(len(self.labels)), strict=True)))

    def worst(self, k: int = 10) -> tuple[AuditRow, ...]:
        """The pairs whose difference is surely largest, by the lower end of its interval.

        The p-values are corrected over all pairs of the audit. Sorting by the lower end keeps
        rates of two or three images from leading the table.

        Raises:
            ValueError: `k` is below 1.
        """
        if k < 1:
            raise ValueError(f"k is {k}; ask for one row or more")
        unknown = np.isnan(self.low)
        order = np.argsort(np.where(unknown, np.inf, -self.low), axis=None, kind="stable")
        known = int((~unknown).sum())
        pairs = [divmod(int(at), len(self.labels)) for at in order[: min(k, known)]]
        return self._rows(pairs, holm(self.p.ravel()).reshape(self.p.shape))

    def _rows(
        self, pairs: list[tuple[int, int]], corrected: Floats | None = None
    ) -> tuple[AuditRow, ...]:
        p = [float(self.p[pair]) for pair in pairs]
        p_holm = holm(p) if corrected is None else [float(corrected[pair]) for pair in pairs]
        difference = self.difference
        return tuple(
            AuditRow(
                self.labels[at[1]], self.groups[at[0]], int(self.false[at]), int(self.images[at]),
                int(self.others_false[at]), int(self.others[at]),
                Interval(float(difference[at]), float(self.low[at]), float(self.high[at])),
                one, float(adjusted),
            )
            for at, one, adjusted in zip(pairs, p, p_holm, strict=True)
        )
