"""Check of lesson 07's expected calibration error (7.5)."""

from __future__ import annotations

from functools import partial

import numpy as np

from hybridlab.evaluation.calibration import expected_calibration_error as right_error
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
Drawn = tuple[Array, Array, int]  # probs, targets, bins
nan = float("nan")

_NAME = "calibration_error"
_EXAMPLE = np.array([0.1, 0.3, 0.3, 0.5, 1.0, 0.9]), np.array([0, 1, 0, 1, 1, -1]), 2
_ONE = "One number for all entries together."
_EMPTY = (
    "The mean of an empty bin is 0 / 0. It holds nothing and weighs nothing: pass it over."
)
_CRASHES = {
    "IndexError": "A probability of 1 belongs to the last bin: 1 * K would be bin K, and the bins "
    "are 0 to K - 1.",
    "ZeroDivisionError": _EMPTY,
    "ValueError": "np.bincount and np.histogram take one axis: choose the annotated entries first, "
    "probs[targets >= 0].",
}


def check_calibration_error(trial: Trial) -> None:
    """Against the package's: any probabilities, edges, what is not annotated, empty bins."""
    with trial.part("the worked example", _CRASHES):
        right = right_error(*_EXAMPLE)
        every = [*_wrongly(*_EXAMPLE), *_edges_wrongly(*_EXAMPLE), *_mask_ignored(*_EXAMPLE)]
        trial.equal(trial.call(_NAME, *_EXAMPLE), right, "the error of the example",
                    own(right, every), shape_hint=_ONE)
    with trial.part("any probabilities", _CRASHES):
        rng = trial.rng
        for labels in (0, 3):
            drawn, right, mistakes = telling(
                partial(_drawn, rng, labels), lambda drawn: (right_error(*drawn), _wrongly(*drawn))
            )
            probs, targets, bins = drawn
            trial.equal(trial.call(_NAME, *drawn), right,
                        f"the error of probabilities of shape {probs.shape} in {bins} bins",
                        mistakes, shape_hint=_ONE)
        order = rng.permutation(len(probs))
        trial.equal(trial.call(_NAME, probs[order], targets[order], bins), right,
                    "the error of the same in another order", shape_hint=_ONE)
        trial.equal(trial.call(_NAME, probs, targets, 1), right_error(probs, targets, 1),
                    "the error in one bin", shape_hint=_ONE,
                    hint="In one bin it is the distance of the mean probability from the share of "
                    "positives.")
    with trial.part("at the edges", _CRASHES):
        drawn, right, mistakes = telling(
            partial(_at_edges, trial.rng),
            lambda drawn: (right_error(*drawn), _edges_wrongly(*drawn)),
        )
        trial.equal(trial.call(_NAME, *drawn), right,
                    "the error of probabilities at the edges of bins", mistakes, shape_hint=_ONE,
                    hint="A bin holds its left end and not its right one; the last holds both.")
        ends = np.array([0.0, 1.0, 1.0]), np.array([0, 1, 0]), 4
        trial.equal(trial.call(_NAME, *ends), 1 / 3, "the error of 0, 1 and 1",
                    own(1 / 3, _edges_wrongly(*ends)), shape_hint=_ONE)
    with trial.part("not annotated", _CRASHES):
        drawn, right, mistakes = telling(
            partial(_masked, trial.rng), lambda drawn: (right_error(*drawn), _mask_ignored(*drawn))
        )
        trial.equal(trial.call(_NAME, *drawn), right,
                    "the error where some entries are not annotated", mistakes, shape_hint=_ONE,
                    hint="Choose the annotated entries before you count anything.")
    with trial.part("empty bins, nothing annotated", _CRASHES):
        probs, targets, _ = _drawn(trial.rng, 0)
        many = probs, targets, 64
        trial.equal(trial.call(_NAME, *many), right_error(*many), "the error in 64 bins",
                    own(right_error(*many), [Mistake(_EMPTY, nan), *_wrongly(*many)]),
                    hint=_EMPTY, shape_hint=_ONE)
        rate = float(targets.mean())
        trial.equal(trial.call(_NAME, np.full(len(targets), rate), targets, 10), 0.0,
                    "the error of a forecast that is always the share of positives",
                    [Mistake(_EMPTY, nan)], shape_hint=_ONE,
                    hint="It says nothing of any image, and has no calibration error.")
        trial.equal(trial.call(_NAME, probs, np.full_like(targets, -1), 10), nan,
                    "the error where nothing is annotated",
                    [Mistake("0 would say: perfectly calibrated. Nothing is known: give NaN.",
                             0.0)],
                    hint="Nothing is known: give NaN.", shape_hint=_ONE)


