"""Check of lesson 02's inputs in scheduled sampling (2.6)."""

from __future__ import annotations

import numpy as np

from hybridlab.grading.comparing import as_array, is_tensor
from hybridlab.grading.lessons.losses_01 import tensor
from hybridlab.grading.lessons.sequences_02 import exact, whole
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
Drawn = tuple[Array, Array, Array, float]  # true_labels, step_logits, coins, truth

_NAME = "feed_scheduled"
_EXAMPLE = (
    np.array([3, 0, 1]),
    np.array([[9.0, 0, 0, 0, 0], [0, 2, 1, -1, 5], [1, 0, 3, 2, 0]]),
    np.array([0.2, 0.7, 0.5]), 0.5,
)
_SHAPE = "One label for each image, (B,): the best of its own row, argmax(dim=1)."
_CRASHES = {
    "RuntimeError": "true_labels and the decoder's own labels are (B,), one for each image, and so "
    "is coins < truth: torch.where(coins < truth, true_labels, own) takes each image's.",
}
_DRAW = (
    "Nothing is drawn here: the coins are given, and where one falls to the decoder its best label "
    "is fed, argmax."
)
_STOP = (
    "STOP, the last column, is never fed: choose among step_logits[:, :-1]."
)


def check_feed_scheduled(trial: Trial) -> None:
    """Any coins, logits whose best is STOP, shares of 0 and 1 and coins that equal them; dtype."""
    with trial.part("the worked example", _CRASHES):
        right = _right(*_EXAMPLE)
        mistakes = own(right, [*_wrongly(*_EXAMPLE), *_stop_wrongly(*_EXAMPLE), _equal(*_EXAMPLE)])
        trial.equal(trial.call(_NAME, *_given(_EXAMPLE)), right, "the inputs of the example",
                    mistakes, shape_hint=_SHAPE)
    with trial.part("any coins", _CRASHES):
        rng = trial.rng
        one, other = (trial.call(_NAME, *_given(_images(np.random.default_rng(0), True)))
                      for _ in range(2))
        if is_tensor(one) and is_tensor(other):
            trial.true(np.array_equal(as_array(one), as_array(other)),
                       "two calls with the same arguments give different labels", _DRAW)
        for high in (False, True):
            drawn, right, mistakes = telling(
                lambda high=high: _images(rng, high),  # type: ignore[misc]
                lambda drawn: (_right(*drawn), _wrongly(*drawn)),
            )
            trial.equal(trial.call(_NAME, *_given(drawn)), right,
                        f"the inputs of {len(right)} images, truth {drawn[3]}", mistakes,
                        shape_hint=_SHAPE)
        true, logits, coins, truth = drawn
        order = rng.permutation(len(true))
        moved = true[order], logits[order], coins[order], truth
        trial.equal(trial.call(_NAME, *_given(moved)), right[order],
                    "the inputs of the same images in another order",
                    hint="Each image has its own label, row of logits and coin.")
        alone = true[:1], logits[:1], np.array([0.9375]), 0.5
        trial.equal(trial.call(_NAME, *_given(alone)), _right(*alone),
                    "the input of one image alone", shape_hint=_SHAPE)
    with trial.part("STOP is never fed", _CRASHES):
        rng = trial.rng
        for by in (4.0, 400.0):
            drawn, right, mistakes = telling(
                lambda by=by: _with_stop(rng, by),  # type: ignore[misc]
                lambda drawn: (_right(*drawn), _stop_wrongly(*drawn)),
            )
            trial.equal(trial.call(_NAME, *_given(drawn)), right,
                        f"the inputs where STOP is ahead by {by:g} or more in half of the images",
                        mistakes, hint=f"If the part above is right: {_STOP}", shape_hint=_SHAPE)
    with trial.part("the ends, and coins that equal truth", _CRASHES):
        rng = trial.rng
        (true, logits, coins, truth), right, _ = telling(
            lambda: _at_truth(rng), lambda drawn: (_right(*drawn), [_equal(*drawn)])
        )
        trial.equal(trial.call(_NAME, *_given((true, logits, coins, truth))), right,
                    f"the inputs where some coins are exactly {truth}",
                    [_equal(true, logits, coins, truth)], shape_hint=_SHAPE)
        coins = np.where(coins == truth, 0, coins)  # the lowest coin that there is
        for share, what in ((0.0, "free running"), (1.0, "teacher forcing")):
            drawn = true, logits, coins, share
            trial.equal(trial.call(_NAME, *_given(drawn)), _right(*drawn),
                        f"the inputs with truth {share:g}, {what}", [_equal(*drawn)],
                        hint="With truth 0 no coin is below it, with truth 1 all of them are.",
                        shape_hint=_SHAPE)
    with trial.part("dtype", _CRASHES):
        drawn = _images(trial.rng, True)
        given = _given(drawn)
        got = trial.call(_NAME, *given)
        trial.tensor(got, given[0], "the inputs")


