"""Check of lesson 04's scores of patches (4.5)."""

from __future__ import annotations

import numpy as np

from hybridlab.grading.lessons.embeddings_04 import exact, kept, tensor, unit, vectors
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
Drawn = tuple[Array, Array, float]
nan = float("nan")
_SHAPE = "One score for each image and label: pool over axis 1, the patches."
_DEFAULT = 0.05


def check_patch_scores(trial: Trial) -> None:
    """Attention and maximum against the definition; small temperatures; tokens of zeros; dtype."""
    with trial.part("the worked example"):
        tokens, texts = np.array([[[2.0, 0.0], [0.0, 3.0]]]), np.array([[5.0, 0.0], [3.0, 4.0]])
        right = _right(tokens, texts, 0.5)
        got = trial.call("patch_scores", tensor(tokens), tensor(texts), 0.5)
        trial.equal(got, right, "the scores of the example",
                    own(right, _wrongly(tokens, texts, 0.5)), shape_hint=_SHAPE)
        trial.equal(trial.call("patch_scores", tensor(tokens), tensor(texts), None),
                    _best(tokens, texts), "the scores of the example with temperature None",
                    shape_hint=_SHAPE)
    with trial.part("any tokens"):
        rng = trial.rng
        (tokens, texts, at), right, mistakes = telling(
            lambda: _tokens(rng), lambda drawn: (_right(*drawn), _wrongly(*drawn))
        )
        given = tensor(tokens), tensor(texts)
        trial.equal(trial.call("patch_scores", *given, at), right,
                    f"the scores at temperature {at:.2f}", mistakes, shape_hint=_SHAPE)
        trial.equal(trial.call("patch_scores", *given), _right(tokens, texts, _DEFAULT),
                    "the scores if no temperature is given: 0.05")
        order = rng.permutation(tokens.shape[1])
        trial.equal(trial.call("patch_scores", tensor(tokens[:, order]), given[1], temperature=at),
                    right, "the scores with the patches in another order",
                    hint="The order of the patches does not matter.")
        trial.equal(trial.call("patch_scores", tensor(tokens[:1]), tensor(texts[:1]), at),
                    right[:1, :1], "the score of one image and one label alone",
                    hint="A score depends on its own image and its own label only: the softmax "
                    "runs over patches.")
        one = tokens[:, :1]
        trial.equal(trial.call("patch_scores", tensor(one), given[1], at), _best(one, texts),
                    "the scores of images with one patch",
                    hint="One patch has weight 1: its cosine is the score.")
    with trial.part("the best patch"):
        rng = trial.rng
        (tokens, texts, _), right, mistakes = telling(
            lambda: _tokens(rng), lambda drawn: (_best(*drawn[:2]), _best_wrongly(*drawn[:2]))
        )
        got = trial.call("patch_scores", tensor(tokens), tensor(texts), None)
        trial.equal(got, right, "the scores with temperature None", mistakes, shape_hint=_SHAPE)
    with trial.part("small temperatures, tokens of zeros, dtype"):
        rng = trial.rng
        tokens, texts, at = _tokens(rng)
        trial.equal(
            trial.call("patch_scores", tensor(tokens), tensor(texts), 0.001),
            _right(tokens, texts, 0.001), "the scores at temperature 0.001",
            [Mistake("exp(cosine / temperature) is exp(900) where the cosine is 0.9, more than a "
                     "float32 holds. torch.softmax takes the maximum off first.",
                     _overflown(tokens, texts, 0.001))],
        )
        (tokens, texts, at), right, mistakes = telling(
            lambda: _with_zeros(rng), lambda drawn: (_right(*drawn), _zeros_wrongly(*drawn))
        )
        got = trial.call("patch_scores", tensor(tokens), tensor(texts), at)
        trial.equal(got, right, "the scores with tokens of zeros", mistakes,
                    hint="A token of zeros has cosine 0 with everything, and takes part in the "
                    "softmax; F.normalize(x, dim=...) leaves it 0.")
        trial.equal(trial.call("patch_scores", tensor(tokens), tensor(texts), None),
                    _best(tokens, texts), "the best patches with tokens of zeros")
        kept(trial, "patch_scores", "the scores", right, tokens, texts, temperature=at)


