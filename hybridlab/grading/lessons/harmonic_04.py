"""Check of lesson 04's harmonic mean of seen and unseen labels (4.6)."""

from __future__ import annotations

from functools import partial

import numpy as np

from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial
from hybridlab.zeroshot.splits import harmonic_mean

Array = np.ndarray
nan = float("nan")
_ONE = "One number for both groups together."


def check_harmonic(trial: Trial) -> None:
    """Against the package's: any APs, labels without an AP, groups without any, zeros."""
    with trial.part("the worked example"):
        drawn = np.array([0.9, 0.7, nan, 0.8]), np.array([0.1, 0.3])
        right = _right(*drawn)
        trial.equal(trial.call("harmonic", *drawn), right, "the harmonic mean of the example",
                    own(right, [*_wrongly(*drawn), *_absent_wrongly(*drawn)]), shape_hint=_ONE)
    with trial.part("any APs"):
        rng = trial.rng
        for square in (False, True):
            (seen, unseen), right, mistakes = telling(
                partial(_groups, rng, square), lambda drawn: (_right(*drawn), _wrongly(*drawn))
            )
            trial.equal(trial.call("harmonic", seen, unseen), right,
                        f"the harmonic mean of {len(seen)} seen and {len(unseen)} unseen labels",
                        mistakes, shape_hint=_ONE)
        trial.equal(trial.call("harmonic", unseen, seen), right,
                    "the same with both groups exchanged",
                    hint="The harmonic mean treats both groups alike.")
        trial.equal(trial.call("harmonic", seen, seen), float(seen.mean()),
                    "the harmonic mean of two equal groups",
                    hint="The harmonic mean of S and S is S.")
        trial.equal(trial.call("harmonic", seen[:1], unseen[:1]), _right(seen[:1], unseen[:1]),
                    "the harmonic mean of one seen and one unseen label")
        trial.equal(trial.call("harmonic", seen / 1000, unseen / 1000), right / 1000,
                    "the harmonic mean of APs near 0", atol=0.0,
                    hint="A constant added to S + U shows where both are small.")
    with trial.part("labels without an AP"):
        rng = trial.rng
        (seen, unseen), right, mistakes = telling(
            lambda: _with_absent(rng), lambda drawn: (_right(*drawn), _absent_wrongly(*drawn))
        )
        trial.equal(trial.call("harmonic", seen, unseen), right,
                    "the harmonic mean with labels whose AP is NaN", mistakes, shape_hint=_ONE)
    with trial.part("nothing found, nothing there"):
        seen, unseen = _groups(trial.rng, square=False)
        zeros = np.zeros(3)
        by_zero = Mistake("0 / 0: where both means are 0, so is their harmonic mean.", nan)
        trial.equal(trial.call("harmonic", zeros, zeros[:2]), 0.0,
                    "the harmonic mean where all APs are 0", [by_zero])
        trial.equal(trial.call("harmonic", seen, zeros), 0.0,
                    "the harmonic mean where no unseen label is found")
        _nothing_there(trial, seen)


def _nothing_there(trial: Trial, seen: Array) -> None:
    """A group without an AP gives NaN, whichever it is and whatever the other."""
    mistakes = [
        Mistake("0 would say: the group was found as badly as can be. It was not measured: give "
                "NaN.", 0.0),
        Mistake("You gave the other group's mean. Nothing is known of this one: give NaN.",
                float(seen.mean())),
        Mistake("You took half of the other group's mean, as if this one had 0. It was not "
                "measured: give NaN.", float(seen.mean() / 2)),
    ]
    absent = np.full(3, nan)
    for groups, what in (
        ((seen, absent), "no unseen label has an AP"), ((absent, seen), "no seen label has an AP"),
        ((absent, absent), "no label has an AP"), ((seen, absent[:0]), "there is no unseen label"),
        ((absent, np.zeros(2)), "no seen label has an AP and the unseen ones have 0"),
    ):
        trial.equal(trial.call("harmonic", *groups), nan, f"the harmonic mean where {what}",
                    mistakes, shape_hint=_ONE)


