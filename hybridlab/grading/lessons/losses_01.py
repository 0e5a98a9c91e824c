"""Checks of lesson 01's weighted binary cross-entropy (1.4), and what checks of losses share.

The expected values are computed in float64. The learner's are in float32, where the standard
tolerance leaves room for any order of adding; logits of at most 6 keep even `log(sigmoid(x))`
within it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from hybridlab.grading.learner import Crashed
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray

ADDED_UP = "You added the entries up; the loss is the mean over all B x L entries."
ADDED_UP_LABELS = (
    "You added over labels and averaged over images only: that is L times the mean over all B x L "
    "entries, and every other weight in a recipe would have to follow L."
)
ONE = "The loss is one number: take the mean over all B x L entries, .mean() at the end."
STABLE = (
    "A logit of 1000 is certain, not impossible: log(sigmoid(x)) becomes log(0) there. Compute "
    "the logarithm from the logit itself: F.logsigmoid(x), and F.logsigmoid(-x) for log(1 - p)."
)


def tensor(array: Array, double: bool = False, gradient: bool = False) -> Any:
    """A torch tensor of float32, or of float64 (`double`)."""
    import torch

    dtype = torch.float64 if double else torch.float32
    return torch.tensor(array, dtype=dtype, requires_grad=gradient)


def logits_of(rng: np.random.Generator, images: int, labels: int) -> Array:
    """(B, L) logits of at most 6, exact in float32."""
    return np.clip(rng.normal(0, 2.5, (images, labels)), -6, 6).astype(np.float32).astype(float)


def targets_of(rng: np.random.Generator, images: int, labels: int) -> Array:
    """(B, L) of 0. and 1., half of each, in no order."""
    flat = rng.permutation(images * labels) < images * labels / 2
    return flat.reshape(images, labels).astype(float)


def sigmoid(logits: Array) -> Array:
    """Probabilities."""
    return 1 / (1 + np.exp(-logits))


def kept(trial: Trial, name: str, logits: Array, targets: Array, *more: Array) -> None:
    """The dtype of the logits is kept in half precision, too.

    Values are not looked at: 8 or 11 bits leave too little of them. An operation that torch
    lacks in half precision on a CPU, or code of another library, costs nothing.

    Raises:
        Wrong: the result has another dtype.
    """
    import torch

    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        given = [torch.tensor(each, dtype=dtype) for each in (logits, targets, *more)]
        try:
            got = trial.call(name, *given)
        except Crashed as crash:
            if dtype != torch.float32 and "not implemented for" in str(crash):
                continue
            raise
        trial.tensor(got, given[0], f"the loss of {str(dtype).removeprefix('torch.')} logits")


def finite(trial: Trial, loss: Any) -> float:
    """The loss of huge logits as a number.

    Raises:
        Wrong: it is no number.
    """
    value = float(trial.form(loss, np.zeros(()), "the loss", ONE))
    trial.true(bool(np.isfinite(value)),
               f"the loss of logits of 1000 and -1000: got {value}, expected a number", STABLE)
    return value


def check_weighted_bce(trial: Trial) -> None:
    """Value, huge logits, gradient and dtype of the weighted BCE."""
    with trial.part("the worked example"):
        drawn = np.zeros((1, 2)), np.array([[1.0, 0.0]]), np.array([3.0, 1.0])
        got = trial.call("weighted_bce", *map(tensor, drawn))
        right = bce(*drawn).mean()
        trial.equal(got, right, "the loss of the example", own(right, _weighted_wrongly(*drawn)),
                    shape_hint=ONE)
    with trial.part("any logits"):
        rng = trial.rng
        for square in (False, True):
            drawn, right, mistakes = telling(
                partial(_weighted, rng, square),
                lambda drawn: (bce(*drawn).mean(), _weighted_wrongly(*drawn)),
            )
            got = trial.call("weighted_bce", *map(tensor, drawn))
            trial.equal(got, right, f"the loss of {drawn[0].shape} logits", mistakes,
                        shape_hint=ONE)
        logits, targets, weight = drawn
        ones = np.ones_like(weight)
        got = trial.call("weighted_bce", *map(tensor, (logits[:1], targets[:1], ones)))
        trial.equal(got, bce(logits[:1], targets[:1], ones).mean(),
                    "the loss of one image with weights of 1",
                    hint="With weights of 1 it is the plain binary cross-entropy.")
    with trial.part("huge logits"):
        _, targets, weight = _weighted(trial.rng)
        signs = np.where(trial.rng.permutation(targets.size).reshape(targets.shape) % 2, 1, -1)
        signs[0] = 1 - 2 * targets[0]  # the first image is wrong everywhere: it must cost
        got = trial.call("weighted_bce", *map(tensor, (1000.0 * signs, targets, weight)))
        finite(trial, got)
        trial.equal(got, bce(1000.0 * signs, targets, weight).mean(),
                    "the loss of logits of 1000 and -1000",
                    hint="If it is right for other logits: a clamp hides how wrong a sure answer "
                    "is, and stops its gradient. " + STABLE)
    with trial.part("gradients and dtype"):
        drawn = _weighted(trial.rng)
        logits, targets, weight = (tensor(each, double=True) for each in drawn)
        logits.requires_grad_()
        got, found = trial.gradients("weighted_bce", logits, targets, weight)
        trial.tensor(got, logits, "the loss of float64 logits")
        trial.form(got, np.zeros(()), "the loss", ONE)
        trial.equal(found[0], _bce_gradient(*drawn), "the gradient of the logits",
                    hint="The gradient of an entry is -pos_weight * (1 - p) / (B * L) where the "
                    "target is 1, and p / (B * L) where it is 0.")
        huge = np.where(drawn[1] == 1, -1000.0, 1000.0)
        _, found = trial.gradients("weighted_bce", tensor(huge, gradient=True),
                                   *map(tensor, drawn[1:]))
        trial.equal(found[0], _bce_gradient(huge, *drawn[1:]),
                    "the gradient at logits of 1000 and -1000, all wrong", hint=STABLE)
        kept(trial, "weighted_bce", *drawn)


def _weighted(rng: np.random.Generator, square: bool = False) -> tuple[Array, Array, Array]:
    labels = int(rng.integers(3, 6))
    images = labels if square else labels + int(rng.integers(1, 4))
    # neither near 1, where a weight would not show
    weight = np.where(rng.random(labels) < 0.5, rng.uniform(2, 8, labels),
                      rng.uniform(0.2, 0.5, labels)).astype(np.float32).astype(float)
    return logits_of(rng, images, labels), targets_of(rng, images, labels), weight


def bce(logits: Array, targets: Array, weight: Array) -> Array:
    """(B, L) what each entry costs."""
    return np.where(targets == 1, weight * np.logaddexp(0, -logits), np.logaddexp(0, logits))


def _bce_gradient(logits: Array, targets: Array, weight: Array) -> Array:
    with np.errstate(over="ignore"):
        p = sigmoid(logits)
    return np.where(targets == 1, -weight * (1 - p), p) / logits.size


def _weighted_wrongly(logits: Array, targets: Array, weight: Array) -> list[Mistake]:
    each, plain = bce(logits, targets, weight), bce(logits, targets, np.ones_like(weight))
    p = sigmoid(logits)
    soft = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        competing = -np.where(targets == 1, weight * np.log(soft), np.log1p(-soft))
    return [
        Mistake(ADDED_UP, each.sum()),
        Mistake(ADDED_UP_LABELS, each.sum() / len(each)),
        Mistake("You divided by 2, the example's number of entries.", each.sum() / 2),
        Mistake("pos_weight has no effect: positives count pos_weight times.", plain.mean()),
        Mistake("You weighted the negatives, too; pos_weight is for entries whose target is 1.",
                (weight * plain).mean()),
        Mistake("You weighted the negatives; pos_weight is for entries whose target is 1.",
                np.where(targets == 1, plain, weight * plain).mean()),
        Mistake("You divided by the sum of the weights; it is the mean over all B x L entries.",
                each.sum() / np.where(targets == 1, weight, 1).sum()),
        Mistake("You took a softmax over labels, so that they compete. An image may have several "
                "labels: each has a sigmoid of its own.", competing.mean()),
        Mistake("You took the sigmoid twice: what expects logits was given probabilities.",
                bce(p, targets, weight).mean()),
        Mistake("You left out the negatives: entries whose target is 0 cost -log(1 - p).",
                np.where(targets == 1, each, 0).mean()),
        Mistake("The sign is wrong: a loss is positive, and falls as the answers get better.",
                -each.mean()),
        # with as many images as labels other mistakes show than without
        Mistake("You laid pos_weight along the images; it has one weight for each label.",
                bce(logits.T, targets.T, weight).mean())
        if logits.shape[0] == logits.shape[1] else
        Mistake("You averaged over labels and added over images; it is the mean over all B x L "
                "entries.", each.sum() / each.shape[1]),
    ]
