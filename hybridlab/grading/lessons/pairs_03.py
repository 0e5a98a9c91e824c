"""What the checks of lesson 03's losses share: batches of pairs, and how their cosines go wrong.

Expected values are computed in float64 from embeddings that float32 holds exactly, so that the
standard tolerance leaves room for any order of adding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hybridlab.grading.lessons.losses_01 import tensor
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray

NUMBER = "The loss is one number, not one for each pair: take the mean at the end."
AXES = "Keep the axes as they are: .squeeze() drops one where there is one pair."
CRASHES = {"IndexError": AXES}
SIGN = "The sign is wrong: a loss is positive, and falls as the matches get better."


def embeddings(rng: np.random.Generator, square: bool = False) -> tuple[Array, Array]:
    """(B, D) images and texts, row i of both loosely alike, of any length but 1.

    Args:
        square: B is D, so that a product of the wrong sides has the right shape.
    """
    width = int(rng.integers(5, 8))
    pairs = width if square else width + int(rng.integers(1, 4))
    shared = rng.normal(size=(pairs, width))
    found = []
    for _ in range(2):
        emb = units(shared + 1.2 * rng.normal(size=(pairs, width)))
        found.append(exact(emb * rng.uniform(1.3, 3, (pairs, 1))))
    return found[0], found[1]


def exact(values: Array) -> Array:
    """The nearest values that float32 holds, as float64."""
    return np.asarray(values).astype(np.float32).astype(float)


def units(rows: Array, axis: int = 1) -> Array:
    """Each row, or each column (axis 0), divided by its length."""
    return rows / np.linalg.norm(rows, axis=axis, keepdims=True)


def cosines(images: Array, texts: Array) -> Array:
    """(B, B), images by texts."""
    return units(images) @ units(texts).T


def log_softmax(logits: Array, axis: int) -> Array:
    """Of huge logits, too."""
    return logits - np.logaddexp.reduce(logits, axis=axis, keepdims=True)


def misjudged(
    images: Array, texts: Array, loss: Callable[[Array], Any]
) -> list[Mistake]:
    """The loss of similarities that are no cosines.

    Args:
        loss: of a square matrix of similarities.
    """
    plain = "A cosine needs both at length 1: F.normalize(emb, dim=1) before the product."
    ways = [
        (f"You did not normalise the embeddings. {plain}", images @ texts.T),
        (f"You normalised the images only. {plain}", units(images) @ texts.T),
        (f"You normalised the texts only. {plain}", images @ units(texts).T),
        ("You normalised over the batch (dim=0); each embedding is a row: dim=1.",
         units(images, 0) @ units(texts, 0).T),
        ("You compared features, not pairs: image_emb.T @ text_emb is (D, D). Images by texts is "
         "image_emb @ text_emb.T, (B, B).", units(images).T @ units(texts)),
        ("You took the similarity of images with images.", units(images) @ units(images).T),
        ("You took the similarity of texts with texts.", units(texts) @ units(texts).T),
    ]
    return [Mistake(words, loss(similarity)) for words, similarity in ways]


def check_gradients(
    trial: Trial, name: str, right: Callable[..., Any], pairs: tuple[Array, Array],
    numbers: Sequence[float], called: Sequence[str],
) -> None:
    """dtype of the loss and the gradients of both embeddings and of each number, in float64.

    Args:
        right: the package's loss, of unit vectors and numbers.
        numbers: the other arguments, each a tensor that requires a gradient.
        called: what they are called.

    Raises:
        Wrong: see `Trial.gradients`, `Trial.tensor` and `Trial.equal`.
    """
    given = [tensor(each, double=True, gradient=True) for each in (*pairs, *map(np.array, numbers))]
    got, found = trial.gradients(name, *given)
    trial.tensor(got, given[0], "the loss of float64 embeddings")
    trial.form(got, np.zeros(()), "the loss", NUMBER)
    expected, detached = _gradients(right, pairs, numbers)
    words = Mistake(
        "The length that you divided by carries no gradient (.detach(), .data or no_grad): part of "
        "each step would then go into the length, which the loss does not depend on. F.normalize "
        "keeps the gradient.", 0.0,
    )
    for what, mine, wanted, fixed in zip(("images", "texts"), found, expected, detached,
                                         strict=False):
        trial.equal(mine, wanted, f"the gradient of the {what}", [words._replace(value=fixed)],
                    hint="If the loss is right: nothing may be rounded, clamped or detached on the "
                    "way to it.")
    for what, mine, wanted in zip(called, found[2:], expected[2:], strict=True):
        trial.equal(mine, wanted, f"the gradient of the {what}",
                    hint=f"If the loss is right: the {what} is learnt, too, so use the tensor as "
                    "it is given.")


def _gradients(
    right: Callable[..., Any], pairs: tuple[Array, Array], numbers: Sequence[float]
) -> tuple[list[Array], list[Array]]:
    """Of embeddings and numbers; and of embeddings whose length is taken for a constant."""
    import torch
    import torch.nn.functional as F

    given = [tensor(each, double=True, gradient=True) for each in (*pairs, *map(np.array, numbers))]
    unit = [F.normalize(each, dim=1) for each in given[:2]]
    found = torch.autograd.grad(right(*unit, *given[2:]), [*given, *unit])
    lengths = [np.linalg.norm(each, axis=1, keepdims=True) for each in pairs]
    fixed = [each.numpy() / length for each, length in zip(found[-2:], lengths, strict=True)]
    return [each.numpy() for each in found[:-2]], fixed
