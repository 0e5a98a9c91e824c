"""Check of lesson 04's Platt scaling (4.4, trap 9).

Judged by a and b, which the package's fit knows to ten digits; the loss that was reached is told
beside them. What stops early on raw cosines is far away in both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from hybridlab.grading import verdict as kinds
from hybridlab.grading.comparing import as_array, is_tensor
from hybridlab.grading.learner import Crashed
from hybridlab.grading.lessons.logistic_04 import fit, loss, wrong_fits
from hybridlab.grading.telling import own
from hybridlab.grading.trial import Mistake, Trial, Wrong
from hybridlab.grading.values import Other

Array = np.ndarray
Drawn = tuple[Array, Array]
_RTOL, _APART = 5e-3, 0.02  # tolerance, and how far mistakes differ from each other
_STEEPEST = 120.0  # the best a where a label is fitted alone
_TRIES = 500
_VALLEY = (
    "Not yet at the minimum. The scores lie close together compared with the slope that they "
    "need, so a and b pull against each other along a narrow valley in which gradient descent "
    "crawls: standardise the scores first and translate back, or take Newton's steps."
)


def check_platt(trial: Trial) -> None:
    """a and b against the package's: by hand, for cosines, with gaps, and the wrong way round."""
    with trial.part("the worked example"):
        drawn = np.repeat([0.2, 0.3], 4), np.array([0, 0, 0, 1, 1, 1, 1, 0])
        _judge(trial, drawn, "the example")
    with trial.part("cosines and logits"):
        drawn, mistakes = _telling(partial(_cosines, trial.rng))
        _judge(trial, drawn, f"{len(drawn[0])} cosines", mistakes)
        order = trial.rng.permutation(len(drawn[0]))
        _judge(trial, (drawn[0][order], drawn[1][order]), "the same in another order")
        _judge(trial, (100 * drawn[0] - 20, drawn[1]), "logits, 100 times the cosines - 20",
               mistakes=(), hint="The fit must not depend on the unit of the scores.")
        _judge(trial, (drawn[0] - drawn[0].mean(), drawn[1]), "the cosines less their mean")
    with trial.part("many labels, some entries not annotated"):
        drawn, mistakes = _telling(partial(_labels, trial.rng))
        _judge(trial, drawn, f"scores of shape {drawn[0].shape}", mistakes)
        whole = drawn[0], np.where(drawn[1] < 0, 0, drawn[1])
        _judge(trial, whole, "the same, all entries annotated")
        _judge(trial, (drawn[0][:, 0], drawn[1][:, 0]), "the first label alone")
    with trial.part("scores that point the wrong way"):
        scores, targets = _labels(trial.rng)
        _judge(trial, (scores, targets), "the scores before they are turned round")
        for factor, what in ((-1.0, "scores"), (-100.0, "logits")):
            _refused(trial, factor * scores, targets, what)


def _judge(
    trial: Trial, drawn: Drawn, what: str, mistakes: Sequence[Mistake] | None = None,
    hint: str = "",
) -> None:
    """Call, and compare a and b.

    Args:
        mistakes: those that differ on these scores; without them, all that no other is like.

    Raises:
        Wrong: they are no pair of numbers, or not the best.
    """
    scores, targets = drawn
    best = fit(scores, targets)
    if mistakes is None:
        mistakes = own(np.array(best), wrong_fits(scores, targets))
    a, b = _pair(trial.call("platt", scores, targets))
    words = (
        f"The cross-entropy of your a = {a:.5g} and b = {b:.5g} is "
        f"{loss(a, b, scores, targets):.5f}, the least is {loss(*best, scores, targets):.5f}.\n"
    )
    trial.equal(np.array([a, b]), np.array(best), f"(a, b) of {what}", mistakes, rtol=_RTOL,
                atol=_RTOL, hint=words + (hint or _VALLEY))


def _refused(trial: Trial, scores: Array, targets: Array, what: str) -> None:
    """The learner's function must raise ValueError.

    Raises:
        Wrong: it gives numbers.
    """
    try:
        given = trial.call("platt", scores, targets)
    except Crashed as crash:
        if crash.type != "ValueError":
            raise
        return
    a, b = _pair(given)
    advice = (
        "A slope below 0 turns the ranking round: what fits worst would be called most probable. "
        "Raise ValueError instead." if a < 0 else
        "You kept a above 0, and so it ran into the bound: no a above 0 is the best. Raise "
        "ValueError instead of a probability that says nothing."
    )
    raise Wrong(
        kinds.WRONG_VALUE,
        f"{what} that point away from the labels: got a = {a:.4g}, b = {b:.4g}, expected a "
        "ValueError", advice,
    )


