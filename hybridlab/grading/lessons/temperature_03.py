"""Check of lesson 03's derivative of the contrastive loss by its scale (3.2)."""

from __future__ import annotations

from functools import partial

import numpy as np

from hybridlab.grading.lessons.contrastive_03 import EXAMPLE
from hybridlab.grading.lessons.losses_01 import tensor
from hybridlab.grading.lessons.pairs_03 import (
    AXES,
    CRASHES,
    cosines,
    embeddings,
    log_softmax,
)
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray

_ONE = "The loss has one scale, so its derivative is one number: take the mean over the pairs."
_STABLE = (
    "exp(1000) is infinite, and infinity / infinity is NaN; subtract each row's own largest logit "
    "first (each column's own for the other direction), or use torch.softmax, which does."
)


def check_temperature_gradient(trial: Trial) -> None:
    """The derivative against autograd's, at scales of every size."""
    with trial.part("the worked example"):
        similarity, scale = cosines(*EXAMPLE[:2]).round(6), EXAMPLE[2]
        right = _autograd(similarity, scale)
        got = trial.call("temperature_gradient", tensor(similarity, double=True), scale)
        trial.equal(got, right, "the derivative of the example",
                    own(right, _derived_wrongly(similarity, scale)), shape_hint=_ONE)
    with trial.part("any similarities", CRASHES):
        rng = trial.rng
        (similarity, scale), right, mistakes = telling(
            partial(_batch, rng),
            lambda drawn: (_autograd(*drawn), _derived_wrongly(*drawn)),
        )
        given = tensor(similarity, double=True)
        trial.equal(trial.call("temperature_gradient", given, scale), right,
                    f"the derivative at a scale of {scale:.3g}", mistakes, shape_hint=_ONE)
        order = rng.permutation(len(similarity))
        trial.equal(
            trial.call("temperature_gradient", given[order][:, order], scale), right,
            "the derivative of the same pairs in another order",
            hint="A pair's place in the batch does not matter.",
        )
        trial.equal(trial.call("temperature_gradient", given[:1, :1], scale), 0.0,
                    "the derivative of one pair",
                    hint="With one pair the loss is 0 at every scale, so its derivative is 0, too. "
                    + AXES)
    with trial.part("small and large scales"):
        rng = trial.rng
        for low, high in ((0.1, 0.4), (30.0, 90.0)):
            (similarity, scale), right, mistakes = telling(
                partial(_batch, rng, low, high),
                lambda drawn: (_autograd(*drawn), _few(*drawn)),
            )
            got = trial.call("temperature_gradient", tensor(similarity, double=True), scale)
            trial.equal(got, right, f"the derivative at a scale of {scale:.3g}", mistakes)
    with trial.part("huge scale"):
        similarity = _far(trial.rng)
        got = trial.call("temperature_gradient", tensor(similarity, double=True), 1000.0)
        trial.equal(got, _autograd(similarity, 1000.0), "the derivative at a scale of 1000",
                    hint="If it is right at small scales: " + _STABLE)


def _batch(
    rng: np.random.Generator, low: float = 3.0, high: float = 7.0
) -> tuple[Array, float]:
    """Cosines, and a scale between two numbers: near 1 some mistakes would not show."""
    return cosines(*embeddings(rng)), float(rng.uniform(low, high))


def _far(rng: np.random.Generator) -> Array:
    """One image and one text are far from all others: where the largest logit of the whole matrix
    is subtracted, nothing but zeros is left of their row and column."""
    similarity, _ = _batch(rng)
    far, near = rng.permutation(len(similarity))[:2]
    similarity[far] = rng.uniform(-0.95, -0.6, len(similarity))
    similarity[:, far] = rng.uniform(-0.95, -0.6, len(similarity))
    similarity[near, near] = 0.95
    return similarity


