"""Check of lesson 01's CF1 (1.2)."""

from __future__ import annotations

from typing import Any

import numpy as np

from hybridlab.evaluation.decisions import threshold_metrics
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
nan = float("nan")


def check_cf1(trial: Trial) -> None:
    """CF1 against the package's, where labels are plain, never predicted, or never there."""
    with trial.part("the worked example"):
        targets = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 1], [0, 0, 1]])
        decisions = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 0], [1, 0, 0]], bool)
        expected = _right_cf1(decisions, targets)
        trial.equal(trial.call("cf1", decisions, targets), expected, "CF1 of the example",
                    own(expected, _averaged_wrongly(decisions, targets)))
    with trial.part("any decisions"):
        rng = trial.rng
        (decisions, targets), expected, mistakes = telling(
            lambda: _decisions(rng),
            lambda drawn: (_right_cf1(*drawn), _averaged_wrongly(*drawn)),
        )
        trial.equal(trial.call("cf1", decisions, targets), expected, "CF1", mistakes)
        rows, columns = rng.permutation(len(targets)), rng.permutation(targets.shape[1])
        trial.equal(
            trial.call("cf1", decisions[rows][:, columns], targets[rows][:, columns]), expected,
            "CF1 of the same images and labels in another order",
            hint="Neither the order of the images nor that of the labels matters.",
        )
        trial.equal(trial.call("cf1", targets == 1, targets), 1.0, "CF1 of perfect decisions")
    with trial.part("a label that is never predicted"):
        rng = trial.rng
        (decisions, targets), expected, mistakes = telling(
            lambda: _decisions(rng, never=2),
            lambda drawn: (_right_cf1(*drawn), _never_predicted(*drawn)),
        )
        trial.equal(trial.call("cf1", decisions, targets), expected,
                    "CF1 with two labels that are never predicted", mistakes)
    with trial.part("a label without a positive"):
        rng = trial.rng
        (decisions, targets), expected, mistakes = telling(
            lambda: _decisions(rng, absent=2),
            lambda drawn: (_right_cf1(*drawn), _absent(*drawn)),
        )
        trial.equal(trial.call("cf1", decisions, targets), expected,
                    "CF1 with two labels without a positive", mistakes)
    with trial.part("nothing right, nothing there"):
        _, targets = _decisions(trial.rng)
        trial.equal(trial.call("cf1", targets == 0, targets), 0.0, "CF1 without a hit", [
            Mistake("0 / 0: with precision and recall 0 their harmonic mean is 0.", nan)
        ])
        trial.equal(
            trial.call("cf1", targets == 1, np.zeros_like(targets)), nan,
            "CF1 without a positive anywhere",
            [Mistake("Without a positive no recall is defined: NaN, not 0.", 0.0)],
        )


def _right_cf1(decisions: Array, targets: Array) -> float:
    return threshold_metrics(decisions, targets).cf1


def _decisions(
    rng: np.random.Generator, never: int = 0, absent: int = 0
) -> tuple[Array, Array]:
    """Every label is there and predicted, one of them once, but for those never predicted
    (`never`) or never there (`absent`)."""
    images, labels = int(rng.integers(12, 20)), int(rng.integers(5, 8))
    targets = (rng.random((images, labels)) < rng.uniform(0.2, 0.6, labels)).astype(int)
    decisions = rng.random((images, labels)) < np.where(targets, 0.7, 0.2)
    columns = rng.permutation(labels)
    targets[rng.integers(images), :] = decisions[rng.integers(images), :] = 1
    once, off, empty = columns[0], columns[1 : 1 + never], columns[3 : 3 + absent]
    decisions[:, once] = False
    decisions[rng.choice(np.flatnonzero(targets[:, once])), once] = True
    decisions[:, off] = False
    targets[:, empty] = 0
    return decisions, targets


