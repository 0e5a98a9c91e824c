"""Check of lesson 05's gate (5.2, seed 001, attention-based fusion)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from hybridlab.grading import verdict as kinds
from hybridlab.grading.comparing import Wrong
from hybridlab.grading.lessons.losses_01 import sigmoid, tensor
from hybridlab.grading.lessons.sequences_02 import exact, softmax
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
Drawn = tuple[Array, Array, Array]  # a, b, weight

_NAME = "gate_fusion"
_NAMES = ("a", "b", "weight")
_RESULTS = ("the fused vectors", "alpha")
_EXAMPLE = (
    np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([[0.0, 2.0], [2.0, 0.0]]),
    np.array([[1.0, 0, 0, 0], [0, 0, 0, 1]]),
)
_FUSED = "The fused vector is one row of D numbers for each image: (B, D)."
_ALPHA = "alpha is two numbers for each image: (B, 2)."
_CRASHES = {
    "RuntimeError": "Both views side by side are (B, 2 D), concatenated along the last axis; their "
    "product with weight.T is (B, 2). alpha[:, :1] is (B, 1) and can be laid over (B, D), where "
    "alpha[:, 0] is (B,) and cannot.",
    "IndexError": "Keep the axes as they are: .squeeze() drops one where there is one image.",
}
_STABLE = (
    "exp(500) is infinite, and infinity / infinity is NaN. .softmax(dim=-1) takes the largest "
    "score off first."
)


def check_gate_fusion(trial: Trial) -> None:
    """Fused vectors and weights; scores in the hundreds; gradients and dtype."""
    with trial.part("the worked example", _CRASHES):
        _judged(trial, _EXAMPLE, "the example",
                own(_right(*_EXAMPLE)[0], _fused_wrongly(*_EXAMPLE)),
                own(_right(*_EXAMPLE)[1], _alpha_wrongly(*_EXAMPLE)))
    with trial.part("any two views", _CRASHES):
        rng = trial.rng
        for square in (False, True):
            drawn, _, fused = telling(
                partial(_views, rng, square),
                lambda drawn: (_right(*drawn)[0], _fused_wrongly(*drawn)),
            )
            _judged(trial, drawn, f"a and b of {drawn[0].shape}", fused,
                    own(_right(*drawn)[1], _alpha_wrongly(*drawn)))
        a, b, weight = drawn
        _judged(trial, (a[:1], b[:1], weight), "one image alone",
                hint="Each image has an alpha of its own.")
        _judged(trial, (a, np.zeros_like(b), weight), "a second view of zeros",
                hint="A view of zeros still has its share of alpha.")
    with trial.part("scores in the hundreds", _CRASHES):
        a, b, weight = _views(trial.rng, False)
        _judged(trial, (a, b, exact(300 * weight)), "scores in the hundreds",
                hint="If it is right for small scores: " + _STABLE)
    with trial.part("gradients and dtype", _CRASHES):
        drawn = _views(trial.rng, False)
        given = [tensor(each, double=True, gradient=True) for each in drawn]
        got = trial.call(_NAME, *(each.detach() for each in given))
        pair(got, _RESULTS, "fused, alpha")
        for each, what in zip(got, _RESULTS, strict=True):
            trial.tensor(each, given[0], f"{what} of float64 views")
        found = trial.gradients(_NAME, *given)[1]
        for name, mine, wanted in zip(_NAMES, found, _gradients(*drawn), strict=True):
            trial.equal(mine, wanted, f"the gradient of {name}",
                        hint="If the values are right: nothing may be detached on the way to them.")


def pair(got: object, names: tuple[str, str], variables: str) -> None:
    """Two results must come back.

    Args:
        names: what they are.
        variables: that could hold them.

    Raises:
        Wrong: it is something else.
    """
    if not isinstance(got, (tuple, list)) or len(got) != 2:
        raise Wrong(kinds.WRONG_FORM, f"expected two tensors: {names[0]} and {names[1]}",
                    f"End with `return {variables}`.")


def _judged(
    trial: Trial, drawn: Drawn, what: str, fused: Sequence[Mistake] = (),
    alpha: Sequence[Mistake] = (), hint: str = "",
) -> None:
    got, (right_fused, right_alpha) = trial.call(_NAME, *map(tensor, drawn)), _right(*drawn)
    pair(got, _RESULTS, "fused, alpha")
    trial.equal(got[1], right_alpha, f"alpha of {what}", alpha, hint=hint, shape_hint=_ALPHA)
    trial.equal(got[0], right_fused, f"the fused vectors of {what}", fused, hint=hint,
                shape_hint=_FUSED)


def _views(rng: np.random.Generator, square: bool) -> Drawn:
    """With `square` there are two images of two views of one number: every axis is 2."""
    images, dim = (2, 1) if square else (int(rng.integers(5, 8)), int(rng.integers(3, 5)))
    return (
        exact(rng.normal(size=(images, dim))), exact(rng.normal(size=(images, dim))),
        exact(rng.normal(size=(2, 2 * dim))),
    )


def _right(a: Array, b: Array, weight: Array) -> tuple[Array, Array]:
    alpha = softmax(np.concatenate([a, b], axis=1) @ weight.T)
    return _blend(alpha, a, b), alpha


def _blend(alpha: Array, a: Array, b: Array) -> Array:
    return np.asarray(alpha[:, :1] * a + alpha[:, 1:] * b)


def _gradients(*drawn: Array) -> list[Array]:
    import torch

    given = [tensor(each, double=True, gradient=True) for each in drawn]
    a, b, weight = given
    alpha = (torch.cat([a, b], dim=1) @ weight.T).softmax(dim=1)
    total = (alpha[:, :1] * a + alpha[:, 1:] * b).sum() + alpha.sum()
    return [np.asarray(each.numpy()) for each in torch.autograd.grad(total, given)]


def _scores(a: Array, b: Array, weight: Array) -> Array:
    return np.asarray(np.concatenate([a, b], axis=1) @ weight.T)


def _alpha_wrongly(a: Array, b: Array, weight: Array) -> list[Mistake]:
    scores = _scores(a, b, weight)
    turned = np.concatenate([b, a], axis=1) @ weight.T
    found = [
        Mistake("The softmax is missing: those are the scores.", scores),
        Mistake("You took the sigmoid of each score: the two need not add up to 1. Take the "
                "softmax over the two views.", sigmoid(scores)),
        Mistake("The views have changed places in [a, b].", softmax(turned)),
        Mistake("You divided the scores by their sum; that can be negative or 0. Take the softmax.",
                scores / scores.sum(axis=1, keepdims=True)),
    ]
    if len(a) > 1:
        found += [
            Mistake("Your softmax runs over the images (axis 0). Each image has two weights that "
                    "add up to 1: take it over axis 1.", softmax(scores, 0)),
            Mistake("All images have the same alpha in your result. The gate decides image by "
                    "image: take no mean over the batch.",
                    np.broadcast_to(softmax(scores.mean(axis=0)), scores.shape)),
            Mistake("All images have the same alpha in your result. The gate decides image by "
                    "image: take no mean of the weights, either.",
                    np.broadcast_to(softmax(scores).mean(axis=0), scores.shape)),
        ]
    return found


def _fused_wrongly(a: Array, b: Array, weight: Array) -> list[Mistake]:
    alpha = softmax(_scores(a, b, weight))
    return [
        Mistake("alpha_1 belongs to a and alpha_2 to b; you have them the other way round.",
                _blend(alpha[:, ::-1], a, b)),
        Mistake("That is the mean of both views. Weigh them by alpha.", (a + b) / 2),
        Mistake("That is the sum of both views. Weigh them by alpha.", a + b),
        Mistake("You took the view with the larger weight alone; add both, weighed.",
                np.where(alpha[:, :1] >= alpha[:, 1:], a, b)),
        Mistake("You divided by 2 as well; the weights already add up to 1.",
                _blend(alpha, a, b) / 2),
    ]
