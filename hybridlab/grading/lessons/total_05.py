"""Check of lesson 05's total loss (5.7, seed 000 section 4, trap 14)."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from hybridlab.grading import verdict as kinds
from hybridlab.grading.comparing import Wrong, as_array
from hybridlab.grading.learner import Crashed
from hybridlab.grading.lessons.losses_01 import STABLE, logits_of, sigmoid, tensor
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
Drawn = tuple[Array, Array, float, float, float]  # logits, targets, contrastive, alpha, beta
nan, inf = float("nan"), float("inf")

_NAME = "total_loss"
_EXAMPLE = (
    np.array([[0.0, 2.0], [-1.0, 5.0]]), np.array([[1, 0], [1, -1]]), 2.0, 1.0, 0.1,
)
_NUMBER = "The total is one number."
_CRASHES = {
    "RuntimeError": "F.binary_cross_entropy_with_logits wants targets of the logits' dtype and "
    "shape: choose the annotated entries of both first, and .to(logits.dtype) the targets.",
    "ValueError": "No weight is negative here. If F.binary_cross_entropy raises: it wants "
    "probabilities; ..._with_logits takes logits.",
}
_ZERO = (
    "0 times infinity is NaN, and so is 0 times NaN. A part with a weight of 0 is not added at "
    "all: if beta > 0."
)
_NOTHING = (
    "The mean of nothing is NaN. Divide the sum by the number of annotated entries, but by 1 at "
    "least."
)
_MAKE = "Ask before you compute: if alpha < 0: raise ValueError(f\"alpha is {alpha}; ...\")."


def check_total_loss(trial: Trial) -> None:
    """Value; nothing annotated; weights of 0; negative weights; huge logits; gradients."""
    with trial.part("the worked example", _CRASHES):
        right = _right(*_EXAMPLE)
        trial.equal(trial.call(_NAME, *_given(_EXAMPLE)), right, "the total of the example",
                    own(right, _wrongly(*_EXAMPLE)), shape_hint=_NUMBER)
    with trial.part("any weights", _CRASHES):
        rng = trial.rng
        for alpha in (1.0, 0.5):
            drawn, right, mistakes = telling(
                partial(_drawn, rng, alpha), lambda drawn: (_right(*drawn), _wrongly(*drawn))
            )
            trial.equal(trial.call(_NAME, *_given(drawn)), right,
                        f"the total of alpha {alpha:g} and beta {drawn[4]:g}", mistakes,
                        shape_hint=_NUMBER)
        logits, targets, *others = drawn
        nothing = logits, np.full_like(targets, -1), *others
        trial.equal(trial.call(_NAME, *_given(nothing)), _right(*nothing),  # type: ignore[arg-type]
                    "the total where nothing is annotated", [Mistake(_NOTHING, nan)],
                    hint=_NOTHING, shape_hint=_NUMBER)
    with trial.part("weights of 0", _CRASHES):
        logits, targets, contrastive, _, _ = _drawn(trial.rng, 1.0)
        plain = _right(logits, targets, contrastive, 1.0, 0.0)
        for spoilt in (inf, nan):
            drawn = logits, targets, spoilt, 1.0, 0.0
            trial.equal(trial.call(_NAME, *_given(drawn)), plain,
                        f"the total with beta 0, the contrastive part being {spoilt}",
                        [Mistake(_ZERO, nan)], hint=_ZERO, shape_hint=_NUMBER)
        drawn = np.full_like(logits, nan), targets, contrastive, 0.0, 0.5
        trial.equal(trial.call(_NAME, *_given(drawn)), 0.5 * contrastive,
                    "the total with alpha 0, the logits being NaN", [Mistake(_ZERO, nan)],
                    hint=_ZERO.replace("beta", "alpha"), shape_hint=_NUMBER)
    with trial.part("negative weights"):
        logits, targets, contrastive, _, _ = _drawn(trial.rng, 1.0)
        for name, alpha, beta in (("alpha", -0.5, 1.0), ("beta", 1.0, -0.1)):
            _refused(trial, (logits, targets, contrastive, alpha, beta), name)
    with trial.part("huge logits", _CRASHES):
        logits, targets, contrastive, alpha, beta = _drawn(trial.rng, 1.0)
        huge = 1000 * np.sign(logits), targets, contrastive, alpha, beta
        trial.equal(trial.call(_NAME, *_given(huge)), _right(*huge),
                    "the total of logits of 1000 and -1000",
                    hint="If it is right for small logits: " + STABLE, shape_hint=_NUMBER)
    with trial.part("gradients and dtype", _CRASHES):
        logits, targets, contrastive, _, _ = _drawn(trial.rng, 1.0)
        given = tensor(logits, double=True, gradient=True)
        part = tensor(np.asarray(contrastive), double=True, gradient=True)
        got, found = trial.gradients(_NAME, given, _whole(targets), part, 0.5, 0.25)
        trial.tensor(got, given, "the total of float64 logits")
        nothing = trial.call(_NAME, given, _whole(targets), part, 0.0, 0.0)
        trial.tensor(nothing, given, "the total of float64 logits, both weights being 0")
        known = targets >= 0
        wanted = 0.5 * np.where(known, sigmoid(logits) - targets, 0) / known.sum()
        hint = "If the total is right: nothing may be detached on the way to it."
        trial.equal(found[0], wanted, "the gradient of logits", hint=hint)
        trial.equal(found[1], 0.25, "the gradient of the contrastive part", hint=hint)


def _refused(trial: Trial, drawn: Drawn, name: str) -> None:
    """The learner's function must raise a ValueError that names the weight.

    Raises:
        Wrong: it raises nothing, something else, or says nothing of the weight.
    """
    what = f"{name} = {drawn[3] if name == 'alpha' else drawn[4]}"
    try:
        got = trial.call(_NAME, *_given(drawn))
    except Crashed as crash:
        if crash.type == "ValueError" and name in str(crash):
            return
        found = f"{what}: got {crash.type}, expected a ValueError that names {name}"
        raise Wrong(kinds.WRONG_VALUE, found, _MAKE) from None
    raise Wrong(
        kinds.WRONG_VALUE, f"{what}: got {as_array(got)!s}, expected a ValueError", "A loss with a "
        f"negative weight is maximised: what should get better gets worse. {_MAKE}",
    )


def _whole(targets: Array) -> Any:
    import torch

    return torch.tensor(targets, dtype=torch.int64)


def _given(drawn: Drawn) -> tuple[Any, ...]:
    logits, targets, contrastive, alpha, beta = drawn
    return tensor(logits), _whole(targets), tensor(np.asarray(contrastive)), alpha, beta


def _drawn(rng: np.random.Generator, alpha: float) -> Drawn:
    """Images with one, two and more entries that are not annotated."""
    images, labels = int(rng.integers(4, 6)), int(rng.integers(6, 8))
    targets = rng.integers(0, 2, (images, labels))
    targets[0, :3], targets[1, 0], targets[2, 4] = -1, -1, -1
    return (logits_of(rng, images, labels), targets, float(np.float32(rng.uniform(1, 3))), alpha,
            float(rng.choice([0.25, 0.75])))


def _costs(logits: Array, targets: Array) -> Array:
    """(B, L), 0 where not annotated."""
    each = np.logaddexp(0, np.where(targets > 0, -logits, logits))
    return np.where(targets >= 0, each, 0.0)


def _right(
    logits: Array, targets: Array, contrastive: float, alpha: float, beta: float
) -> float:
    mean = _costs(logits, targets).sum() / max(1, (targets >= 0).sum())
    return float((alpha * mean if alpha else 0) + (beta * contrastive if beta else 0))


def _wrongly(
    logits: Array, targets: Array, contrastive: float, alpha: float, beta: float
) -> list[Mistake]:
    each, known = _costs(logits, targets), targets >= 0
    mean = each.sum() / known.sum()
    count = known.sum(axis=1)

    def total(bce: float) -> float:
        return float(alpha * bce + beta * contrastive)

    negative = np.where(known, each, np.logaddexp(0, logits))
    positive = np.where(known, each, np.logaddexp(0, -logits))
    odd = np.where(known, each, np.logaddexp(0, logits) + logits)  # the formula with y = -1
    found = [
        Mistake("An entry of -1 counts as 0, \"not there\"; it is not annotated and is left out.",
                total(negative.mean())),
        Mistake("An entry of -1 counts as 1; it is not annotated and is left out.",
                total(positive.mean())),
        Mistake("-1 went into the formula as a target; such entries are left out.",
                total(odd.mean())),
        Mistake("Entries of -1 cost 0 in your sum, and count in your mean: divide by the number of "
                "annotated ones.", total(each.mean())),
        Mistake("You added the entries up; the BCE is their mean.", total(each.sum())),
        Mistake("You added over labels and averaged over images: that is L times as large, and "
                "beta would mean another thing for each number of labels.",
                total(each.sum() / len(each))),
        Mistake("You took each image's mean first; all annotated entries of the batch count the "
                "same.", total((each.sum(axis=1) / np.maximum(count, 1)).mean())),
        Mistake("The contrastive part is left out.", float(alpha * mean)),
        Mistake("The BCE is left out.", float(beta * contrastive)),
        Mistake("alpha and beta have changed places.", float(beta * mean + alpha * contrastive)),
        Mistake("You took a mean of both parts, dividing by alpha + beta; they are added as they "
                "are.", total(mean) / (alpha + beta)),
        Mistake("beta multiplies the sum of both parts.", float(beta * (alpha * mean
                                                                         + contrastive))),
        Mistake("The sign is wrong: a loss is positive here, and both parts are added.",
                float(alpha * mean - beta * contrastive)),
    ]
    if alpha != 1:
        found.append(Mistake("alpha is left out.", float(mean + beta * contrastive)))
    return found