def _tokens(rng: np.random.Generator) -> Drawn:
    """(B, P, D) tokens, (L, D) texts, and a temperature that is not the default.

    Numbers of images, patches and labels differ, so that an axis taken for another shows.
    """
    labels = int(rng.integers(4, 6))
    images, patches = labels - 1, labels + int(rng.integers(2, 5))
    width = int(rng.integers(6, 10))
    return (vectors(rng, images, patches, width), vectors(rng, labels, width),
            float(rng.uniform(0.15, 0.4)))


def _with_zeros(rng: np.random.Generator) -> Drawn:
    """In one image some patches are zeros, and all others point away from label 0."""
    tokens, texts, at = _tokens(rng)
    tokens[0] = exact(tokens[0] - np.maximum(0, tokens[0] @ unit(texts[0]) + 0.1)[:, None]
                      * unit(texts[0]))
    tokens[0, :2] = 0
    tokens[1, int(rng.integers(tokens.shape[1]))] = 0
    return tokens, texts, at


def _cosines(tokens: Array, texts: Array) -> Array:
    return unit(tokens) @ unit(texts).T


def _softmax(logits: Array, axis: int) -> Array:
    powers = np.exp(logits - logits.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def _right(tokens: Array, texts: Array, temperature: float) -> Array:
    cosines = _cosines(tokens, texts)
    return (_softmax(cosines / temperature, 1) * cosines).sum(axis=1)


def _best(tokens: Array, texts: Array) -> Array:
    return _cosines(tokens, texts).max(axis=1)


def _wrongly(tokens: Array, texts: Array, at: float) -> list[Mistake]:
    cosines, dot = _cosines(tokens, texts), tokens @ texts.T
    weights = _softmax(cosines / at, 1)
    right = (weights * cosines).sum(axis=1)
    half, other = tokens @ unit(texts).T, unit(tokens) @ texts.T
    smooth = at * np.log(np.exp(cosines / at).sum(axis=1))

    def pooled(scores: Array) -> Array:
        return (_softmax(scores / at, 1) * scores).sum(axis=1)

    def weighed(weight: Array) -> Array:
        return (weight * cosines).sum(axis=1)

    vector = np.einsum("bpl,bpd->bld", weights, unit(tokens))
    return [
        Mistake("Your softmax runs over labels (dim=2), so that they compete; it runs over patches "
                "(dim=1).", weighed(_softmax(cosines / at, 2))),
        Mistake("Your softmax runs over images (dim=0); it runs over patches (dim=1).",
                weighed(_softmax(cosines / at, 0))),
        Mistake("Your softmax runs over patches and labels at once; each label has weights of its "
                "own.", weighed(_softmax((cosines / at).reshape(len(tokens), -1), 1)
                                .reshape(cosines.shape))),
        Mistake("You took dot products throughout: divide tokens and texts by their lengths.",
                pooled(dot)),
        Mistake("The tokens are not normalised: divide each by its length.", pooled(half)),
        Mistake("The texts are not normalised: divide each by its length.", pooled(other)),
        Mistake("Your weights come from raw dot products: a long token then wins. Take the "
                "cosines.", weighed(_softmax(dot / at, 1))),
        Mistake("The cosines are right in the weights only: what is averaged are dot products.",
                (weights * dot).sum(axis=1)),
        Mistake("That is the plain mean over patches, in which a small object drowns.",
                cosines.mean(axis=1)),
        Mistake("That is the best patch; with a temperature it is a weighted mean.",
                cosines.max(axis=1)),
        Mistake("You multiplied by the temperature; divide by it: the smaller, the sharper.",
                weighed(_softmax(cosines * at, 1))),
        Mistake("The temperature has no effect on your weights; they are softmax(cosine / "
                "temperature).", weighed(_softmax(cosines, 1))),
        Mistake("You used a temperature of 0.05, the default; it is an argument.",
                _right(tokens, texts, _DEFAULT)),
        *([Mistake("You used a temperature of 0.5, the example's; it is an argument.",
                   _right(tokens, texts, 0.5))] if at != 0.5 else []),
        Mistake("You took the mean of the weighted cosines; the weights add up to 1 already, so "
                "take the sum.", right / tokens.shape[1]),
        Mistake("Those are the sums of the weights, which are 1; multiply them by the cosines.",
                weights.sum(axis=1)),
        Mistake("You took the logarithm of the sum of powers, another smooth maximum that grows "
                "with the number of patches. Take the weighted mean.", smooth),
        Mistake("You took the logarithm of the mean of powers, another smooth maximum. Take the "
                "weighted mean.", smooth - at * np.log(tokens.shape[1])),
        Mistake("You averaged the tokens first and compared their mean with the texts: that is the "
                "whole picture's score.", unit(unit(tokens).mean(axis=1)) @ unit(texts).T),
        Mistake("You averaged the raw tokens first and compared their mean with the texts: that is "
                "the whole picture's score.", unit(tokens.mean(axis=1)) @ unit(texts).T),
        Mistake("You pooled the tokens and normalised what came out; the score is the weighted "
                "mean of the cosines.", np.einsum("bld,ld->bl", unit(vector), unit(texts))),
        Mistake("All labels share your weights (those of each patch's best label); each label has "
                "weights of its own.", weighed(_softmax(cosines.max(axis=2, keepdims=True) / at, 1)
                                               * np.ones_like(cosines))),
        Mistake("F.normalize takes dim=1 unless told, and that is the patches' axis here: give "
                "dim=-1.", pooled(unit(tokens, axis=1) @ unit(texts).T)),
    ]


def _best_wrongly(tokens: Array, texts: Array) -> list[Mistake]:
    cosines, dot = _cosines(tokens, texts), tokens @ texts.T
    longest = np.argmax((tokens**2).sum(axis=2), axis=1)
    return [
        Mistake("With temperature None you took the mean over patches; take the best patch.",
                cosines.mean(axis=1)),
        Mistake("With temperature None you took the default temperature; take the best patch's "
                "cosine.", _right(tokens, texts, _DEFAULT)),
        Mistake("You took the temperature 1; with None it is the best patch.",
                _right(tokens, texts, 1.0)),
        Mistake("You took the largest dot product; normalise tokens and texts first.",
                dot.max(axis=1)),
        Mistake("The tokens are not normalised: a long token wins.",
                (tokens @ unit(texts).T).max(axis=1)),
        Mistake("The texts are not normalised.", (unit(tokens) @ texts.T).max(axis=1)),
        Mistake("You took the patch with the largest dot product; a long token wins there. Take "
                "the largest cosine.",
                np.take_along_axis(cosines, dot.argmax(axis=1)[:, None], 1)[:, 0]),
        Mistake("You took the worst patch; take the best.", cosines.min(axis=1)),
        Mistake("You took the largest absolute cosine; one below 0 speaks against the label.",
                abs(cosines).max(axis=1)),
        Mistake("You took the longest token's cosines; each label has a best patch of its own.",
                cosines[np.arange(len(tokens)), longest]),
        Mistake("All labels share one patch in your answer; each has a best patch of its own.",
                cosines[np.arange(len(tokens)), cosines.max(axis=2).argmax(axis=1)]),
    ]


def _overflown(tokens: Array, texts: Array, temperature: float) -> Array:
    """NaN where the largest power is no float32, or all of them are 0."""
    cosines = _cosines(tokens, texts)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        powers = np.exp((cosines / temperature).astype(np.float32))
        return (powers * cosines).sum(axis=1) / powers.sum(axis=1)


def _zeros_wrongly(tokens: Array, texts: Array, at: float) -> list[Mistake]:
    right, cosines = _right(tokens, texts, at), _cosines(tokens, texts)
    empty = np.all(tokens == 0, axis=2)
    spoilt = np.where(np.any(empty, axis=1)[:, None], nan, right)
    without = np.where(empty[..., None], -np.inf, cosines / at)
    return [
        Mistake("0 / 0 is NaN, and one token of zeros spoilt its image. A vector of length 0 stays "
                "0: F.normalize(x, dim=...), or divide by length.clamp(min=1e-12).", spoilt),
        Mistake("You left tokens of zeros out. They have cosine 0 with everything and take part in "
                "the softmax, as patches that show nothing do.",
                (_softmax(without, 1) * cosines).sum(axis=1)),
    ]
