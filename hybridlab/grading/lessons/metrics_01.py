"""Checks of lesson 01's metrics: average precision (1.1), CF1 (1.2)."""

from __future__ import annotations

from typing import Any

import numpy as np

from hybridlab.evaluation.average_precision import average_precision as right_ap
from hybridlab.evaluation.decisions import threshold_metrics
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
nan = float("nan")

# --- 1.1 ----------------------------------------------------------------------------------------


def check_average_precision(trial: Trial) -> None:
    """AP against the package's, on rankings without ties, with ties, and without a positive."""
    with trial.part("the worked example"):
        scores, targets = np.array([0.9, 0.8, 0.6, 0.4]), np.array([1, 0, 1, 0])
        trial.equal(trial.call("average_precision", scores, targets), 5 / 6,
                    "the AP of the example", own(5 / 6, _ranked_wrongly(scores, targets)))
    with trial.part("any ranking"):
        rng = trial.rng
        (scores, targets), expected, mistakes = telling(
            lambda: _ranking(rng), lambda drawn: (right_ap(*drawn), _ranked_wrongly(*drawn))
        )
        trial.equal(trial.call("average_precision", scores, targets), expected, "the AP", mistakes)
        order = rng.permutation(len(scores))
        trial.equal(
            trial.call("average_precision", scores[order], targets[order]), expected,
            "the AP of the same images in another order",
            hint="The order in which images are given must not matter.",
        )
        trial.equal(
            trial.call("average_precision", 3 * scores - 40, targets), expected,
            "the AP after scores became 3 * scores - 40",
            hint="Only the order of the scores counts: they may be logits, all below 0.",
        )
        trial.equal(trial.call("average_precision", np.array([-2.0]), np.array([1])), 1.0,
                    "the AP of one image, a positive")
    with trial.part("equal scores"):
        rng = trial.rng
        (scores, targets), expected, mistakes = telling(
            lambda: _tied(rng), lambda drawn: (right_ap(*drawn), _ties_broken(*drawn))
        )
        advice = (
            "If it is right without ties: equal scores must enter together. The precision at a "
            "score counts every image that scores as much or more, whatever its place in the file."
        )
        trial.equal(trial.call("average_precision", scores, targets), expected,
                    "the AP with equal scores", mistakes, hint=advice)
        trial.equal(trial.call("average_precision", np.zeros(len(targets)), targets),
                    targets.mean(), "the AP where all scores are equal", hint=advice)
    with trial.part("no positive"):
        size = int(trial.rng.integers(3, 9))
        got = trial.call("average_precision", trial.rng.normal(size=size), np.zeros(size, int))
        trial.equal(got, nan, "the AP without a positive", [
            Mistake("0 would say: ranked as badly as can be. Without a positive there is nothing "
                    "to rank, and a mean over labels must be able to leave it out: give NaN.", 0.0),
            Mistake("1 would say: ranked perfectly. Without a positive there is nothing to rank: "
                    "give NaN.", 1.0),
        ])


def _ranking(rng: np.random.Generator) -> tuple[Array, Array]:
    """Scores without ties, far enough apart for float32, and targets; neither as in the example."""
    size = int(rng.integers(15, 30))
    targets = (rng.permutation(size) < rng.integers(4, 9)).astype(int)
    return (rng.permutation(size) - 0.6 * size) / 4, targets


def _ranked_wrongly(scores: Array, targets: Array) -> list[Mistake]:
    order = np.argsort(-scores)
    hit = targets[order] == 1
    hits, ranks = np.cumsum(hit), np.arange(1, len(hit) + 1)
    precision, recall = hits / ranks, hits / hits[-1]
    above = (np.cumsum(~hit)[hit] / max(1, (~hit).sum())).mean()  # negatives above a positive
    said = scores >= 0.5
    return [
        Mistake("You ranked from the lowest score to the highest; begin with the highest.",
                right_ap(-scores, targets)),
        Mistake("You kept the images in the order in which they were given; rank them by score, "
                "the highest first.", right_ap(-np.arange(len(targets)), targets)),
        Mistake("You took the mean of the precision over all ranks; only the ranks of the "
                "positives count.", precision.mean()),
        Mistake("You divided the sum by the number of images; divide by the number of positives.",
                precision[hit].sum() / len(hit)),
        Mistake("You divided by 2, the number of positives of the example; count them.",
                precision[hit].sum() / 2),
        Mistake("You joined the points of the precision-recall curve by straight lines "
                "(trapezoids). That area is too optimistic; AP adds steps.",
                _trapezoid(np.append(1.0, precision), np.append(0.0, recall))),
        Mistake("You raised each precision to the best one at a higher recall: that is the "
                "interpolated AP. The exercise asks for the uninterpolated one.",
                right_ap(scores, targets, "interpolated")),
        Mistake("That is VOC 2007's mean at eleven recalls. The exercise asks for the mean over "
                "the positives.", right_ap(scores, targets, "voc07")),
        Mistake("That is the area under the ROC curve, not under precision and recall.",
                1 - above),
        Mistake("You averaged recall where precision is asked for.", recall[hit].mean()),
        Mistake("Your ranks are one too high: they begin at 1, so the best image counts 1/1.",
                (hits / (ranks + 1))[hit].mean()),
        Mistake("You left the image itself out: at its score it is taken, so count >=, not >.",
                ((hits - 1) / ranks)[hit].mean()),
        Mistake("That is the precision at a threshold of 0.5. AP has no threshold: it goes "
                "through all of them.", targets[said].mean() if said.any() else nan),
    ]


def _trapezoid(height: Array, width: Array) -> float:
    return float(np.sum((height[1:] + height[:-1]) / 2 * np.diff(width)))


def _tied(rng: np.random.Generator) -> tuple[Array, Array]:
    size = int(rng.integers(15, 25))
    return rng.integers(0, 4, size) / 4, (rng.permutation(size) < rng.integers(5, 9)).astype(int)


def _ties_broken(scores: Array, targets: Array) -> list[Mistake]:
    words = "You broke ties by {}: equal scores must enter together, as one step."
    place = np.arange(len(scores))
    ways = {
        "the order of the images": place, "the order of the images, the last first": -place,
        "the target, positives first": -targets, "the target, positives last": targets,
    }
    return [
        *(Mistake(words.format(way), _one_by_one(scores, targets, by)) for way, by in ways.items()),
        Mistake("You counted only scores above an image's own; its equals belong to it, and so "
                "does the image itself: >=, not >.", _strictly_above(scores, targets)),
    ]


def _one_by_one(scores: Array, targets: Array, tie: Array) -> float:
    order = np.lexsort((tie, -scores))
    return right_ap(-np.arange(len(scores)), targets[order])


def _strictly_above(scores: Array, targets: Array) -> float:
    taken = [targets[scores > score] for score in scores[targets == 1]]
    return float(np.mean([each.mean() if each.size else 0.0 for each in taken]))


# --- 1.2 ----------------------------------------------------------------------------------------


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
