"""Check of lesson 05's late fusion (5.4, seed 001)."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from hybridlab.grading.comparing import as_array, is_tensor
from hybridlab.grading.lessons.losses_01 import tensor
from hybridlab.grading.lessons.sequences_02 import exact, softmax
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
Drawn = tuple[Array, Array, Array]  # probs, votes, present
nan = float("nan")

_NAME = "late_fusion"
_EXAMPLE = (
    np.array([[[0.8], [0.8]], [[0.4], [nan]]]), exact(np.array([0.0, np.log(3)])),
    np.array([[True, True], [True, False]]),
)
_SHAPE = "One probability for each image and label: (B, L). The views, axis 0, are added up."
_CRASHES = {
    "RuntimeError": "votes is (M,), present (M, B), probs (M, B, L): votes[:, None] lies over "
    "present, and weights of (M, B) lie over probs as weights[:, :, None].",
    "IndexError": "votes is (M,), present (M, B), probs (M, B, L).",
}
_NAN = (
    "NaN times a weight of 0 is NaN. Fill what is missing with 0 first: "
    "probs.masked_fill(~present[:, :, None], 0)."
)
_GONE = (
    "An image without any view divides 0 by 0. If you divide by the sum of the weights: by a tiny "
    "number at least. If you take the softmax over -inf alone: fill in the lowest finite number, "
    "and multiply by present afterwards."
)
_FAR = (
    "If it is right for votes that differ less: beside a vote of 200 the softmax of 0 is e^-200, "
    "which is 0 in float32, and 0 cannot be scaled up. Leave out missing views before the softmax, "
    "not after it."
)


def check_late_fusion(trial: Trial) -> None:
    """All views there; some missing; none there; votes in the hundreds; gradients and dtype."""
    with trial.part("the worked example", _CRASHES):
        right = _right(*_EXAMPLE)
        got = trial.call(_NAME, *_given(_EXAMPLE))
        trial.equal(got, right, "the example", own(right, _wrongly(*_EXAMPLE)),
                    hint=_if_nan(got), shape_hint=_SHAPE)
    with trial.part("all views are there", _CRASHES):
        rng = trial.rng
        for square in (False, True):
            drawn, right, mistakes = telling(
                partial(_views, rng, square, True),
                lambda drawn: (_right(*drawn), _voted_wrongly(*drawn)),
            )
            trial.equal(trial.call(_NAME, *_given(drawn)), right,
                        f"the result of probs {drawn[0].shape}", mistakes, shape_hint=_SHAPE)
        probs, votes, present = drawn
        high = probs, exact(votes + 400), present
        trial.equal(trial.call(_NAME, *_given(high)), _right(*high), "votes in the hundreds",
                    hint="exp of hundreds is infinite: .softmax(dim=0) takes the largest off "
                    "first.", shape_hint=_SHAPE)
        alone = probs[:1], votes[:1], present[:1]
        trial.equal(trial.call(_NAME, *_given(alone)), probs[0], "a single view",
                    hint="One view has the weight 1.", shape_hint=_SHAPE)
    with trial.part("some views are missing", _CRASHES):
        rng = trial.rng
        drawn, right, mistakes = telling(
            partial(_views, rng, False, False), lambda drawn: (_right(*drawn), _wrongly(*drawn))
        )
        trial.equal(trial.call(_NAME, *_given(drawn)), right,
                    "the result where views are missing", mistakes, hint="If it is right where all "
                    "are there: scale the weights of an image's other views up to a sum of 1.",
                    shape_hint=_SHAPE)
        probs, votes, present = drawn
        spoilt = np.where(present[..., None], probs, nan), votes, present
        got = trial.call(_NAME, *_given(spoilt))
        trial.equal(got, right, "the same, NaN where one is missing", hint=_if_nan(got),
                    shape_hint=_SHAPE)
        far = probs, exact(votes + 200.0 * ~present[:, 0]), present  # image 0 has the least alone
        trial.equal(trial.call(_NAME, *_given(far)), _right(*far),
                    f"the same with votes {_listed(far[1])}", hint=_FAR, shape_hint=_SHAPE)
    with trial.part("no view is there", _CRASHES):
        drawn = _empty(trial.rng)
        right = _right(*drawn)
        gone = ~drawn[2].any(axis=0, keepdims=True).T
        trial.equal(trial.call(_NAME, *_given(drawn)), right,
                    "the result where one image has no view",
                    [Mistake(_GONE, np.where(gone, nan, right))], hint=_GONE, shape_hint=_SHAPE)
    with trial.part("gradients and dtype", _CRASHES):
        for drawn, what in ((_views(trial.rng, False, False), ""),
                            (_empty(trial.rng), " where one image has no view")):
            given = [tensor(each, double=True, gradient=True) for each in drawn[:2]]
            got, found = trial.gradients(_NAME, *given, _truth(drawn[2]))
            trial.tensor(got, given[0], "the result of float64 probabilities")
            for name, mine, wanted in zip(
                ("probs", "votes"), found, _gradients(*drawn), strict=True
            ):
                spoilt_here = np.isnan(as_array(mine)).any()
                trial.equal(mine, wanted, f"the gradient of {name}{what}", hint=_GONE if spoilt_here
                            else "If the result is right: nothing may be detached on the way.")


def _if_nan(got: Any) -> str:
    """The advice on NaN, where there is one in the learner's value."""
    return _NAN if is_tensor(got) and np.isnan(as_array(got)).any() else ""


