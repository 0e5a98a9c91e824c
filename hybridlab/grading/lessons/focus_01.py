"""Check of lesson 01's asymmetric loss (1.5)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hybridlab.grading.lessons.losses_01 import (
    ADDED_UP,
    ADDED_UP_LABELS,
    ONE,
    STABLE,
    bce,
    finite,
    kept,
    logits_of,
    sigmoid,
    targets_of,
    tensor,
)
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
_CLEAR = 1e-3  # of the kink at p = clip, where a gradient has two answers
_DEFAULT = (4.0, 1.0, 0.05)


def check_asymmetric_loss(trial: Trial) -> None:
    """Value, arguments, huge logits, gradient and dtype of the asymmetric loss.

    Whoever clamps p as the paper's code does is right: huge logits must give numbers, not this or
    that number.
    """
    with trial.part("the worked example"):
        drawn = np.zeros((1, 2)), np.array([[1.0, 0.0]])
        got = trial.call("asymmetric_loss", *map(tensor, drawn))
        right = _asl(*drawn).mean()
        trial.equal(got, right, "the loss of the example",
                    own(right, _focused_wrongly(*drawn, *_DEFAULT)), shape_hint=ONE)
    with trial.part("any logits"):
        (logits, targets), _, right, mistakes = _asymmetric(trial.rng)
        got = trial.call("asymmetric_loss", tensor(logits), tensor(targets))
        trial.equal(got, right, "the loss", mistakes, shape_hint=ONE)
        got = trial.call("asymmetric_loss", tensor(logits[:1]), tensor(targets[:1]))
        trial.equal(got, _asl(logits[:1], targets[:1]).mean(), "the loss of one image")
    with trial.part("gammas and clip are arguments"):
        rng = trial.rng
        inputs, given, right, mistakes = _asymmetric(rng, lambda: (
            float(rng.integers(2, 4)), float(rng.uniform(1.2, 1.8)), float(rng.uniform(0.2, 0.35))
        ))
        words = "gamma_neg={:.2f}, gamma_pos={:.2f}, clip={:.2f}".format(*given)
        defaults = Mistake("You used 4, 1 and 0.05 whatever is given; use the arguments.",
                           _asl(*inputs).mean())
        got = trial.call("asymmetric_loss", *map(tensor, inputs), *given)
        trial.equal(got, right, f"the loss with {words}", [defaults, *mistakes],
                    shape_hint=ONE)
        logits, targets = inputs
        got = trial.call("asymmetric_loss", *map(tensor, inputs), gamma_neg=0.0, gamma_pos=0.0,
                         clip=0.0)
        trial.equal(got, bce(logits, targets, np.ones(targets.shape[1])).mean(),
                    "the loss with both gammas and the clip at 0",
                    hint="Without focus and clip it is the plain binary cross-entropy.")
    with trial.part("huge logits"):
        targets = targets_of(trial.rng, 4, 3)
        signs = np.where(np.arange(4)[:, None] < 2, 1, -1) * np.ones((1, 3))
        targets[:, 0] = [1, 0, 1, 0]  # right and wrong answers of both kinds
        logits = tensor(1000 * signs, gradient=True)
        got, found = trial.gradients("asymmetric_loss", logits, tensor(targets))
        value = finite(trial, got)
        gradient = trial.form(found[0], targets, "the gradient of the logits")
        trial.true(bool(np.isfinite(gradient).all()),
                   "the gradient at logits of 1000 and -1000 is not finite everywhere", STABLE)
        trial.true(value > 1, f"the loss of logits of 1000 and -1000, half of them wrong, is "
                   f"{value:.3g}: a sure and wrong answer must cost more",
                   "If it is right for other logits: clamp p at 1e-6 or lower, or better use "
                   "F.logsigmoid.")
    with trial.part("gradients and dtype"):
        drawn = _asymmetric(trial.rng)[0]
        logits, targets = tensor(drawn[0], double=True, gradient=True), tensor(drawn[1], True)
        got, found = trial.gradients("asymmetric_loss", logits, targets)
        trial.tensor(got, logits, "the loss of float64 logits")
        trial.form(got, np.zeros(()), "the loss", ONE)
        right, detached = _asl_gradients(*drawn)
        trial.equal(
            found[0], right, "the gradient of the logits",
            [Mistake("Your focusing weights carry no gradient (detached, or under no_grad). Some "
                     "implementations do that; the formula as written does not.", detached)],
        )
        kept(trial, "asymmetric_loss", *drawn)


def _asymmetric(
    rng: np.random.Generator, settings: Callable[[], tuple[float, ...]] = lambda: _DEFAULT
) -> tuple[tuple[Array, Array], tuple[float, ...], float, list[Mistake]]:
    """Telling logits and targets, the gammas and clip they are meant for, value and mistakes."""

    def draw() -> tuple[Array, Array, tuple[float, ...]]:
        labels = int(rng.integers(3, 6))
        images = labels + int(rng.integers(1, 4))
        given = settings()
        while True:
            logits = logits_of(rng, images, labels)
            if (abs(sigmoid(logits) - given[2]) > _CLEAR).all():
                return logits, targets_of(rng, images, labels), given

    (logits, targets, given), right, mistakes = telling(draw, lambda drawn: (
        _asl(*drawn[:2], *drawn[2]).mean(), _focused_wrongly(*drawn[:2], *drawn[2])
    ))
    return (logits, targets), given, right, mistakes


def _asl(
    logits: Array, targets: Array, gamma_neg: float = 4.0, gamma_pos: float = 1.0,
    clip: float = 0.05,
) -> Array:
    p = sigmoid(logits)
    shifted = np.maximum(p - clip, 0)
    return -np.where(targets == 1, (1 - p) ** gamma_pos * np.log(p),
                     shifted**gamma_neg * np.log1p(-shifted))


def _focused_wrongly(
    logits: Array, targets: Array, gamma_neg: float, gamma_pos: float, clip: float
) -> list[Mistake]:
    p = sigmoid(logits)
    shifted, below = np.maximum(p - clip, 0), p - clip
    each = _asl(logits, targets, gamma_neg, gamma_pos, clip)
    positive, negative = targets == 1, targets != 1
    unbounded = below**gamma_neg * -np.log1p(-below)
    clipped = (1 - shifted) ** gamma_pos * -np.log(np.maximum(shifted, 1e-8))
    return [
        Mistake(ADDED_UP, each.sum()),
        Mistake(ADDED_UP_LABELS, each.sum() / len(each)),
        Mistake("You divided by 2, the example's number of entries.", each.sum() / 2),
        Mistake("The sign is wrong: a loss is positive, and falls as the answers get better.",
                -each.mean()),
        Mistake("The gammas are swapped: gamma_neg belongs to entries whose target is 0.",
                _asl(logits, targets, gamma_pos, gamma_neg, clip).mean()),
        Mistake("Negatives are not shifted: they count with p_m = max(p - clip, 0).",
                _asl(logits, targets, gamma_neg, gamma_pos, 0).mean()),
        Mistake("You shifted p of the positives, too; the clip is for negatives only.",
                np.where(positive, clipped, each).mean()),
        Mistake("You shifted p in the focusing weight but not in log(1 - p); p_m stands in both.",
                np.where(negative, shifted**gamma_neg * -np.log1p(-p), each).mean()),
        Mistake("You shifted p in log(1 - p) but not in the focusing weight; p_m stands in both.",
                np.where(negative, p**gamma_neg * -np.log1p(-shifted), each).mean()),
        Mistake("Positives are focused by (1 - p)^gamma_pos: sure and right ones count little. "
                "Yours has p^gamma_pos.",
                np.where(positive, p**gamma_pos * -np.log(p), each).mean()),
        Mistake("Negatives are focused by p_m^gamma_neg: sure and right ones count little. Yours "
                "has (1 - p_m)^gamma_neg.",
                np.where(negative, (1 - shifted) ** gamma_neg * -np.log1p(-shifted), each).mean()),
        Mistake("The focus is missing: the gammas have no effect.",
                _asl(logits, targets, 0, 0, clip).mean()),
        Mistake("You left out the negatives; they cost -p_m^gamma_neg * log(1 - p_m).",
                np.where(positive, each, 0).mean()),
        # with a clip of .05 it adds .05^4 or so: no difference that float32 would show
        *([Mistake("p - clip falls below 0 for easy negatives; p_m stops there: max(p - clip, 0).",
                   np.where(negative, unbounded, each).mean())] if clip > 0.1 else []),
    ]


def _asl_gradients(logits: Array, targets: Array) -> tuple[Array, Array]:
    """The gradient of the formula, and that with focusing weights taken as constants."""
    import torch

    from hybridlab.losses import asymmetric_loss

    x, y = tensor(logits, double=True, gradient=True), tensor(targets, double=True)
    (right,) = torch.autograd.grad(asymmetric_loss(x, y), x)
    p = sigmoid(logits)
    gamma_neg, gamma_pos, clip = _DEFAULT
    shifted = np.maximum(p - clip, 0)
    detached = np.where(
        targets == 1, -((1 - p) ** gamma_pos) * (1 - p),
        shifted**gamma_neg * p * (1 - p) / (1 - shifted),
    )
    return right.numpy(), detached / logits.size