def _given(drawn: Drawn) -> tuple[object, object, object, float]:
    true, logits, coins, truth = drawn
    return whole(true), tensor(logits), tensor(coins), truth


def _images(rng: np.random.Generator, high: bool) -> Drawn:
    """STOP is never the best; coins and truth are odd multiples of 1/32 and of 1/16, so that none
    is another's equal.

    Args:
        high: truth is above 1/2.
    """
    labels, images = int(rng.integers(5, 8)), int(rng.integers(24, 32))
    logits = exact(rng.normal(0, 2, (images, labels + 1)))
    logits[:, -1] = logits[:, :-1].max(axis=1) - exact(rng.uniform(0.2, 4, images))
    coins = (2 * rng.integers(0, 16, images) + 1) / 32
    truth = float(rng.integers(10, 14) if high else rng.integers(3, 7)) / 16
    return rng.integers(0, labels, images), exact(logits), coins, truth


def _with_stop(rng: np.random.Generator, by: float) -> Drawn:
    """STOP is ahead of all labels in every other image."""
    true, logits, coins, truth = _images(rng, False)
    ahead = np.arange(len(true)) % 2 == 0
    logits[ahead, -1] = logits[ahead].max(axis=1) + by
    return true, exact(logits), coins, truth


def _at_truth(rng: np.random.Generator) -> Drawn:
    true, logits, coins, truth = _images(rng, bool(rng.integers(2)))
    coins[rng.permutation(len(coins))[:8]] = truth
    return true, logits, coins, truth


def _own(logits: Array) -> Array:
    return np.asarray(logits[:, :-1].argmax(axis=1))


def _right(true: Array, logits: Array, coins: Array, truth: float) -> Array:
    return np.where(coins < truth, true, _own(logits))


def _equal(true: Array, logits: Array, coins: Array, truth: float) -> Mistake:
    return Mistake("A coin that equals truth gives the truth in your code. It is not below it: <, "
                   "not <=.", np.where(coins <= truth, true, _own(logits)))


def _wrongly(true: Array, logits: Array, coins: Array, truth: float) -> list[Mistake]:
    mine = _own(logits)
    below = coins < truth
    first, mean = bool(coins[0] < truth), bool(coins.mean() < truth)
    worst = logits[:, :-1].argmin(axis=1)
    second = np.argsort(-logits[:, :-1], axis=1)[:, 1]
    own_always = Mistake(
        "You fed the decoder's own label everywhere"
        + ("" if first and mean else ", or used one coin for the whole batch")
        + ". Where an image's coin is below truth, the true label is fed.", mine)
    true_always = Mistake(
        "You fed the true label everywhere"
        + (", or used one coin for the whole batch" if first or mean else "")
        + ". Where an image's coin is not below truth, its own label is fed.", true)
    return [
        Mistake("The coin is turned round: below truth the true label is fed, else the own one.",
                np.where(below, mine, true)),
        Mistake("You compared the coins with 1 - truth; a coin below truth gives the truth.",
                np.where(coins < 1 - truth, true, mine)),
        Mistake("You compared the coins with 1/2, as in the example; truth is an argument.",
                np.where(coins < 0.5, true, mine)),
        own_always,
        true_always,
        Mistake("You fed the decoder's worst label; feed its best.", np.where(below, true, worst)),
        Mistake("You fed the decoder's second best label; feed its best.",
                np.where(below, true, second)),
        Mistake("You left out column 0, which is a label. STOP is the last column: "
                "step_logits[:, :-1].", np.where(below, true, logits[:, 1:].argmax(axis=1))),
        Mistake("You left out the last label as well as STOP: step_logits[:, :-1] is enough.",
                np.where(below, true, logits[:, :-2].argmax(axis=1))),
    ]


def _stop_wrongly(true: Array, logits: Array, coins: Array, truth: float) -> list[Mistake]:
    mine, best = _own(logits), logits.argmax(axis=1)
    stop = logits.shape[1] - 1
    below = coins < truth
    found = [
        Mistake(f"You fed STOP where it is the best. {_STOP}", np.where(below, true, best)),
        Mistake("Where STOP is the best you fed the true label, whatever the coin. Feed the best "
                "label.", np.where(below | (best == stop), true, mine)),
        Mistake("Where STOP is the best you fed label 0. Feed the best label. (A softmax over all "
                "columns leaves all labels at 0 where STOP is sure.)",
                np.where(below, true, np.where(best == stop, 0, mine))),
        Mistake("Where STOP is the best you fed the last label. Feed the best label.",
                np.where(below, true, np.minimum(best, stop - 1))),
        Mistake("You took the first column for STOP; it is the last one.",
                np.where(below, true, logits[:, 1:].argmax(axis=1))),
    ]
    return found
