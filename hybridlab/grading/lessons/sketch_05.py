"""Check of lesson 05's compact bilinear pooling (5.5, trap 24)."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from hybridlab.grading.lessons.losses_01 import tensor
from hybridlab.grading.lessons.sequences_02 import exact, whole
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
Drawn = tuple[Array, Array, Array, Array, Array, Array, int]

_NAME = "compact_bilinear"
_EXAMPLE = (
    np.array([[1.0, 2.0]]), np.array([[3.0, 4.0, 5.0]]), np.array([1, 1]), np.array([1.0, -1.0]),
    np.array([1, 2, 0]), np.array([1.0, 1.0, -1.0]), 3,
)
_SHAPE = "The result is (B, size)."
_CRASHES = {
    "RuntimeError": "A sketch is (B, size): torch.zeros(B, size).index_add(1, place, view * sign). "
    "torch.fft.irfft(x, n=size) gives `size` numbers back, where without n= an odd size loses one.",
    "IndexError": "place[i] is the column of the sketch to which feature i is added.",
    "TypeError": "index_add takes the axis, the places and the numbers: "
    "sketch.index_add(1, place, view * sign).",
}
_ODD = (
    "torch.fft.irfft gives back an even number unless told otherwise: pass n=size."
)


def check_compact_bilinear(trial: Trial) -> None:
    """Sketches of any size, odd ones, crowded ones; gradients and dtype."""
    with trial.part("the worked example", _CRASHES):
        right = _right(*_EXAMPLE)
        trial.equal(trial.call(_NAME, *_given(_EXAMPLE)), right, "the example",
                    own(right, _wrongly(*_EXAMPLE)), shape_hint=_ODD)
    with trial.part("any two views", _CRASHES):
        rng = trial.rng
        for size in (6, 8):
            drawn, right, mistakes = telling(
                partial(_views, rng, size), lambda drawn: (_right(*drawn), _wrongly(*drawn))
            )
            trial.equal(trial.call(_NAME, *_given(drawn)), right,
                        f"the result of a {drawn[0].shape}, b {drawn[1].shape} and size {size}",
                        mistakes, shape_hint=_SHAPE, atol=1e-5)
        a, b, *others = drawn
        trial.equal(trial.call(_NAME, *_given((a[:1], b[:1], *others))), right[:1],  # type: ignore[arg-type]
                    "one image alone", shape_hint=_SHAPE, atol=1e-5)
    with trial.part("odd and small sizes", _CRASHES):
        for size in (5, 1, 2):
            drawn = _views(trial.rng, size)
            trial.equal(trial.call(_NAME, *_given(drawn)), _right(*drawn),
                        f"the result of size {size}", hint=_ODD, shape_hint=_ODD, atol=1e-5)
    with trial.part("gradients and dtype", _CRASHES):
        drawn = _views(trial.rng, 6)
        a, b, place_a, sign_a, place_b, sign_b, size = drawn
        given = [tensor(each, double=True, gradient=True) for each in (a, b)]
        rest = _rest((place_a, sign_a, place_b, sign_b, size), double=True)
        got, found = trial.gradients(_NAME, *given, *rest)
        trial.tensor(got, given[0], "the result of float64 views")
        trial.equal(got, _right(*drawn), "the result", shape_hint=_SHAPE)
        # the sum of a convolution is the product of the sums
        sum_a, sum_b = (a * sign_a).sum(axis=1)[:, None], (b * sign_b).sum(axis=1)[:, None]
        for name, mine, wanted in (("a", found[0], sign_a * sum_b),
                                   ("b", found[1], sign_b * sum_a)):
            trial.equal(mine, wanted, f"the gradient of {name}",
                        hint="If the result is right: nothing may be detached on the way to it.",
                        atol=1e-5)


def _given(drawn: Drawn) -> tuple[Any, ...]:
    a, b, *others = drawn
    return tensor(a), tensor(b), *_rest(others)


def _rest(others: Any, double: bool = False) -> tuple[Any, ...]:
    place_a, sign_a, place_b, sign_b, size = others
    return (whole(place_a), tensor(sign_a, double), whole(place_b), tensor(sign_b, double), size)


def _views(rng: np.random.Generator, size: int) -> Drawn:
    """Two features of each view share a place, and have signs that differ."""
    images, wide_a, wide_b = 3, int(rng.integers(3, 5)), int(rng.integers(5, 7))
    drawn: list[Array] = []
    for wide in (wide_a, wide_b):
        place = rng.integers(0, size, wide)
        place[1] = place[0]
        sign = rng.choice([-1.0, 1.0], wide)
        sign[1] = -sign[0]
        drawn += [place, sign]
    return (
        exact(rng.normal(size=(images, wide_a))), exact(rng.normal(size=(images, wide_b))),
        *drawn, size,
    )  # type: ignore[return-value]


def _sketch(view: Array, place: Array, sign: Array, size: int, overwrite: bool = False) -> Array:
    sketch = np.zeros((len(view), size))
    for at, where in enumerate(place):
        if overwrite:
            sketch[:, where] = 0
        sketch[:, where] += sign[at] * view[:, at]
    return sketch


def _convolved(one: Array, other: Array) -> Array:
    return np.real(np.fft.ifft(np.fft.fft(one) * np.fft.fft(other)))


def _right(
    a: Array, b: Array, place_a: Array, sign_a: Array, place_b: Array, sign_b: Array, size: int
) -> Array:
    return _convolved(_sketch(a, place_a, sign_a, size), _sketch(b, place_b, sign_b, size))


def _wrongly(
    a: Array, b: Array, place_a: Array, sign_a: Array, place_b: Array, sign_b: Array, size: int
) -> list[Mistake]:
    one, other = _sketch(a, place_a, sign_a, size), _sketch(b, place_b, sign_b, size)
    right = _convolved(one, other)
    ones_a, ones_b = np.ones_like(sign_a), np.ones_like(sign_b)
    rooted = np.sign(right) * np.sqrt(np.abs(right))
    length = np.maximum(np.linalg.norm(right, axis=1, keepdims=True), 1e-12)
    return [
        Mistake("You multiplied the sketches number by number. Multiply their Fourier transforms: "
                "that makes a convolution.", one * other),
        Mistake("You multiplied one transform by the conjugate of the other: that is a "
                "correlation. Multiply them as they are.", np.real(np.fft.ifft(
                    np.fft.fft(one) * np.conj(np.fft.fft(other))))),
        Mistake("You multiplied the conjugate of a's transform by that of b: that is a "
                "correlation. Multiply them as they are.", np.real(np.fft.ifft(
                    np.conj(np.fft.fft(one)) * np.fft.fft(other)))),
        Mistake("The signs are missing.", _convolved(_sketch(a, place_a, ones_a, size),
                                                     _sketch(b, place_b, ones_b, size))),
        Mistake("The signs of b are missing.", _convolved(one, _sketch(b, place_b, ones_b, size))),
        Mistake("The signs of a are missing.",
                _convolved(_sketch(a, place_a, ones_a, size), other)),
        Mistake("Where several features share a place, the last one wins in your sketch; they are "
                "added. sketch[:, place] = ... overwrites: use index_add.",
                _convolved(_sketch(a, place_a, sign_a, size, True),
                           _sketch(b, place_b, sign_b, size, True))),
        Mistake("The square root that follows in MCB is not asked here.", rooted),
        Mistake("The square root and the unit length that follow in MCB are not asked here.",
                rooted / np.maximum(np.linalg.norm(rooted, axis=1, keepdims=True), 1e-12)),
        Mistake("The unit length that follows in MCB is not asked here.", right / length),
        Mistake("You added the sketches; convolve them.", one + other),
        Mistake("You divided by the number of entries once more: irfft has done so.",
                right / size),
    ]
