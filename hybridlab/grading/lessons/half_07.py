"""Check of lesson 07's rule of half of the best F1 (7.2, trap 19)."""

from __future__ import annotations

from functools import partial

import numpy as np

from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
Drawn = tuple[Array, float]  # probs, threshold

_F1, _BEST = "expected_f1", "best_threshold"
_EXAMPLE = np.array([0.8, 0.4, 0.3, 0.1])
_ONE = "One number for all entries together."
_ZERO = (
    "Nothing is taken, and nothing expected: 0 / 0. The F1 is 0 then: ask before you divide."
)
_CRASHES = {
    "ZeroDivisionError": "Where nothing is taken there is no precision: divide by taken + "
    "positives, and only if that is above 0.",
    "ValueError": "A maximum needs something to choose from: try each of the probabilities as the "
    "threshold.",
    "IndexError": "probs may have one axis or two; probs[probs >= threshold] takes from both.",
}


def check_half_of_best(trial: Trial) -> None:
    """The expected F1 of thresholds; half of the best; and what knows nothing."""
    with trial.part("the worked example", _CRASHES):
        for threshold in (0.5, 0.3):
            right = _expected(_EXAMPLE, threshold)
            trial.equal(trial.call(_F1, _EXAMPLE, threshold), right,
                        f"the expected F1 of the example at {threshold:g}",
                        own(right, _expected_wrongly(_EXAMPLE, threshold)), shape_hint=_ONE)
        right = _half(_EXAMPLE)
        trial.equal(trial.call(_BEST, _EXAMPLE), right, "the best threshold of the example",
                    own(right, _half_wrongly(_EXAMPLE)), shape_hint=_ONE)
    with trial.part("the expected F1", _CRASHES):
        rng = trial.rng
        for labels in (0, 3):
            (probs, threshold), right, mistakes = telling(
                partial(_drawn, rng, labels),
                lambda drawn: (_expected(*drawn), _expected_wrongly(*drawn)),
            )
            trial.equal(trial.call(_F1, probs, threshold), right,
                        f"the expected F1 of probabilities of shape {probs.shape}", mistakes,
                        shape_hint=_ONE)
        trial.equal(trial.call(_F1, probs, 0.0), _expected(probs, 0.0),
                    "the expected F1 of taking everything", shape_hint=_ONE)
    with trial.part("nothing taken, nothing expected", _CRASHES):
        probs = _probs(trial.rng, 0)
        nan = [Mistake(_ZERO, float("nan"))]
        trial.equal(trial.call(_F1, probs, 1.0), 0.0, "the expected F1 of taking nothing", nan,
                    hint="No hits are expected: 0.")
        none = np.zeros(4)
        trial.equal(trial.call(_F1, none, 0.5), 0.0,
                    "the expected F1 where all probabilities are 0 and the threshold .5",
                    [*nan, Mistake("1 would say that nothing could be better. Here F1 is 0 then.",
                                   1.0)])
        trial.equal(trial.call(_F1, none, 0.0), 0.0,
                    "the expected F1 where all probabilities are 0 and the threshold 0", nan)
        trial.equal(trial.call(_F1, np.full(3, 1 / 64), 1 / 64), 2 / 65,
                    "the expected F1 of small probabilities that are all taken",
                    hint="Nothing but 0 / 0 is a special case.")
    with trial.part("half of the best", _CRASHES):
        rng = trial.rng
        for labels in (0, 3):
            probs, right, mistakes = telling(
                partial(_probs, rng, labels), lambda probs: (_half(probs), _half_wrongly(probs))
            )
            trial.equal(trial.call(_BEST, probs), right,
                        f"the best threshold of probabilities of shape {probs.shape}", mistakes,
                        shape_hint=_ONE)
        order = rng.permutation(len(probs))
        trial.equal(trial.call(_BEST, probs[order]), right,
                    "the best threshold of the same in another order", shape_hint=_ONE)
    with trial.part("a classifier that knows nothing", _CRASHES):
        rate = int(trial.rng.integers(3, 20)) / 64
        trial.equal(
            trial.call(_BEST, np.full(20, rate)), rate / (1 + rate),
            f"the best threshold where all probabilities are {rate:g}",
            [Mistake("That is the probability itself, the lowest that is taken; give half of the "
                     "best F1.", rate),
             Mistake("That is the best F1; give half of it.", 2 * rate / (1 + rate)),
             Mistake("You left out the threshold that takes everything, and it is the best one: "
                     "whoever knows nothing says yes to all.", _half_of(np.full(20, rate), 19)),
             Mistake("You took as many as are expected, not as many as are best.",
                     _half_of(np.full(20, rate), round(20 * rate)))],
            hint="All are taken, for half of the best F1 lies below them.", shape_hint=_ONE,
        )
        trial.equal(trial.call(_BEST, np.ones(3)), 0.5, "the best threshold of sure yes alone",
                    shape_hint=_ONE, hint="The best F1 is 1.")
        trial.equal(trial.call(_BEST, np.zeros(3)), 0.0,
                    "the best threshold where all probabilities are 0", shape_hint=_ONE,
                    hint="The best F1 is 0, and so is its half.")


