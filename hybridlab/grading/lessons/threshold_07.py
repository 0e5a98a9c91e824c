"""Check of lesson 07's best threshold (7.1, traps 19 and 20)."""

from __future__ import annotations

from functools import partial

import numpy as np

from hybridlab.evaluation.thresholds import best_f1_threshold as between
from hybridlab.grading import verdict as kinds
from hybridlab.grading.comparing import Wrong, as_array
from hybridlab.grading.learner import Crashed
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
Drawn = tuple[Array, Array]  # scores, targets

_NAME = "best_f1_threshold"
_EXAMPLES = (
    (np.array([0.9, 0.8, 0.6, 0.4, 0.2]), np.array([1, 0, 1, 1, 0])),
    (np.array([0.9, 0.5, 0.5]), np.array([1, 1, 0])),
)
# By rank: the highest F1 is reached twice. Precision and recall are exact in floating point there,
# so that F1 is the same number however it is computed.
_TWICE = ([1, 1, 0, 0, 0, 0, 1, 1, 0, 0], [1, 0, 0, 1, 0], [0, 0, 1, 1, 0, 0, 0, 1, *[0] * 7, 1])
_ONE = "One number: the lowest score that is taken."
_NO_GRID = "Try every score there is: a grid of thresholds passes some by."
_EXACT = 1e-6  # relative: the threshold is one of the scores
_CRASHES = {
    "ZeroDivisionError": "Precision has no value where nothing is taken, and recall none without a "
    "positive. F1 = 2 hits / (taken + positives) divides by neither.",
    "ValueError": "Only where no target is 1 there is no F1. If a maximum of nothing raises: look "
    "at what is left after you chose the annotated entries.",
    "IndexError": "Choose scores and targets by the same mask: scores[seen], targets[seen].",
}


def check_best_f1_threshold(trial: Trial) -> None:
    """Against the package's cut: plain, tied, equally good, masked, and without a positive."""
    with trial.part("the worked example", _CRASHES):
        for drawn, which in zip(_EXAMPLES, ("first", "second"), strict=True):
            right = _right(*drawn)
            _judged(trial, drawn, f"the {which} example",
                    own(right, [*_wrongly(*drawn), *_ties_parted(*drawn)]))
    with trial.part("any scores", _CRASHES):
        rng = trial.rng
        drawn, right, mistakes = telling(
            partial(_plain, rng), lambda drawn: (_right(*drawn), _wrongly(*drawn))
        )
        scores, targets = drawn
        _judged(trial, drawn, f"{len(scores)} scores", mistakes, hint=_NO_GRID)
        order = rng.permutation(len(scores))
        _judged(trial, (scores[order], targets[order]), "the same in another order",
                hint="The order in which images are given must not matter.")
        _judged(trial, (scores - 100, targets), "the same scores less 100",
                hint=f"Scores may be logits, all below 0. {_NO_GRID}")
        _judged(trial, (0.5 + scores / 2500, targets), "scores that differ by 0.0001",
                hint=_NO_GRID)
        _judged(trial, (scores, np.ones_like(targets)), "scores whose targets are all 1",
                [Mistake("You left out the threshold that takes everything, the lowest score.",
                         float(np.sort(scores)[1]))],
                hint="Everything is a positive: everything is taken.")
        _judged(trial, (scores[:1], np.array([1])), "one score, a positive")
    with trial.part("equal scores", _CRASHES):
        for _ in range(4):  # how a sort that is not stable orders equal scores is nobody's guess
            drawn = _tied(trial.rng)
            _judged(trial, drawn, "scores of which many are equal",
                    own(_right(*drawn), _ties_parted(*drawn)),
                    hint="If it is right without ties: equal scores are taken together, and the F1 "
                    "in the middle of them is of no threshold.")
        _judged(trial, (np.zeros(4), np.array([0, 1, 0, 0])), "scores that are all 0")
    with trial.part("equally good thresholds", _CRASHES):
        rng = trial.rng
        for at in rng.permutation(len(_TWICE))[:2]:
            drawn = _twice(rng, _TWICE[at])
            _judged(trial, drawn, "scores with two equally good thresholds", _equals(*drawn),
                    hint="Of equal F1s the highest threshold counts. Count in whole numbers: "
                    "2 hits / (taken + positives) is the same number for equal F1s.")
    with trial.part("not annotated", _CRASHES):
        rng = trial.rng
        drawn, _, mistakes = telling(
            partial(_plain, rng, True), lambda drawn: (_right(*drawn), _mask_ignored(*drawn))
        )
        _judged(trial, drawn, "scores of which some are not annotated", mistakes,
                hint="Entries whose target is -1 are neither taken nor positives: leave them out "
                "first.")
    with trial.part("no positive"):
        scores, targets = _plain(trial.rng)
        _refused(trial, scores, np.zeros_like(targets), "no positive target")
        _refused(trial, scores, np.where(targets == 1, -1, 0), "no annotated positive")


