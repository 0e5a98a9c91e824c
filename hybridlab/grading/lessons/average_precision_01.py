"""Check of lesson 01's average precision (1.1)."""

from __future__ import annotations

import numpy as np

from hybridlab.evaluation.average_precision import average_precision as right_ap
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
nan = float("nan")

_ONE = "AP is one number: the mean of the precisions at the positives."
_BY_ZERO = {"ZeroDivisionError": (
    "You divided by a count of 0. Ranks begin at 1 (the best image counts 1 / 1; enumerate has "
    "start=1), and at its own score an image is taken."
)}
_NO_POSITIVE = {"ZeroDivisionError": "Without a positive there is nothing to divide by: give NaN."}


def check_average_precision(trial: Trial) -> None:
    """AP against the package's, on rankings without ties, with ties, and without a positive."""
    with trial.part("the worked example", _BY_ZERO):
        scores, targets = np.array([0.9, 0.8, 0.6, 0.4]), np.array([1, 0, 1, 0])
        trial.equal(trial.call("average_precision", scores, targets), 5 / 6,
                    "the AP of the example", own(5 / 6, _ranked_wrongly(scores, targets)),
                    shape_hint=_ONE)
    with trial.part("any ranking", _BY_ZERO):
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
            trial.call("average_precision", 3 * scores - 4000, targets), expected,
            "the AP after scores became 3 * scores - 4000",
            hint="Only the order of the scores counts: they may be logits, all below 0.",
        )
        close = 0.5 + scores / 2500  # 1e-4 apart: float32 tells them apart, two decimals do not
        trial.equal(
            trial.call("average_precision", close, targets), expected,
            "the AP of scores that differ by 0.0001",
            hint="Scores that differ a little are different scores: do not round them.",
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
    with trial.part("no positive", _NO_POSITIVE):
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
    with np.errstate(divide="ignore", invalid="ignore"):
        from_0 = (hits / (ranks - 1))[hit].mean()
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
        Mistake("Your ranks are one too low: they begin at 1, so the best image counts 1/1.",
                from_0),
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
