"""Scores of many batches and processes, gathered once and measured once.

Averages of batch metrics are not the metric of the whole, and histograms of scores ("binned" AP)
are biased. So keep every score, as float32, and compute at the end: 40,000 x 80 take 16 MB
(trap 2). Distributed samplers pad their shards with copies of images, which would count twice:
rows are told apart by image id.

    gathered = MetricAccumulator()
    for ids, images, targets in loader:
        gathered.add(ids, model(images), targets)
    gathered.merge(*states_of_other_processes)   # each their `gathered.state()`
    whole = gathered.compute()
    mean_ap(whole.scores, whole.targets)
"""

from collections.abc import Mapping
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridlab.evaluation.inputs import Array, as_array, check_scores, check_targets

_FIELDS = ("ids", "scores", "targets")


class Accumulated(NamedTuple):
    """All that was added, each image once, in the order of the ids.

    Attributes:
        ids: (N,) whole numbers or strings, ascending.
        scores: (N, L) float32.
        targets: (N, L) int8 in {1, 0, -1}.
        repeats: how many rows were dropped as further copies of an image.
    """

    ids: Array
    scores: NDArray[np.float32]
    targets: NDArray[np.int8]
    repeats: int


class MetricAccumulator:
    """Gathers (ids, scores, targets) of batches; the result knows no order and no sharding.

    Pass logits rather than probabilities: a sigmoid in float32 makes ties near 1, and ties change
    average precision.

    Args:
        labels: L; without it the first batch says.
        tolerance: by how much, as a share of 1 + |score|, two copies of an image may differ. The
            last bits of a score depend on the batch that it was computed in; the lower of two
            such scores is kept. More is an error: two models, or augmentation left on.
    """

    def __init__(self, labels: int | None = None, tolerance: float = 1e-4):
        if labels is not None and labels < 1:
            raise ValueError(f"labels is {labels}; expected at least 1, or None to be told later")
        if not (np.isfinite(tolerance) and tolerance >= 0):
            raise ValueError(f"tolerance is {tolerance}; expected a finite share of at least 0")
        self.labels = labels
        self.tolerance = tolerance
        self._parts: list[tuple[Array, Array, Array]] = []

    def add(self, ids: ArrayLike, scores: ArrayLike, targets: ArrayLike) -> Self:
        """Keep one batch; an empty batch is welcome.

        Args:
            ids: (B,) an image's number or name, the same in every process and epoch.
            scores: (B, L), kept as float32.
            targets: (B, L) in {1, 0, -1 = not annotated}.

        Raises:
            ValueError: shapes differ from each other or from earlier batches, ids are not whole
                numbers or strings or change kind, a score is not finite (in float32), or a target
                is not 0, 1 or -1. Nothing of the batch is kept then.
        """
        given = check_scores(scores)
        with np.errstate(over="ignore"):  # an overflow is named by the check that follows
            # Adding 0 turns -0.0 into 0.0: equal scores then have equal bits.
            scored = check_scores(given.astype(np.float32) + np.float32(0))
        truth = check_targets(targets, scored.shape)
        named = _check_ids(ids, len(scored))
        if self.labels is not None and scored.shape[1] != self.labels:
            raise ValueError(
                f"scores has {scored.shape[1]} columns but earlier batches (or labels=) have "
                f"{self.labels}; add batches of one model and one vocabulary"
            )
        if self._parts and len(named) and named.dtype.kind != self._parts[0][0].dtype.kind:
            raise ValueError(
                f"ids is {named[0].item()!r} but earlier ids are like "
                f"{self._parts[0][0][0].item()!r}; "
                "name images by numbers or by strings, not by both"
            )
        self.labels = scored.shape[1]
        if len(named):
            self._parts.append((named, scored, truth))
        return self

    def merge(self, *others: "MetricAccumulator | Mapping[str, ArrayLike]") -> Self:
        """Take in what other accumulators hold, given as such or as their `state()`.

        Raises:
            ValueError: a state lacks an array, or as `add`.
        """
        for other in others:
            state = other.state() if isinstance(other, MetricAccumulator) else other
            missing = [field for field in _FIELDS if field not in state]
            if missing:
                raise ValueError(
                    f"a state holds {sorted(state)} but lacks {missing}; pass what state() gave"
                )
            # That of an accumulator which was never told how many labels there are.
            if np.shape(state["scores"]) != (0, 0):
                self.add(*(state[field] for field in _FIELDS))
        return self

    def state(self) -> dict[str, Array]:
        """All rows so far, copies included, as arrays: to be sent, pickled or `np.savez`d."""
        if not self._parts:
            empty = (0, self.labels or 0)
            ids, scores = np.empty(0, np.int64), np.empty(empty, np.float32)
            return dict(zip(_FIELDS, (ids, scores, np.empty(empty, np.int8)), strict=True))
        joined = (np.concatenate(arrays) for arrays in zip(*self._parts, strict=True))
        return dict(zip(_FIELDS, joined, strict=True))

    def compute(self) -> Accumulated:
        """Every image once, in the order of the ids; no rows at all if nothing was added.

        Raises:
            ValueError: copies of one image differ in targets, or in scores beyond `tolerance`.
        """
        ids, scores, targets = self.state().values()
        order = np.argsort(ids, kind="stable")
        ids, scores, targets = ids[order], scores[order], targets[order]
        first = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]])[: len(ids)])
        if len(first) == len(ids):
            return Accumulated(ids, scores, targets, 0)
        # Lowest and highest over all copies: what is kept and what is refused know no order.
        low, high = (
            [extreme.reduceat(rows, first, axis=0) for rows in (scores, targets)]
            for extreme in (np.minimum, np.maximum)
        )
        allowed = self.tolerance * (1 + np.abs(low[0]))
        _refuse(ids[first], low[1] != high[1], low[1], high[1], "targets")
        _refuse(ids[first], high[0] - low[0] > allowed, low[0], high[0], "scores")
        return Accumulated(ids[first], low[0], low[1], len(ids) - len(first))


def _check_ids(ids: ArrayLike, rows: int) -> Array:
    """Return `ids` as int64 or strings, one for each row."""
    array = as_array(ids)
    if array.shape != (rows,):
        raise ValueError(f"ids has shape {array.shape}; expected ({rows},), one for each row")
    if rows == 0:
        return np.empty(0, np.int64)
    kinds = {isinstance(i, str) for i in ids} if isinstance(ids, list | tuple) else {False}
    if len(kinds) > 1 or array.dtype.kind not in "iuU":
        raise ValueError(
            f"ids holds {array.tolist()[0]!r} (dtype {array.dtype}); expected whole numbers or "
            "strings, such as the image's index or its file name"
        )
    if array.dtype.kind == "u" and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"ids holds {array.max()}, beyond 64-bit integers; pass strings")
    return array.copy() if array.dtype.kind == "U" else array.astype(np.int64)


def _refuse(ids: Array, bad: Array, low: Array, high: Array, name: str) -> None:
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"image {ids[row].item()!r} was added more than once with different {name}: "
            f"{low[row, column]} and {high[row, column]} in column {column}; give each image its "
            "own id, and predict once with one model in eval()"
        )