def _judged(
    trial: Trial, drawn: Drawn, what: str, mistakes: list[Mistake] | None = None, hint: str = ""
) -> None:
    trial.equal(trial.call(_NAME, *drawn), _right(*drawn), f"the best threshold of {what}",
                mistakes or [], rtol=_EXACT, hint=hint, shape_hint=_ONE)


def _refused(trial: Trial, scores: Array, targets: Array, what: str) -> None:
    """The learner's function must raise ValueError.

    Raises:
        Wrong: it gives something.
    """
    try:
        got = trial.call(_NAME, scores, targets)
    except Crashed as crash:
        if crash.type != "ValueError":
            raise
        return
    raise Wrong(
        kinds.WRONG_VALUE, f"{what}: got {as_array(got)!s:.40}, expected a ValueError",
        "Without a positive every threshold has the F1 0, or none: whatever you give would be "
        "taken for a finding. Ask first: if not (targets == 1).any(): raise ValueError(...).",
    )


# --- draws ----------------------------------------------------------------------------------------


# The best F1 is well above the second, but for `_twice`: the same F1 from other formulas may differ
# in the last bit.


def _plain(rng: np.random.Generator, masked: bool = False) -> Drawn:
    """Scores without ties, a quarter apart. Down the ranking positives grow rarer: what is best
    for precision, accuracy, F1, Youden's distance and recall ends one after the other.

    Args:
        masked: a third of the targets is -1.
    """
    while True:
        targets = np.array(_thinning(rng))
        size = len(targets)
        scores = (np.arange(size)[::-1] - int(0.6 * size)) / 4 + 0.125
        if masked:
            targets[rng.permutation(size)[: size // 3]] = -1
        order = rng.permutation(size)
        if _one_is_best(scores, targets):
            return scores[order], targets[order]


def _thinning(rng: np.random.Generator) -> list[int]:
    def some(low: int, high: int) -> int:
        return int(rng.integers(low, high))

    ranked = [0] + [1] * some(3, 6) + [0, 1, 1]
    for _ in range(some(2, 4)):
        ranked += [0] * some(1, 3) + [1]
    for _ in range(some(2, 4)):
        ranked += [0] * some(3, 5) + [1]
    return ranked + [0] * some(14, 20) + [1] + [0] * some(14, 20)


def _tied(rng: np.random.Generator) -> Drawn:
    """Few different scores. Whoever parts equal ones finds another cut, below the highest."""
    while True:
        size = int(rng.integers(12, 17))
        scores = rng.choice([0.25, 0.5, 0.625, 0.75], size)
        targets = (rng.random(size) < 0.2 + 0.5 * scores).astype(int)
        if _one_is_best(scores, targets) and not any(
            np.isclose(each.value, [_right(scores, targets), scores.max()]).any()
            for each in _ties_parted(scores, targets)
        ):
            return scores, targets


def _one_is_best(scores: Array, targets: Array) -> bool:
    seen = targets >= 0
    if not (targets == 1).any():
        return False
    ranked, hits, taken = _ranked(scores[seen], targets[seen])
    f1 = np.sort(_f1(hits, taken)[np.append(ranked[1:] != ranked[:-1], True)])
    return len(f1) == 1 or bool(f1[-1] > f1[-2] + 1e-9)


def _twice(rng: np.random.Generator, ranked: list[int]) -> Drawn:
    scores = np.sort(rng.permutation(40)[: len(ranked)] / 4 - 5)[::-1]
    order = rng.permutation(len(ranked))
    return scores[order], np.array(ranked)[order]


# --- right and wrong ------------------------------------------------------------------------------


def _right(scores: Array, targets: Array) -> float:
    """The lowest annotated score above the package's cut, which lies between two scores."""
    seen = targets >= 0
    return float(scores[seen & (scores >= between(scores, targets))].min())


def _ranked(scores: Array, targets: Array) -> tuple[Array, Array, Array]:
    """Scores from the highest down, hits and numbers taken."""
    order = np.argsort(-scores, kind="stable")
    return scores[order], np.cumsum(targets[order] == 1), np.arange(1, len(scores) + 1)


def _f1(hits: Array, taken: Array) -> Array:
    return np.asarray(2 * hits / (taken + hits[-1]))


def _wrongly(scores: Array, targets: Array) -> list[Mistake]:
    ranked, hits, taken = _ranked(scores, targets)
    positives, size = hits[-1], len(scores)
    precision, recall = hits / taken, hits / positives
    best = int(np.argmax(_f1(hits, taken)))
    upwards = targets[np.argsort(scores, kind="stable")] == 1
    backwards = np.argmax(_f1(np.cumsum(upwards), taken))
    given = np.argmax(_f1(np.cumsum(targets == 1), taken))
    found = [
        Mistake("That is the highest F1 itself; give the threshold at which it is reached.",
                _f1(hits, taken)[best]),
        Mistake("That is a place in the ranking; give the score that stands there.", best),
        Mistake("That is how many are taken; give the lowest score among them.", best + 1),
        Mistake("That is the threshold with the highest precision. It may take a single image: F1 "
                "asks for recall, too.", ranked[np.argmax(precision)]),
        Mistake("That is the highest threshold with the full recall. F1 asks for precision, too.",
                ranked[np.argmax(recall)]),
        Mistake("That is the threshold with the most right answers, no's among them. Where "
                "positives are rare it says yes too seldom; take F1.",
                ranked[np.argmax(2 * hits - taken)]),
        Mistake("That is the threshold with the largest distance of recall and false positive rate "
                "(Youden); take F1.",
                ranked[np.argmax(recall - (taken - hits) / max(1, size - positives))]),
        Mistake("You took as many as there are positives; try all numbers.",
                ranked[positives - 1]),
        Mistake("That is the lowest score: it takes everything.", ranked[-1]),
        Mistake("That is 0.5, whatever the scores.", 0.5),
        Mistake("You ranked from the lowest score to the highest; begin with the highest.",
                np.sort(scores)[backwards]),
        Mistake("You counted hits in the order in which images are given; rank them by score, the "
                "highest first.", ranked[given]),
    ]
    if best + 1 < size:
        found += [
            Mistake("That is the highest score that is not taken, which fits scores > t. Decisions "
                    "are scores >= t: give the lowest score that is taken.", ranked[best + 1]),
            Mistake("That lies halfway between the lowest score taken and the next one. It decides "
                    "alike; asked for is the score itself.", (ranked[best] + ranked[best + 1]) / 2),
        ]
    return found


def _ties_parted(scores: Array, targets: Array) -> list[Mistake]:
    found = []
    for tie, way in ((-targets, "positives first"), (np.arange(len(scores)), "as they are given")):
        order = np.lexsort((tie, -scores))
        hits = np.cumsum(targets[order] == 1)
        best = int(np.argmax(_f1(hits, np.arange(1, len(hits) + 1))))
        found.append(Mistake(
            f"You took equal scores one by one ({way}). No threshold can part them: only the F1 "
            "at the last of equal scores is one.", scores[order][best],
        ))
    return found


def _equals(scores: Array, targets: Array) -> list[Mistake]:
    """The lower of two equally good thresholds, and what is between them."""
    ranked, hits, taken = _ranked(scores, targets)
    f1 = _f1(hits, taken)
    first, last = np.flatnonzero(f1 == f1.max())[[0, -1]]
    return [
        Mistake("Of equally good thresholds you took the lowest; the highest says yes least often.",
                ranked[last]),
        Mistake("You took the mean of equally good thresholds; between them F1 is lower.",
                (ranked[first] + ranked[last]) / 2),
    ]


def _mask_ignored(scores: Array, targets: Array) -> list[Mistake]:
    ranked = np.sort(scores)[::-1]
    by_score = targets[np.argsort(-scores, kind="stable")]
    taken = np.arange(1, len(scores) + 1)
    known = np.maximum(1, np.cumsum(by_score >= 0))
    summed = np.cumsum(by_score)
    with np.errstate(divide="ignore", invalid="ignore"):
        subtracted = 2 * summed / (taken + summed[-1])
    return [
        Mistake("Entries of -1 count as 0, \"not there\", in your result; they are not annotated "
                "and are left out.", ranked[np.argmax(_f1(np.cumsum(by_score == 1), taken))]),
        Mistake("Entries of -1 count as positives in your result; they are not annotated and are "
                "left out.", ranked[np.argmax(_f1(np.cumsum(by_score != 0), taken))]),
        Mistake("You added the targets up, and each -1 took a hit away: count targets == 1.",
                ranked[np.argmax(np.nan_to_num(subtracted, posinf=-1, neginf=-1))]),
        Mistake("The positives are targets.sum() in your result, from which each -1 takes one away "
                "again: count targets == 1.",
                ranked[np.argmax(_shifted(by_score, known))]),
    ]


def _shifted(by_score: Array, known: Array) -> Array:
    """F1 of annotated entries, were the positives the sum of all targets."""
    bottom = known + by_score.sum()
    return np.asarray(2 * np.cumsum(by_score == 1) / np.where(bottom > 0, bottom, np.inf))