def _autograd(similarity: Array, scale: float) -> float:
    """The reference: torch differentiates the loss of the package's own form."""
    import torch

    from hybridlab.losses import symmetric_contrastive

    learnt = torch.tensor(scale, dtype=torch.float64, requires_grad=True)
    matches = torch.eye(len(similarity), dtype=torch.bool)
    loss = symmetric_contrastive(learnt * tensor(similarity, double=True), matches)
    (found,) = torch.autograd.grad(loss, learnt)
    return float(found)


def _directions(similarity: Array, logits: Array) -> tuple[float, float]:
    """Expected minus matching similarity, by image and by text."""
    match = np.diagonal(similarity).mean()
    soft = [np.exp(log_softmax(logits, axis)) for axis in (1, 0)]
    rows, columns = ((each * similarity).sum() / len(similarity) - match for each in soft)
    return float(rows), float(columns)


def _few(similarity: Array, scale: float) -> list[Mistake]:
    """The mistakes that a scale near 1 would hide."""
    rows, columns = _directions(similarity, scale * similarity)
    right = (rows + columns) / 2
    return [
        Mistake("That is the derivative by the logarithm of the scale, which is scale times "
                "larger. Expected and matching *similarity* count, not logits.", scale * right),
        Mistake("That is the derivative by the temperature tau = 1 / scale, -scale^2 times the one "
                "by the scale; the exercise asks for the one by the scale.", -scale**2 * right),
        Mistake("That is the derivative by the logarithm of the temperature, -scale times the one "
                "by the scale; the exercise asks for the one by the scale.", -scale * right),
        Mistake("You divided by the scale: that is not needed. The derivative of scale * cosine by "
                "the scale is the cosine.", right / scale),
    ]


def _derived_wrongly(similarity: Array, scale: float) -> list[Mistake]:
    logits, pairs = scale * similarity, len(similarity)
    rows, columns = _directions(similarity, logits)
    right, match = (rows + columns) / 2, np.diagonal(similarity).mean()
    largest = [similarity.max(axis=axis).mean() - match for axis in (1, 0)]
    chance = [np.exp(np.diagonal(log_softmax(logits, axis))).mean() - 1 for axis in (1, 0)]
    loss = [-np.diagonal(log_softmax(logits, axis)).mean() for axis in (1, 0)]
    at_match = [(np.diagonal(np.exp(log_softmax(logits, axis)) * similarity)).mean() - match
                for axis in (1, 0)]
    return [
        Mistake("The sign is wrong: it is the expected similarity minus the matching one. Where "
                "matches are the most similar, a larger scale lowers the loss: below 0.", -right),
        Mistake("That is one direction only, the softmax over each image's texts. Add the one over "
                "each text's images (dim=0), and take the mean of the two.", rows),
        Mistake("That is one direction only, the softmax over each text's images. Add the one over "
                "each image's texts (dim=1), and take the mean of the two.", columns),
        Mistake("You added the two directions; the loss is their mean, so is its derivative.",
                2 * right),
        *_few(similarity, scale),
        Mistake("You added up the pairs; the loss is their mean, so is its derivative.",
                pairs * right),
        Mistake("You divided by 2, the example's number of pairs; count them.", pairs * right / 2),
        Mistake("Your softmax is that of the cosines; the loss takes it of scale * cosines.",
                np.mean(_directions(similarity, similarity))),
        Mistake("You divided the cosines by the scale in the softmax; it multiplies them.",
                np.mean(_directions(similarity, similarity / scale))),
        Mistake("You left out the matching similarity: subtract it from the expected one.",
                right + match),
        Mistake("You took the plain mean of the similarities for the expected one; weigh them by "
                "the softmax.", similarity.mean() - match),
        Mistake("You took the largest similarity for the expected one; that is so only at an "
                "infinite scale. Weigh all of them by the softmax.", np.mean(largest)),
        Mistake("That is the probability of the match minus 1, the derivative by its logit. By the "
                "chain rule each logit's derivative is multiplied by its cosine, and all are "
                "added.", np.mean(chance)),
        Mistake("You took the matches only; the other texts' logits grow with the scale, too.",
                np.mean(at_match)),
        Mistake("That is the loss itself, not its derivative.", np.mean(loss)),
    ]
