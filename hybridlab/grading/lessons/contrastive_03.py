"""Check of lesson 03's symmetric contrastive loss (3.1, trap 8)."""

from __future__ import annotations

from functools import partial

import numpy as np

from hybridlab.grading.lessons.losses_01 import tensor
from hybridlab.grading.lessons.pairs_03 import (
    AXES,
    CRASHES,
    NUMBER,
    SIGN,
    check_gradients,
    cosines,
    embeddings,
    log_softmax,
    misjudged,
)
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
Drawn = tuple[Array, Array, float]

EXAMPLE = np.array([[3.0, 4.0], [0.0, 2.0]]), np.array([[4.0, 3.0], [0.0, 5.0]]), 5.0
_STABLE = (
    "exp(100) is beyond float32, and the logarithm of a probability of 0 is -inf. F.cross_entropy "
    "and torch.log_softmax take logits of any size, because they subtract the largest first."
)
_DIMS = "F.cross_entropy takes (B, B) logits and B whole numbers, torch.arange(B)."


def check_contrastive_loss(trial: Trial) -> None:
    """Value, huge scales, gradients and dtype of CLIP's loss."""
    with trial.part("the worked example"):
        right = clip(*EXAMPLE)
        got = trial.call("contrastive_loss", *map(tensor, EXAMPLE[:2]), EXAMPLE[2])
        trial.equal(got, right, "the loss of the example",
                    own(right, _contrasted_wrongly(*EXAMPLE)), hint=_DIMS, shape_hint=NUMBER)
    with trial.part("any batch", CRASHES):
        rng = trial.rng
        for square in (False, True):
            (images, texts, scale), right, mistakes = telling(
                partial(_batch, rng, square),
                lambda drawn: (clip(*drawn), _contrasted_wrongly(*drawn)),
            )
            got = trial.call("contrastive_loss", tensor(images), tensor(texts), scale)
            trial.equal(got, right, f"the loss of {len(images)} pairs", mistakes,
                        shape_hint=NUMBER)
        order = rng.permutation(len(images))
        got = trial.call("contrastive_loss", tensor(images[order]), tensor(texts[order]), scale)
        trial.equal(got, right, "the loss of the same pairs in another order",
                    hint="A pair's place in the batch does not matter.")
        got = trial.call("contrastive_loss", tensor(images), tensor(texts), tensor(np.array(scale)))
        trial.equal(got, right, "the loss with the scale as a tensor without axes",
                    hint="The scale may be a number or a tensor: it is learnt.")
        got = trial.call("contrastive_loss", tensor(images[:1]), tensor(texts[:1]), scale)
        trial.equal(got, 0.0, "the loss of one pair",
                    hint=f"With one pair there is nothing to choose from: log(1) = 0. {AXES}")
    with trial.part("huge scale"):
        images, texts, _ = _batch(trial.rng, False)
        for scale in (150.0, 1000.0):
            right = clip(images, texts, scale)
            got = trial.call("contrastive_loss", tensor(images), tensor(texts), scale)
            trial.equal(got, right, f"the loss with a scale of {scale:g}",
                        hint="If it is right for small scales: " + _STABLE)
    with trial.part("gradients and dtype"):
        from hybridlab.contrastive.softmax import clip_loss

        images, texts, scale = _batch(trial.rng, False)
        check_gradients(trial, "contrastive_loss", clip_loss, (images, texts), [scale], ["scale"])


def _batch(rng: np.random.Generator, square: bool) -> Drawn:
    # multiples of 1/8: exact in float32
    return *embeddings(rng, square), float(rng.integers(24, 56)) / 8


def clip(images: Array, texts: Array, scale: float) -> float:
    """CLIP's loss."""
    return float(np.mean(_directions(scale * cosines(images, texts))))


def _directions(logits: Array) -> tuple[float, float]:
    """Each image picks its text, each text its image."""
    by_image, by_text = (-np.diagonal(log_softmax(logits, axis)).mean() for axis in (1, 0))
    return float(by_image), float(by_text)


def _contrasted_wrongly(images: Array, texts: Array, scale: float) -> list[Mistake]:
    similarity = cosines(images, texts)
    logits = scale * similarity
    by_image, by_text = _directions(logits)
    right, pairs = (by_image + by_text) / 2, len(logits)
    soft = [np.exp(log_softmax(logits, axis)) for axis in (1, 0)]
    again = [-np.diagonal(log_softmax(each, axis)).mean()
             for each, axis in zip(soft, (1, 0), strict=True)]
    spread = [-log_softmax(logits, axis).mean() for axis in (1, 0)]
    others = np.where(np.eye(pairs) == 1, -np.inf, logits)
    decoupled = [(np.logaddexp.reduce(others, axis=axis) - np.diagonal(logits)).mean()
                 for axis in (1, 0)]
    whole = np.logaddexp.reduce(logits, axis=None) - np.diagonal(logits).mean()
    log_of_mean = [-np.log(np.diagonal(each).mean()) for each in soft]
    return [
        *misjudged(images, texts, lambda found: np.mean(_directions(scale * found))),
        Mistake("The scale is missing: without it even a perfect batch costs a lot, since cosines "
                "lie between -1 and 1.", np.mean(_directions(similarity))),
        Mistake("You divided by the scale. It multiplies the cosines; what divides them is the "
                "temperature, 1 / scale.", np.mean(_directions(similarity / scale))),
        Mistake("You took the exponential of the scale. What is given is the scale itself, not its "
                "logarithm.", np.mean(_directions(np.exp(scale) * similarity))),
        Mistake("That is one direction only, each image picks its text (softmax over rows). Each "
                "text picks its image, too: the same with logits.T, then the mean of the two.",
                by_image),
        Mistake("That is one direction only, each text picks its image (softmax over columns). "
                "Each image picks its text, too; then the mean of the two.", by_text),
        Mistake("You added the two directions; the loss is their mean.", 2 * right),
        Mistake("You added up the pairs; the loss is their mean, or it would grow with the batch.",
                pairs * right),
        Mistake("You divided by 2, the example's number of pairs; count them.", pairs * right / 2),
        Mistake("You took the softmax twice: F.cross_entropy wants logits and takes it itself.",
                np.mean(again)),
        Mistake("You averaged all B x B entries of the log-softmax; only the matches on the "
                "diagonal count.", np.mean(spread)),
        Mistake("You left the match out of the sum below the line; softmax divides by the sum over "
                "all texts, the match among them.", np.mean(decoupled)),
        Mistake("You took one softmax over the whole matrix; each row has its own, and each "
                "column.", whole),
        Mistake("You took the logarithm of the mean probability; take the mean of the logarithms.",
                np.mean(log_of_mean)),
        Mistake(SIGN, -right),
    ]
