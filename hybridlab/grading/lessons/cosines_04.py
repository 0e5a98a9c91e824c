"""Check of lesson 04's zero-shot scores (4.2, traps 8 and 9)."""

from __future__ import annotations

from functools import partial

import numpy as np

from hybridlab.grading.lessons.embeddings_04 import exact, kept, tensor, unit, vectors
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
_SHAPE = "One row for each image, one column for each label: images @ texts.T."
_SCALE = 100.0  # CLIP's logit_scale


def check_zero_shot_scores(trial: Trial) -> None:
    """Cosines against their definition; no competition between labels; gradients and dtype."""
    with trial.part("the worked example"):
        drawn = np.array([[3.0, 4.0], [0.0, 5.0]]), np.array([[1.0, 0.0], [0.0, 2.0], [-4.0, 3.0]])
        right = _right(*drawn)
        got = trial.call("zero_shot_scores", *map(tensor, drawn))
        trial.equal(got, right, "the scores of the example", own(right, _wrongly(*drawn)),
                    shape_hint=_SHAPE)
    with trial.part("any embeddings"):
        rng = trial.rng
        for square in (True, False):
            drawn, right, mistakes = telling(
                partial(_pair, rng, square), lambda drawn: (_right(*drawn), _wrongly(*drawn))
            )
            got = trial.call("zero_shot_scores", *map(tensor, drawn))
            trial.equal(got, right, f"the scores of {len(drawn[0])} images and {len(drawn[1])} "
                        "labels", mistakes, shape_hint=_SHAPE, picture="cosines")
        images, texts = drawn
        trial.equal(trial.call("zero_shot_scores", tensor(images[:1]), tensor(texts)), right[:1],
                    "the scores of the first image alone",
                    hint="An image's scores depend on no other image.")
    with trial.part("labels do not compete"):
        images, texts = _several(trial.rng)
        right = _right(images, texts)
        got = trial.call("zero_shot_scores", tensor(images), tensor(texts))
        trial.equal(got, right, "the scores of images with several objects",
                    own(right, _wrongly(images, texts)), shape_hint=_SHAPE)
        few = [0, 1]
        trial.equal(
            trial.call("zero_shot_scores", tensor(images), tensor(texts[few])), right[:, few],
            "the scores of the first two labels alone",
            hint="A label's score must not depend on which other labels are asked for: no softmax, "
            "no mean or maximum over labels.",
        )
        trial.equal(trial.call("zero_shot_scores", tensor(images), tensor(texts[:1])),
                    right[:, :1], "the scores of one label alone",
                    hint="A label's score must not depend on which other labels are asked for.")
    with trial.part("gradients and dtype"):
        images, texts = _pair(trial.rng, square=False)
        got, found = trial.gradients(
            "zero_shot_scores", tensor(images, double=True, gradient=True),
            tensor(texts, double=True, gradient=True),
        )
        trial.equal(got, _right(images, texts), "the scores of float64 embeddings")
        for gradient, of, other, what in zip(
            found, (images, texts), (texts, images), ("images", "texts"), strict=True
        ):
            right, detached = _gradients(of, other)
            trial.equal(
                gradient, right, f"the gradient of the {what}",
                [Mistake("The lengths carry no gradient (detached, or under no_grad), so a step "
                         "along the gradient changes lengths in vain.", detached)],
            )
        kept(trial, "zero_shot_scores", "the scores", _right(images, texts), images, texts)


def _right(images: Array, texts: Array) -> Array:
    return unit(images) @ unit(texts).T


def _pair(rng: np.random.Generator, square: bool) -> tuple[Array, Array]:
    """Images and texts: with `square` as many of one as of the other, else fewer labels."""
    labels = int(rng.integers(3, 6))
    images = labels if square else labels + int(rng.integers(1, 4))
    width = int(rng.integers(9, 14))
    return vectors(rng, images, width), vectors(rng, labels, width)


def _several(rng: np.random.Generator) -> tuple[Array, Array]:
    """Each image is a sum of the directions of two labels, and a little of something else."""
    images, texts = _pair(rng, square=False)
    for image in range(len(images)):
        shown = rng.permutation(len(texts))[:2]
        images[image] = unit(texts)[shown].sum(axis=0) + 0.2 * images[image]
    return exact(images), texts


def _gradients(of: Array, other: Array) -> tuple[Array, Array]:
    """Of the sum of all cosines for one side; right, and with its lengths taken as constants."""
    length = np.sqrt((of**2).sum(axis=1, keepdims=True))
    along = unit(other).sum(axis=0)
    detached = np.broadcast_to(along, of.shape) / length
    return detached - unit(of) * (unit(of) @ along)[:, None] / length, detached


def _softmax(logits: Array, axis: int) -> Array:
    powers = np.exp(logits - logits.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def _wrongly(images: Array, texts: Array) -> list[Mistake]:
    right, dot = _right(images, texts), images @ texts.T
    distance = np.sqrt(np.maximum(2 - 2 * right, 0))
    competing = ("You took a softmax over labels: with two objects present both fall, and adding a "
                 "label changes the others. Give the cosines.")
    found = [
        Mistake("That is the dot product. Divide both embeddings by their lengths: forgetting "
                "it raises no error and costs many points.", dot),
        Mistake("You normalised the images only; divide the texts by their lengths, too.",
                unit(images) @ texts.T),
        Mistake("You normalised the texts only; divide the images by their lengths, too.",
                images @ unit(texts).T),
        Mistake(competing, _softmax(_SCALE * right, 1)),
        Mistake(f"{competing} They need no scale.", _softmax(right, 1)),
        Mistake("You took a softmax over images; give the cosines.", _softmax(_SCALE * right, 0)),
        Mistake("You multiplied by 100, CLIP's logit_scale. Those are logits of a softmax; give "
                "the cosines.", _SCALE * right),
        Mistake("You took a sigmoid of the cosines: all values bunch near 0.55. Give the cosines; "
                "Platt scaling comes later (4.4).", 1 / (1 + np.exp(-right))),
        Mistake("You took a sigmoid of 100 times the cosine, which saturates at 1. Give the "
                "cosines.", 1 / (1 + np.exp(-_SCALE * right))),
        Mistake("Those are distances, 1 - cosine: the best label would score lowest.", 1 - right),
        Mistake("Those are distances between unit vectors: the best label would score lowest.",
                distance),
        Mistake("You set cosines below 0 to 0. They still rank labels: keep them.",
                np.maximum(right, 0)),
        Mistake("You normalised over the rows (dim=0) and not each vector (dim=1).",
                unit(images, axis=0) @ unit(texts, axis=0).T),
        Mistake("You normalised the products, row by row; normalise the embeddings before they are "
                "multiplied.", unit(dot)),
        Mistake("You divided by the squared lengths; divide by the lengths.",
                dot / (images**2).sum(axis=1)[:, None] / (texts**2).sum(axis=1)[None]),
        Mistake("You subtracted the mean over labels: a label's score must not depend on which "
                "others are asked for.", right - right.mean(axis=1, keepdims=True)),
    ]
    if len(images) == len(texts):
        found.append(Mistake("Your scores are transposed: rows are images, columns are labels.",
                             right.T))
    return found
