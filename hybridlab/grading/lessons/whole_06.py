"""Check of lesson 06's loss that cannot be cut (6.8, trap 15)."""

from __future__ import annotations

from functools import partial

import numpy as np

from hybridlab.grading.lessons.gate_05 import pair
from hybridlab.grading.lessons.losses_01 import tensor
from hybridlab.grading.lessons.sequences_02 import softmax
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
Drawn = tuple[Array, Array, float, int]  # image_emb, text_emb, scale, parts

_NAME = "whole_and_parts"
_RESULTS = ("the loss of the whole batch", "the mean loss of its parts")
_NUMBER = "A tensor without axes."
_CRASHES = {
    "IndexError": "The right text of image i of a part is text i of the same part: the targets are "
    "torch.arange(rows of the part).",
    "ValueError": "tensor_split cuts both embeddings into the same parts; take them in pairs.",
}


def check_whole_and_parts(trial: Trial) -> None:
    """Both losses for even and uneven parts, one part, and parts of one pair."""
    with trial.part("the whole", _CRASHES):
        image, text, scale, _ = _drawn(trial.rng)
        right = _loss(image, text, scale)
        got = _called(trial, (image, text, scale, 1))
        trial.equal(got[0], right, "the loss of the whole batch",
                    own(right, _loss_wrongly(image, text, scale)), shape_hint=_NUMBER)
        trial.equal(got[1], right, "the mean loss of one part", shape_hint=_NUMBER,
                    hint="One part is the whole batch.")
    with trial.part("parts", _CRASHES):
        drawn, right, mistakes = telling(
            partial(_drawn, trial.rng), lambda drawn: (_parts(*drawn), _parts_wrongly(*drawn))
        )
        got = _called(trial, drawn)
        trial.equal(got[0], _loss(*drawn[:3]), "the loss of the whole batch", shape_hint=_NUMBER)
        trial.equal(got[1], right, f"the mean loss of {len(drawn[0])} pairs in {drawn[3]} parts",
                    mistakes, shape_hint=_NUMBER)
    with trial.part("parts of one pair", _CRASHES):
        image, text, scale, _ = _drawn(trial.rng)
        got = _called(trial, (image, text, scale, len(image)))
        trial.equal(got[1], 0.0, "the mean loss of parts of one pair each", shape_hint=_NUMBER,
                    hint="A pair alone has nothing to choose from: its loss is 0. That is what "
                    "cutting the batch takes away.")
    with trial.part("gradients", _CRASHES):
        image, text, scale, parts = _drawn(trial.rng)
        given = [tensor(each, double=True, gradient=True) for each in (image, text)]
        found = trial.gradients(_NAME, *given, scale, parts)[1]
        for name, mine, wanted in zip(("image_emb", "text_emb"), found,
                                      _gradients(image, text, scale, parts), strict=True):
            trial.equal(mine, wanted, f"the gradient of {name}",
                        hint="If the values are right: nothing may be detached on the way to them.")


def _called(trial: Trial, drawn: Drawn) -> tuple[object, object]:
    image, text, scale, parts = drawn
    got = trial.call(_NAME, tensor(image), tensor(text), scale, parts)
    pair(got, _RESULTS, "whole, mean_of_parts")
    return got[0], got[1]


def _unit(values: Array) -> Array:
    return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True))


def _drawn(rng: np.random.Generator) -> Drawn:
    """So many pairs that the parts differ in size."""
    pairs, parts = int(rng.choice([7, 8])), int(rng.choice([3, 5]))
    image = _unit(rng.normal(size=(pairs, 6)))
    text = _unit(image + 0.6 * rng.normal(size=(pairs, 6)))
    as_given = [each.astype(np.float32).astype(float) for each in (image, text)]
    return as_given[0], as_given[1], float(rng.choice([5.0, 8.0])), parts


def _costs(logits: Array) -> Array:
    return np.asarray(-np.log(np.diagonal(softmax(logits))))


def _loss(image: Array, text: Array, scale: float) -> float:
    logits = scale * image @ text.T
    return float((_costs(logits).mean() + _costs(logits.T).mean()) / 2)


def _pieces(image: Array, text: Array, parts: int) -> list[tuple[Array, Array]]:
    return [(image[rows], text[rows])
            for rows in np.array_split(np.arange(len(image)), parts) if len(rows)]


def _parts(image: Array, text: Array, scale: float, parts: int) -> float:
    each = [(len(some), _loss(some, its, scale)) for some, its in _pieces(image, text, parts)]
    return sum(rows * loss for rows, loss in each) / len(image)


def _gradients(image: Array, text: Array, scale: float, parts: int) -> list[Array]:
    import torch
    import torch.nn.functional as F

    given = [tensor(each, double=True, gradient=True) for each in (image, text)]

    def loss(images, texts):  # type: ignore[no-untyped-def]
        logits, right = scale * images @ texts.T, torch.arange(len(images))
        return (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)) / 2

    total = loss(*given)
    for images, texts in zip(*(each.tensor_split(parts) for each in given), strict=True):
        total = total + len(images) * loss(images, texts) / len(image)
    return [np.asarray(each.numpy()) for each in torch.autograd.grad(total, given)]


def _loss_wrongly(image: Array, text: Array, scale: float) -> list[Mistake]:
    logits = scale * image @ text.T
    one, other = _costs(logits).mean(), _costs(logits.T).mean()
    return [
        Mistake("Only images choose in your result; texts choose, too.", one),
        Mistake("Only texts choose in your result; images choose, too.", other),
        Mistake("That is the sum of both directions; take their mean.", one + other),
        Mistake("The scale is missing.", _loss(image, text, 1.0)),
        Mistake("That is the sum over the pairs; take the mean.",
                float(_loss(image, text, scale) * len(image))),
    ]


def _parts_wrongly(image: Array, text: Array, scale: float, parts: int) -> list[Mistake]:
    pieces = _pieces(image, text, parts)
    losses = [_loss(some, its, scale) for some, its in pieces]
    among_all = [scale * some @ text.T for some, _ in pieces]
    return [
        Mistake("You took the plain mean of the parts' losses. The parts differ in size: weigh "
                "each by its rows.", float(np.mean(losses))),
        Mistake("You added up the parts' losses; take their mean, weighed by rows.",
                float(np.sum(losses))),
        Mistake("Your parts still see all texts: that is the loss of the whole batch. Within a "
                "part there are only its own.", _loss(image, text, scale)),
        Mistake("That is the last part's loss.", losses[-1]),
        Mistake("Images choose among the texts of the whole batch, texts among the images of "
                "theirs; each part has only its own pairs.",
                float(np.concatenate([_costs_at(each, at) for each, at in zip(
                    among_all, np.cumsum([0, *(len(some) for some, _ in pieces)]), strict=False)
                ]).mean() / 2 + sum(len(some) * _costs(scale * its @ some.T).mean()
                                    for some, its in pieces) / len(image) / 2)),
    ]


def _costs_at(logits: Array, begin: int) -> Array:
    """Rows that choose among more columns than there are rows."""
    rows = np.arange(len(logits))
    return np.asarray(-np.log(softmax(logits)[rows, begin + rows]))
