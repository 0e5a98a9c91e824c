"""Check of lesson 03's sigmoid loss of SigLIP (3.3, trap 10)."""

from __future__ import annotations

from functools import partial

import numpy as np

from hybridlab.grading.lessons.contrastive_03 import clip
from hybridlab.grading.lessons.losses_01 import tensor
from hybridlab.grading.lessons.pairs_03 import (
    AXES,
    CRASHES,
    NUMBER,
    SIGN,
    check_gradients,
    cosines,
    embeddings,
    misjudged,
)
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
Drawn = tuple[Array, Array, float, float]

_EXAMPLE = np.array([[3.0, 4.0], [0.0, 2.0]]), np.array([[4.0, 3.0], [0.0, 5.0]]), 5.0, -3.0
_STABLE = (
    "log(sigmoid(x)) is log(0) for a logit of -1000, and a clamp hides how wrong the answer is. "
    "F.logsigmoid(x) computes it from the logit itself."
)


def check_siglip_loss(trial: Trial) -> None:
    """Value, huge scales, gradients and dtype of SigLIP's loss."""
    with trial.part("the worked example"):
        images, texts, *numbers = _EXAMPLE
        right = _siglip(*_EXAMPLE)
        got = trial.call("siglip_loss", tensor(images), tensor(texts), *numbers)
        trial.equal(got, right, "the loss of the example",
                    own(right, _asked_wrongly(*_EXAMPLE)), shape_hint=NUMBER)
    with trial.part("any batch", CRASHES):
        rng = trial.rng
        for square in (False, True):
            drawn, right, mistakes = telling(
                partial(_batch, rng, square),
                lambda drawn: (_siglip(*drawn), _asked_wrongly(*drawn)),
            )
            images, texts, *numbers = drawn
            got = trial.call("siglip_loss", tensor(images), tensor(texts), *numbers)
            trial.equal(got, right, f"the loss of {len(images)} pairs", mistakes,
                        shape_hint=NUMBER)
        order = rng.permutation(len(images))
        got = trial.call("siglip_loss", tensor(images[order]), tensor(texts[order]), *numbers)
        trial.equal(got, right, "the loss of the same pairs in another order",
                    hint="A pair's place in the batch does not matter.")
        got = trial.call("siglip_loss", tensor(images), tensor(texts),
                         *(tensor(np.array(each)) for each in numbers))
        trial.equal(got, right, "the loss with scale and bias as tensors without axes",
                    hint="Scale and bias may be numbers or tensors: both are learnt.")
        got = trial.call("siglip_loss", tensor(images[:1]), tensor(texts[:1]), *numbers)
        trial.equal(got, _siglip(images[:1], texts[:1], *numbers), "the loss of one pair",
                    hint=f"With one pair it is the match's own term. {AXES}")
    with trial.part("huge scale"):
        images, texts, _, bias = _batch(trial.rng, False)
        for scale in (150.0, 1000.0):
            right = _siglip(images, texts, scale, bias)
            got = trial.call("siglip_loss", tensor(images), tensor(texts), scale, bias)
            trial.equal(got, right, f"the loss with a scale of {scale:g}",
                        hint="If it is right for small scales: " + _STABLE)
    with trial.part("gradients and dtype"):
        from hybridlab.contrastive.sigmoid import siglip_loss

        images, texts, *numbers = _batch(trial.rng, False)
        check_gradients(trial, "siglip_loss", siglip_loss, (images, texts), numbers,
                        ["scale", "bias"])


def _batch(rng: np.random.Generator, square: bool) -> Drawn:
    # multiples of 1/8: exact in float32
    scale, bias = float(rng.integers(32, 72)) / 8, float(rng.integers(-48, -16)) / 8
    return *embeddings(rng, square), scale, bias


def _siglip(images: Array, texts: Array, scale: float, bias: float) -> float:
    return _asked(scale * cosines(images, texts) + bias)


def _asked(logits: Array, negative: float = -1.0) -> float:
    """The loss of logits.

    Args:
        negative: what stands for "no match" in the place of -1.
    """
    z = np.where(np.eye(len(logits)) == 1, 1.0, negative)
    return float(np.logaddexp(0, -z * logits).sum() / len(logits))


def _asked_wrongly(images: Array, texts: Array, scale: float, bias: float) -> list[Mistake]:
    similarity = cosines(images, texts)
    logits, pairs = scale * similarity + bias, len(similarity)
    matches = np.eye(pairs) == 1
    right = _asked(logits)
    yes, no = np.logaddexp(0, -logits)[matches], np.logaddexp(0, logits)[~matches]
    z = np.where(matches, 1.0, -1.0)
    p = 1 / (1 + np.exp(-logits))
    return [
        *misjudged(images, texts, lambda found: _asked(scale * found + bias)),
        Mistake("You took the mean over all B x B pairs. SigLIP divides their sum by B: an image "
                "has one match however large the batch is, and its pull must not shrink with B.",
                right / pairs),
        Mistake("You added up all pairs; divide the sum by B, the number of pairs that match.",
                right * pairs),
        Mistake("You divided by 2, the example's number of pairs; count them.", right * pairs / 2),
        Mistake("The bias is left out: a logit is scale * cosine + bias.",
                _asked(scale * similarity)),
        Mistake("You subtracted the bias; a logit is scale * cosine + bias.",
                _asked(scale * similarity - bias)),
        Mistake("The scale multiplies the bias, too: a logit is scale * cosine + bias, not scale * "
                "(cosine + bias).", _asked(scale * (similarity + bias))),
        Mistake("The scale is missing: a logit is scale * cosine + bias.",
                _asked(similarity + bias)),
        Mistake("You divided by the scale; it multiplies the cosines.",
                _asked(similarity / scale + bias)),
        Mistake("You took the exponential of the scale. What is given is the scale itself, not its "
                "logarithm.", _asked(np.exp(scale) * similarity + bias)),
        Mistake("All your pairs count as matches: z is +1 on the diagonal and -1 elsewhere.",
                _asked(logits, 1.0)),
        Mistake("Your z is turned round: +1 where image and text belong together, -1 elsewhere.",
                _asked(-logits)),
        Mistake("Your z is 0 for pairs that do not match, so that each costs log 2 whatever its "
                "logit is; it is -1.", _asked(logits, 0.0)),
        Mistake("z multiplies the cosine only; it multiplies the whole logit, the bias included.",
                float(np.logaddexp(0, -(scale * z * similarity + bias)).sum() / pairs)),
        Mistake("You took the matches only: all other pairs of the batch are questions, too, with "
                "the answer no.", yes.mean()),
        Mistake("You took the mean of the matches plus the mean of the others; it is one sum over "
                "all pairs, divided by B.", yes.mean() + no.mean()),
        Mistake("You took the sigmoid twice: what expects logits was given probabilities.",
                _asked(p)),
        Mistake("That is CLIP's softmax loss, in which texts compete. SigLIP asks of each pair by "
                "itself whether it matches: a sigmoid.", clip(images, texts, scale)),
        Mistake(SIGN, -right),
    ]