def _groups(rng: np.random.Generator, square: bool) -> tuple[Array, Array]:
    """APs, the seen labels' higher; with `square` as many of one group as of the other."""
    few = int(rng.integers(3, 6))
    many = few if square else few + int(rng.integers(2, 5))
    return np.round(rng.uniform(0.4, 0.95, many), 3), np.round(rng.uniform(0.05, 0.5, few), 3)


def _with_absent(rng: np.random.Generator) -> tuple[Array, Array]:
    """One seen label without an AP, and two unseen ones."""
    seen, unseen = _groups(rng, square=False)
    seen[int(rng.integers(len(seen)))] = nan
    unseen = np.append(unseen, [nan, nan])
    return seen, rng.permutation(unseen)


def _right(seen: Array, unseen: Array) -> float:
    return harmonic_mean(float(np.nanmean(seen)), float(np.nanmean(unseen)))


def _of_all(values: Array) -> float:
    """The harmonic mean of many numbers above 0."""
    return float(len(values) / (1 / values).sum())


def _wrongly(seen: Array, unseen: Array) -> list[Mistake]:
    seen, unseen = seen[~np.isnan(seen)], unseen[~np.isnan(unseen)]
    s, u = float(seen.mean()), float(unseen.mean())
    both = np.concatenate([seen, unseen])
    right = harmonic_mean(s, u)
    alike = len(seen) == len(unseen)  # where means over all labels are those of both groups
    found = [
        Mistake("You took the plain mean of S and U" + (", or of all labels" if alike else "")
                + ". A model that forgets the unseen labels looks good there; take 2SU / (S + U).",
                (s + u) / 2),
        Mistake(("You took the harmonic mean of single APs (over all labels, or within the groups, "
                 "too). " if alike else "You took harmonic means within the groups, too. ")
                + "Within a group it is the plain mean (mAP).",
                harmonic_mean(_of_all(seen), _of_all(unseen))),
        Mistake("You took the root of S * U, the geometric mean; take 2SU / (S + U).",
                (s * u) ** 0.5),
        Mistake("The factor 2 is missing: 2SU / (S + U).", right / 2),
        Mistake("That is the lower of the two means.", min(s, u)),
        Mistake("That is the higher of the two means.", max(s, u)),
        Mistake("You took medians within the groups; take the mean (mAP).",
                harmonic_mean(float(np.median(seen)), float(np.median(unseen)))),
        Mistake("You added the APs up; take the mean within each group.",
                harmonic_mean(float(seen.sum()), float(unseen.sum()))),
        Mistake("That is the product of both means; divide 2SU by S + U.", s * u),
    ]
    if alike:
        pairs = 2 * seen * unseen / (seen + unseen)
        found.append(Mistake("You paired seen and unseen labels and averaged afterwards. Take the "
                             "mean of each group first.", float(pairs.mean())))
    else:
        found += [
            Mistake("You took the harmonic mean over all labels. Take the plain mean within each "
                    "group first, and the harmonic mean of the two.", _of_all(both)),
            Mistake("That is the mean over all labels together: the larger group drowns the "
                    "other.", float(both.mean())),
            Mistake("You weighted the groups by their numbers of labels; both count the same.",
                    len(both) / (len(seen) / s + len(unseen) / u)),
        ]
    return found


def _absent_wrongly(seen: Array, unseen: Array) -> list[Mistake]:
    def zeros(values: Array) -> float:
        return float(np.nan_to_num(values).mean())

    def ones(values: Array) -> float:
        return float(np.nan_to_num(values, nan=1.0).mean())

    s, u = float(np.nanmean(seen)), float(np.nanmean(unseen))
    found = [
        Mistake("A label without an AP counts 0 in your means. Nobody could find it: leave it out.",
                harmonic_mean(zeros(seen), zeros(unseen))),
        Mistake("A label without an AP counts 1 in your means; leave it out.",
                harmonic_mean(ones(seen), ones(unseen))),
        Mistake("A label without an AP made the result NaN. Leave it out of its group's mean: "
                "np.nanmean does.", nan),
    ]
    if np.isnan(seen).any() and np.isnan(unseen).any():
        found += [
            Mistake("You left labels without an AP out of the seen group only.",
                    harmonic_mean(s, zeros(unseen))),
            Mistake("You left labels without an AP out of the unseen group only.",
                    harmonic_mean(zeros(seen), u)),
        ]
    return found