def _rates(decisions: Array, targets: Array, axis: int = 0) -> tuple[Array, Array, Array]:
    """Precision and recall of each label, NaN for 0 / 0, and which labels are there."""
    hits = (decisions & (targets == 1)).sum(axis)
    with np.errstate(invalid="ignore"):
        return hits / decisions.sum(axis), hits / targets.sum(axis), targets.sum(axis) > 0


def _harmonic(precision: Any, recall: Any) -> Any:
    total = precision + recall
    return np.where(total > 0, 2 * precision * recall / np.where(total > 0, total, 1), 0.0)


def _averaged_wrongly(decisions: Array, targets: Array) -> list[Mistake]:
    rates = threshold_metrics(decisions, targets)
    precision, recall, _ = _rates(decisions, targets)
    by_image = [np.nan_to_num(each).mean() for each in _rates(decisions, targets, axis=1)[:2]]
    cp, cr = np.nan_to_num(precision).mean(), recall.mean()
    return [
        Mistake("That is the mean of the labels' F1 (macro F1). CF1 takes the mean precision and "
                "the mean recall first, and their harmonic mean after.", rates.macro_f1),
        Mistake("That is OF1: you counted all labels together. CF1 takes precision and recall "
                "label by label.", rates.of1),
        Mistake("You took the mean of mean precision and mean recall; CF1 is their harmonic mean, "
                "2PR / (P + R).", (cp + cr) / 2),
        Mistake("The factor 2 is missing: the harmonic mean is 2PR / (P + R).", rates.cf1 / 2),
        Mistake("You took the root of P * R, the geometric mean; CF1 is the harmonic one.",
                (cp * cr) ** 0.5),
        Mistake("You took precision and recall image by image (axis 1); CF1 takes them label by "
                "label (axis 0).", float(_harmonic(*by_image))),
        Mistake("That is the mean precision alone.", cp),
        Mistake("That is the mean recall alone.", cr),
        Mistake("You divided by 3, the example's number of labels; count them.",
                float(_harmonic(precision.sum() / 3, recall.sum() / 3))),
        Mistake("That is the share of right decisions; a classifier that says no to everything "
                "would look good.", float((decisions == (targets == 1)).mean())),
    ]


def _never_predicted(decisions: Array, targets: Array) -> list[Mistake]:
    precision, recall, _ = _rates(decisions, targets)
    said = decisions.any(axis=0)
    return [
        Mistake("You left labels that are never predicted out of the mean precision. They count "
                "0: saying nothing must not pay.",
                float(_harmonic(precision[said].mean(), recall.mean()))),
        Mistake("You left labels that are never predicted out of both means. They count 0 in "
                "both: saying nothing must not pay.",
                float(_harmonic(precision[said].mean(), recall[said].mean()))),
        Mistake("Precision 0 / 0 became NaN and spoilt the mean. A label that is never predicted "
                "has precision 0.", nan),
        Mistake("You gave labels that are never predicted a precision of 1. They count 0: saying "
                "nothing must not pay.",
                float(_harmonic(np.where(said, precision, 1).mean(), recall.mean()))),
    ]


def _absent(decisions: Array, targets: Array) -> list[Mistake]:
    precision, recall, there = _rates(decisions, targets)
    precision = np.nan_to_num(precision)
    zero, one = np.where(there, recall, 0), np.where(there, recall, 1)
    return [
        Mistake("Labels without a positive count 0 in your means. Nobody can find them: leave "
                "them out of both.", float(_harmonic(precision.mean(), zero.mean()))),
        Mistake("You left labels without a positive out of the mean recall only; leave them out "
                "of the mean precision, too.",
                float(_harmonic(precision.mean(), recall[there].mean()))),
        Mistake("You left labels without a positive out of the mean precision only; leave them "
                "out of the mean recall, too.",
                float(_harmonic(precision[there].mean(), zero.mean()))),
        Mistake("Recall 0 / 0 became NaN and spoilt the mean. Leave labels without a positive out "
                "of both means.", nan),
        Mistake("Labels without a positive count with recall 1 in your mean; leave them out of "
                "both means.", float(_harmonic(precision.mean(), one.mean()))),
    ]