def _pair(got: Any) -> tuple[float, float]:
    """a and b.

    Raises:
        Wrong: something else was returned.
    """
    if got is None:
        raise Wrong(kinds.WRONG_FORM, "got None, expected two numbers, a and b",
                    "The function ends without `return`, or a branch of it does.")
    parts = list(got) if isinstance(got, (tuple, list)) else [got]
    if isinstance(got, np.ndarray) or is_tensor(got):
        parts = list(as_array(got)) if got.ndim == 1 else [got]
    if len(parts) != 2 or not all(_numeric(each) and as_array(each).ndim == 0 for each in parts):
        raise Wrong(
            kinds.WRONG_FORM,
            f"got {' and '.join(map(_told, parts[:3]))}{' and more' * (len(parts) > 3)}, expected "
            "two numbers, a and b", "One a and one b serve all entries: `return a, b`.",
        )
    a, b = (float(as_array(each)) for each in parts)
    return a, b


def _told(value: Any) -> str:
    if isinstance(value, Other):
        return f"an object of type {value.type}"
    if not _numeric(value):
        return f"a {type(value).__name__}"
    shape = as_array(value).shape
    return f"an array of shape {shape}" if shape else "a number"


def _numeric(value: Any) -> bool:
    plain = isinstance(value, (int, float, np.generic, np.ndarray)) or is_tensor(value)
    return plain and as_array(value).dtype.kind in "iuf"


def _cosines(rng: np.random.Generator) -> Drawn:
    """(N,) cosines around 0.25 with a spread of 0.03, a third of them positives."""
    scores = rng.uniform(0.22, 0.28) + 0.03 * rng.normal(size=int(rng.integers(150, 220)))
    return _annotated(rng, np.round(scores, 4), rng.uniform(40, 70))


def _labels(rng: np.random.Generator) -> Drawn:
    """(N, L) cosines, a fifth of the entries not annotated and those rather high."""
    while True:
        shape = int(rng.integers(60, 90)), int(rng.integers(3, 6))
        level = rng.uniform(0.22, 0.28) + 0.015 * rng.normal(size=shape[1])
        scores = np.round(level + 0.03 * rng.normal(size=shape), 4)
        scores, targets = _annotated(rng, scores, rng.uniform(40, 70))
        hidden = rng.random(shape) < np.where(scores > np.median(scores), 0.35, 0.1)
        masked = np.where(hidden, -1, targets)
        whole = np.where(hidden, 0, targets)
        if not (all(map(_fits, scores.T, masked.T)) and _fits(scores.ravel(), whole.ravel())):
            continue
        # a label that is nearly parted has a very large a, which right answers reach too slowly
        if fit(scores[:, 0], masked[:, 0])[0] <= _STEEPEST:
            return scores, masked


def _fits(scores: Array, targets: Array) -> bool:
    """A finite a well above 0 is the best: positives score more, and no cut parts the two."""
    high, low = scores[targets == 1], scores[targets == 0]
    if min(len(high), len(low)) < 8:
        return False
    return bool(high.mean() - low.mean() > 0.015 and high.min() < low.max())


def _annotated(rng: np.random.Generator, scores: Array, slope: float) -> Drawn:
    """Targets drawn by a logistic model: both kinds at all heights, so that a best a exists."""
    logits = slope * (scores - scores.mean()) - 0.9
    return scores, (rng.random(scores.shape) < 1 / (1 + np.exp(-logits))).astype(int)


def _telling(draw: Callable[[], Drawn]) -> tuple[Drawn, list[Mistake]]:
    """Draw until all known mistakes differ from the right a and b and from each other.

    `grading.telling` does so for values that are known to four digits; these are fitted.

    Raises:
        RuntimeError: no draw tells them apart.
    """
    alike = ""
    for _ in range(_TRIES):
        drawn = draw()
        mistakes = wrong_fits(*drawn)
        named = [("the right answer", np.array(fit(*drawn)))]
        named += [(each.words, each.value) for each in mistakes]
        pairs = ((one, other) for at, one in enumerate(named) for other in named[:at])
        alike = next((f"{one[0]!r} and {other[0]!r}" for one, other in pairs
                      if np.allclose(one[1], other[1], rtol=_APART, atol=_APART)), "")
        if not alike:
            return drawn, mistakes
    raise RuntimeError(f"no inputs tell apart {alike}; draw others, or merge the two")
