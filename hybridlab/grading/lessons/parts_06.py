"""Check of lesson 06's gradient of a batch in parts (6.7, trap 15)."""

from __future__ import annotations

from functools import partial

import numpy as np

from hybridlab.grading.lessons.losses_01 import sigmoid, tensor
from hybridlab.grading.lessons.sequences_02 import exact
from hybridlab.grading.telling import telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
Drawn = tuple[Array, Array, Array, int]  # inputs, targets, weight, parts

_NAME = "accumulated_gradient"
_SHAPE = "The gradient has the shape of weight: (L, D)."
_CRASHES = {
    "RuntimeError": "some @ weight.T is (b, L); its product back to (L, D) is error.T @ some.",
}


def check_accumulated_gradient(trial: Trial) -> None:
    """Parts of unlike sizes and annotations; empty parts; nothing annotated; dtype."""
    with trial.part("one part", _CRASHES):
        inputs, targets, weight, _ = _drawn(trial.rng)
        whole = inputs, targets, weight, 1
        _judged(trial, whole, "a batch in one part", [
            each for each in _wrongly(*whole) if not np.allclose(each.value, _right(*whole))])
    with trial.part("any parts", _CRASHES):
        drawn, _, mistakes = telling(
            partial(_drawn, trial.rng), lambda drawn: (_right(*drawn), _wrongly(*drawn))
        )
        inputs, targets, weight, parts = drawn
        _judged(trial, drawn, f"{len(inputs)} rows in {parts} parts", mistakes)
        _judged(trial, (inputs, targets, weight, len(inputs)), "the same, row by row",
                hint="However a batch is cut, its gradient is the same.")
        _judged(trial, (inputs, targets, weight, len(inputs) + 3), "the same, in more parts than "
                "there are rows", hint="tensor_split then gives empty parts: they add 0, not NaN.")
    with trial.part("nothing annotated", _CRASHES):
        inputs, targets, weight, parts = _drawn(trial.rng)
        targets[: len(targets) // 2] = -1
        _judged(trial, (inputs, targets, weight, 2), "a batch whose first half is not annotated",
                hint="A part without annotated entries adds 0: do not divide by its own count.")
        _judged(trial, (inputs, np.full_like(targets, -1), weight, parts),
                "a batch without annotated entries", hint="0 / 0: divide by 1 at least.")
    with trial.part("dtype", _CRASHES):
        inputs, targets, weight, parts = _drawn(trial.rng)
        given = tensor(weight, double=True)
        got = trial.call(_NAME, tensor(inputs, double=True), _whole(targets), given, parts)
        trial.tensor(got, given, "the gradient of float64 weights")


def _judged(
    trial: Trial, drawn: Drawn, what: str, mistakes: list[Mistake] | None = None, hint: str = ""
) -> None:
    inputs, targets, weight, parts = drawn
    got = trial.call(_NAME, tensor(inputs), _whole(targets), tensor(weight), parts)
    trial.equal(got, _right(*drawn), f"the gradient of {what}", mistakes or [], hint=hint,
                shape_hint=_SHAPE)


def _whole(targets: Array) -> object:
    import torch

    return torch.tensor(targets, dtype=torch.int64)


def _drawn(rng: np.random.Generator) -> Drawn:
    """Parts that differ in rows and in how much is annotated."""
    rows, labels, dim = int(rng.integers(7, 9)), 4, 3
    targets = rng.integers(0, 2, (rows, labels))
    targets[:2, :3] = -1
    targets[-1, 0] = -1
    return (exact(rng.normal(size=(rows, dim))), targets, exact(rng.normal(size=(labels, dim))),
            int(rng.integers(3, 5)))


def _sums(inputs: Array, targets: Array, weight: Array) -> Array:
    """The gradient of the summed loss."""
    error = np.where(targets >= 0, sigmoid(inputs @ weight.T) - targets, 0)
    return np.asarray(error.T @ inputs)


def _right(inputs: Array, targets: Array, weight: Array, parts: int) -> Array:
    return np.asarray(_sums(inputs, targets, weight) / max(1, int((targets >= 0).sum())))


def _wrongly(inputs: Array, targets: Array, weight: Array, parts: int) -> list[Mistake]:
    pieces = [(inputs[rows], targets[rows])
              for rows in np.array_split(np.arange(len(inputs)), parts) if len(rows)]
    means = [_right(some, truth, weight, 1) for some, truth in pieces]
    summed = _sums(inputs, targets, weight)
    as_absent = ((sigmoid(inputs @ weight.T) - (targets > 0)).T @ inputs) / targets.size
    as_told = ((sigmoid(inputs @ weight.T) - targets).T @ inputs) / targets.size
    rows = np.array([len(some) for some, _ in pieces]) / len(inputs)
    return [
        Mistake("You took the mean of the parts' means. The parts differ in how much is annotated: "
                "divide sums by the count of the whole batch.", np.mean(means, axis=0)),
        Mistake("You added up the parts' means: with twice as many parts the gradient is twice as "
                "large.", np.sum(means, axis=0)),
        Mistake("You weighed the parts by their rows. What counts are annotated entries, in which "
                "rows differ.", np.einsum("p,pld->ld", rows, np.array(means))),
        Mistake("That is the gradient of the sum; divide by the number of annotated entries.",
                summed),
        Mistake("You divided by the number of parts as well: what the parts give is added up.",
                summed / max(1, int((targets >= 0).sum())) / parts),
        Mistake("You divided by all entries, annotated or not.", summed / targets.size),
        Mistake("Entries that are not annotated count as absent in your result; they count as "
                "nothing.", as_absent),
        Mistake("-1 went into the loss as a target; leave those entries out.", as_told),
        Mistake("That is the last part alone: add up, do not overwrite.", means[-1]),
    ]