def _listed(votes: Array) -> str:
    return ", ".join(f"{each:.1f}" for each in votes)


def _truth(present: Array) -> Any:
    import torch

    return torch.tensor(present)


def _given(drawn: Drawn) -> tuple[Any, ...]:
    return tensor(drawn[0]), tensor(drawn[1]), _truth(drawn[2])


def _views(rng: np.random.Generator, square: bool, whole: bool) -> Drawn:
    """Three views; with `square` of three images and three labels. Missing: two views of image 0,
    one of image 1."""
    images, labels = (3, 3) if square else (int(rng.integers(4, 6)), int(rng.integers(2, 4)))
    present = np.ones((3, images), bool)
    if not whole:
        present[rng.permutation(3)[:2], 0] = False
        present[rng.integers(3), 1] = False
    return (exact(rng.uniform(0.05, 0.95, (3, images, labels))), exact(rng.normal(0, 1, 3)),
            present)


def _empty(rng: np.random.Generator) -> Drawn:
    probs, votes, present = _views(rng, False, False)
    present[:, 2] = False
    return probs, votes, present


def _weights(votes: Array, present: Array) -> Array:
    there = np.where(present, votes[:, None], -1e30)
    return np.asarray(softmax(there, axis=0) * present)


def _added(weights: Array, probs: Array, present: Array) -> Array:
    return np.asarray((weights[..., None] * np.where(present[..., None], probs, 0)).sum(axis=0))


def _right(probs: Array, votes: Array, present: Array) -> Array:
    return _added(_weights(votes, present), probs, present)


def _gradients(probs: Array, votes: Array, present: Array) -> list[Array]:
    import torch

    given = [tensor(each, double=True, gradient=True) for each in (probs, votes)]
    there = _truth(present)
    weights = given[1][:, None].masked_fill(~there, -1e30).softmax(dim=0) * there
    total = (weights[:, :, None] * given[0].masked_fill(~there[:, :, None], 0)).sum()
    return [np.asarray(each.numpy()) for each in torch.autograd.grad(total, given)]


def _voted_wrongly(probs: Array, votes: Array, present: Array) -> list[Mistake]:
    """Mistakes that show where all views are there."""
    filled = np.where(present[..., None], probs, 0)

    def by(weights: Array) -> Array:
        return np.asarray((weights[:, None, None] * filled).sum(axis=0))

    odds = np.log(np.clip(filled, 1e-9, 1 - 1e-9) / np.clip(1 - filled, 1e-9, 1))
    mixed = (softmax(votes)[:, None, None] * odds).sum(axis=0)
    return [
        Mistake("The softmax is missing: votes may be negative, and add up to anything.",
                by(votes)),
        Mistake("You divided the votes by their sum: that can be negative. Take the softmax.",
                by(votes / votes.sum())),
        Mistake("That is the plain mean of the views. Weigh them by the softmax of votes.",
                by(np.full(len(votes), 1 / len(votes)))),
        Mistake("You divided by the number of views as well; the weights already add up to 1.",
                by(softmax(votes) / len(votes))),
        Mistake("You took the sigmoid of each vote: the weights do not add up to 1.",
                by(1 / (1 + np.exp(-votes)))),
        Mistake("You took exp of each vote, and did not divide by the sum.", by(np.exp(votes))),
        Mistake("You took the view with the largest vote alone; all have a share.",
                by((votes == votes.max()).astype(float))),
        Mistake("You mixed log-odds, and took the sigmoid at the end. Here probabilities are mixed "
                "as they are.", 1 / (1 + np.exp(-mixed))),
    ]


def _wrongly(probs: Array, votes: Array, present: Array) -> list[Mistake]:
    """Mistakes that show where views are missing."""
    fixed = softmax(votes)[:, None] * present
    count = np.maximum(present.sum(axis=0), 1)
    return [
        Mistake("A missing view counts as a \"no\" in your result: the weights of an image's "
                "other views are not scaled up, and no longer add up to 1.",
                _added(fixed, probs, present)),
        Mistake("You divided by the number of views that are there; divide by the sum of their "
                "weights.", _added(fixed / count, probs, present)),
        Mistake("Your weights are those of present views alike, without the votes.",
                _added(present / count, probs, present)),
        Mistake("present is turned round: you took the views that are missing.",
                _added(_weights(votes, ~present), probs, ~present)),
    ]