# --- draws ----------------------------------------------------------------------------------------
# Which bin holds a probability at an edge depends on rounding unless 1 / K is a power of two. So
# probabilities stay away from edges, or K is 4 or 8.


def _drawn(rng: np.random.Generator, labels: int) -> Drawn:
    """Away from edges, and badly calibrated; some bins are empty.

    Args:
        labels: L, or 0 for one axis.
    """
    bins = int(rng.choice([5, 7, 12]))
    shape = (int(rng.integers(10, 14)), labels) if labels else (int(rng.integers(24, 40)),)
    place = np.minimum((bins * rng.beta(0.6, 0.9, shape)).astype(int), bins - 1)
    place[place == bins // 2] = 0
    probs = np.round((place + rng.uniform(0.1, 0.9, shape)) / bins, 4)
    return probs, (rng.random(shape) < 0.15 + 0.5 * probs).astype(int), bins


def _at_edges(rng: np.random.Generator) -> Drawn:
    bins = int(rng.choice([4, 8]))
    edges = np.repeat(np.arange(bins + 1) / bins, 2)
    inside = (np.arange(bins) + rng.choice([0.25, 0.5, 0.75], bins)) / bins
    probs = rng.permutation(np.concatenate([edges, inside, inside[: bins // 2]]))
    return probs, (rng.random(len(probs)) < 0.5).astype(int), bins


def _masked(rng: np.random.Generator) -> Drawn:
    probs, targets, bins = _drawn(rng, 3)
    targets[rng.random(targets.shape) < 0.3] = -1
    targets[0] = [0, 1, -1]
    return probs, targets, bins


# --- right and wrong ------------------------------------------------------------------------------


def _sums(probs: Array, targets: Array, place: Array) -> tuple[Array, Array]:
    """Counts and signed gaps (count * (mean - share)) of bins that are not empty."""
    count = np.bincount(place)
    gap = np.bincount(place, weights=probs - targets)
    return count[count > 0], gap[count > 0]


def _error(probs: Array, targets: Array, place: Array) -> float:
    return float(np.abs(_sums(probs, targets, place)[1]).sum() / len(probs))


def _known(probs: Array, targets: Array) -> Drawn | tuple[Array, Array]:
    return probs[targets >= 0], targets[targets >= 0]


def _place(probs: Array, bins: int) -> Array:
    return np.minimum((probs * bins).astype(int), bins - 1)


def _wrongly(probs: Array, targets: Array, bins: int) -> list[Mistake]:
    p, y = probs[targets >= 0], targets[targets >= 0]
    place = _place(p, bins)
    count, signed = _sums(p, y, place)
    gap = np.abs(signed) / count
    centre = (np.unique(place) + 0.5) / bins
    share = np.bincount(place, weights=y)[np.bincount(place) > 0] / count
    sure, hit = np.maximum(p, 1 - p), (p >= 0.5) == (y == 1)
    found = [
        Mistake("You took the plain mean of the gaps; weigh each by the number of entries in its "
                "bin.", gap.mean()),
        Mistake("You added the gaps up; take their mean, weighed by the entries in the bins.",
                gap.sum()),
        Mistake("You added the gaps up, each times its count; divide by the number of entries.",
                np.abs(signed).sum()),
        Mistake("That is the largest gap; take the mean, weighed by the entries in the bins.",
                gap.max()),
        Mistake("Gaps above and below cancel in your sum: take the distance in each bin first. (Or "
                "you used one bin.)", abs(signed.sum()) / len(p)),
        Mistake("Gaps above and below cancel in your sum, which is negative: take the distance in "
                "each bin first.", -abs(signed.sum()) / len(p)),
        Mistake("You compared with the middle of each bin; take the mean of the probabilities in "
                "it.", (count * np.abs(centre - share)).sum() / len(p)),
        Mistake("You squared the gaps.", (count * gap**2).sum() / len(p)),
        Mistake("That is the root of the mean squared gap; take the mean distance.",
                ((count * gap**2).sum() / len(p)) ** 0.5),
        Mistake("You took each entry's distance from its target; take means within a bin first: "
                "a .7 is not wrong by .3.", np.abs(p - y).mean()),
        Mistake("You compared sureness with being right, as is done where classes compete. Here .2 "
                "is a forecast by itself: compare it with the share of positives.",
                _error(sure, hit, _place(sure, bins))),
        Mistake("Your bins hold as many entries each; they have equal widths.",
                right_error(p, y, bins, "count")),
        Mistake("You have one bin too few: K bins have K + 1 edges.",
                _error(p, y, _place(p, max(1, bins - 1)))),
        Mistake("You have one bin too many: K bins have K + 1 edges.",
                _error(p, y, _place(p, bins + 1))),
        Mistake("You rounded to the nearest edge: the first and the last bin are half as wide. Cut "
                "off: (probs * bins).astype(int).",
                _error(p, y, np.round(p * bins).astype(int))),
    ]
    if len(count) < bins:
        found.append(Mistake("You divided the sum of the gaps by all bins; weigh each gap by the "
                             "number of entries in its bin.", gap.sum() / bins))
    if probs.ndim == 2:
        each = [right_error(*columns, bins) for columns in zip(probs.T, targets.T, strict=True)]
        found.append(Mistake("That is the mean of the labels' errors; all entries go into the same "
                             "bins.", float(np.mean(each))))
    return found


def _edges_wrongly(probs: Array, targets: Array, bins: int) -> list[Mistake]:
    p, y = probs[targets >= 0], targets[targets >= 0]
    right_closed = np.ceil(p * bins).astype(int) - 1
    inside, below_one = p > 0, p < 1

    def part(some: Array, place: Array) -> float:
        """Of some entries, divided by all."""
        return float(np.abs(_sums(p[some], y[some], place[some])[1]).sum() / len(p))

    def alone(some: Array, place: Array) -> float:
        return _error(p[some], y[some], place[some]) if some.any() else nan

    return [
        Mistake("A probability at an edge went to the bin on its left; a bin holds its left end.",
                _error(p, y, np.maximum(right_closed, 0))),
        Mistake("A probability at an edge went to the bin on its left, and 0 to none; a bin holds "
                "its left end.", part(inside, right_closed)),
        Mistake("A probability at an edge went to the bin on its left, and 0 was left out of all "
                "counts; a bin holds its left end.", alone(inside, right_closed)),
        Mistake("Probabilities of 1 are in no bin of yours; the last bin holds 1, too.",
                part(below_one, _place(p, bins))),
        Mistake("Probabilities of 1 are left out of all counts in your result; the last bin holds "
                "1, too.", alone(below_one, _place(p, bins))),
        Mistake("Probabilities of 1 have a bin of their own in your result; they belong to the "
                "last one.", _error(p, y, (p * bins).astype(int))),
    ]


def _mask_ignored(probs: Array, targets: Array, bins: int) -> list[Mistake]:
    p, y = probs.reshape(-1), targets.reshape(-1)
    place = _place(p, bins)
    return [
        Mistake("Entries of -1 count as 0, \"not there\", in your result; they are not annotated "
                "and are left out.", _error(p, (y == 1).astype(int), place)),
        Mistake("Entries of -1 count as positives in your result; they are not annotated and are "
                "left out.", _error(p, (y != 0).astype(int), place)),
        Mistake("-1 went into the shares as a number; such entries are left out.",
                _error(p, y, place)),
        Mistake("Entries of -1 are in no bin, but in the number that you divide by: divide by the "
                "annotated ones.",
                right_error(probs, targets, bins) * (y >= 0).sum() / len(y)),
    ]