def _probs(rng: np.random.Generator, labels: int) -> Array:
    """Multiples of 1 / 64, neither 0 nor 1.

    Args:
        labels: L, or 0 for one axis.
    """
    shape = (int(rng.integers(5, 8)), labels) if labels else (int(rng.integers(10, 16)),)
    return np.asarray(np.clip(np.round(64 * rng.beta(0.7, 1.6, shape)), 1, 63) / 64)


def _drawn(rng: np.random.Generator, labels: int) -> Drawn:
    """Probabilities, and one of them as the threshold."""
    probs = _probs(rng, labels)
    return probs, float(rng.choice(probs.reshape(-1)))


def _expected(probs: Array, threshold: float) -> float:
    taken = probs >= threshold
    both = taken.sum() + probs.sum()
    return float(2 * probs[taken].sum() / both) if both else 0.0


def _half_of(probs: Array, count: int) -> float:
    """Half of the expected F1 of taking the highest `count`."""
    ranked = np.sort(probs, axis=None)[::-1]
    return float(ranked[:count].sum() / (count + ranked.sum()))


def _half(probs: Array) -> float:
    return max(_half_of(probs, count) for count in range(1, probs.size + 1))


def _expected_wrongly(probs: Array, threshold: float) -> list[Mistake]:
    taken, said = probs >= threshold, probs >= 0.5
    above = probs > threshold
    hits, count, positives = probs[taken].sum(), taken.sum(), probs.sum()
    found = [
        Mistake("You took what is above the threshold; what equals it is taken, too: >=.",
                2 * probs[above].sum() / (above.sum() + positives)),
        Mistake("The factor 2 is missing: F1 = 2 hits / (taken + positives).",
                hits / (count + positives)),
        Mistake("That is the expected precision; F1 asks for recall, too.", hits / count),
        Mistake("That is the expected recall; F1 asks for precision, too.", hits / positives),
        Mistake("That is the plain mean of precision and recall; F1 is 2 hits / (taken + "
                "positives).", (hits / count + hits / positives) / 2),
        Mistake("You counted every entry as a positive; expected are as many as all probabilities "
                "add up to.", 2 * hits / (count + probs.size)),
        Mistake("You counted everything that is taken as a hit; expected are as many hits as their "
                "probabilities add up to.", 2 * count / (count + positives)),
        Mistake("Your positives are those that are taken; expected are as many as ALL "
                "probabilities add up to.", 2 * hits / (count + hits)),
        Mistake("You made targets of the probabilities, 1 from .5 on. A probability p stands for p "
                "positives: add them up.",
                2 * (taken & said).sum() / (count + said.sum())),
        Mistake("You divided by the sum of both and all entries; it is taken + positives.",
                2 * hits / (count + positives + probs.size)),
    ]
    if probs.ndim == 2:
        each = [_expected(column, threshold) for column in probs.T]
        found.append(Mistake("That is the mean of the labels' F1; all entries go into one.",
                             float(np.mean(each))))
    return found


def _half_wrongly(probs: Array) -> list[Mistake]:
    ranked = np.sort(probs, axis=None)[::-1]
    halves = np.array([_half_of(probs, count) for count in range(1, probs.size + 1)])
    best = int(np.argmax(halves))
    below = ranked[min(best + 1, probs.size - 1)]
    found = [
        Mistake("That is F* itself; the best threshold is half of it.", 2 * halves[best]),
        Mistake("That is the lowest probability that is taken at F*; it decides alike, but asked "
                "for is F* / 2.", ranked[best]),
        Mistake("That lies between the lowest probability that is taken and the next; it decides "
                "alike, but asked for is F* / 2.", (ranked[best] + below) / 2),
        Mistake("That is .5. It would be right if F* were 1: the less a classifier knows, the "
                "lower its best threshold.", 0.5),
        Mistake("That is half of the F1 at a threshold of .5; look for the best of all thresholds.",
                _expected(probs, 0.5) / 2),
        Mistake("That is a quarter of F*: the factor 2 is missing in your F1, or you halved twice.",
                halves[best] / 2),
        Mistake("That is half of the lowest F1; take the highest.", halves.min()),
        Mistake("That is half of the F1 of taking everything; look for the best of all thresholds.",
                halves[-1]),
        Mistake("That is half of the mean F1 of all thresholds; take the highest.",
                halves.mean()),
        Mistake("That is the mean probability.", probs.mean()),
        Mistake("That is half of the highest precision; take the highest F1.", ranked[0] / 2),
    ]
    given = probs.reshape(-1)
    unsorted = np.cumsum(given) / (np.arange(1, given.size + 1) + given.sum())
    found.append(Mistake("You took the probabilities in the order in which they are given; begin "
                         "with the highest.", unsorted.max()))
    if probs.ndim == 2:
        each = [_half(column) for column in probs.T]
        found.append(Mistake("That is the mean of the labels' best thresholds; all entries go into "
                             "one F1.", float(np.mean(each))))
    return found
