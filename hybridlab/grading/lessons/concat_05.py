"""Check of lesson 05's concatenation and projection (5.1, seed 000 section 2.1)."""

from __future__ import annotations

from functools import partial

import numpy as np

from hybridlab.grading.lessons.losses_01 import tensor
from hybridlab.grading.lessons.sequences_02 import exact
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
Drawn = tuple[Array, Array, Array, Array]  # a, b, weight, bias

_NAME = "concat_fusion"
_NAMES = ("a", "b", "weight", "bias")
_EXAMPLE = (
    np.array([[1.0, 2.0]]), np.array([[3.0]]), np.array([[1.0, 0, 0], [0, 1, 1], [0, 0, 1]]),
    np.array([0.0, 1.0, 0.0]),
)
_SHAPE = "One row of D numbers for each image: (B, D)."
_CRASHES = {
    "RuntimeError": "Both views side by side are (B, D_a + D_b), concatenated along the last axis; "
    "weight is (D, D_a + D_b), so the product is with weight.T.",
    "IndexError": "Keep the axes as they are: .squeeze() drops one where there is one image.",
}
_TINY = (
    "If it is right for larger numbers: 1e-5 stands inside the square root, beside the variance. "
    "Where all numbers of a row are nearly the same, it decides."
)


def check_concat_fusion(trial: Trial) -> None:
    """Views of any widths, of equal widths, rows that hardly vary; gradients and dtype."""
    with trial.part("the worked example", _CRASHES):
        right = _right(*_EXAMPLE)
        trial.equal(trial.call(_NAME, *map(tensor, _EXAMPLE)), right, "the example",
                    own(right, _wrongly(*_EXAMPLE)), shape_hint=_SHAPE)
    with trial.part("any two views", _CRASHES):
        rng = trial.rng
        for square in (False, True):
            drawn, right, mistakes = telling(
                partial(_views, rng, square), lambda drawn: (_right(*drawn), _wrongly(*drawn))
            )
            a, b = drawn[:2]
            trial.equal(trial.call(_NAME, *map(tensor, drawn)), right,
                        f"the fused vectors of a {a.shape} and b {b.shape}", mistakes,
                        shape_hint=_SHAPE)
        one = (a[:1], b[:1], *drawn[2:])
        trial.equal(trial.call(_NAME, *map(tensor, one)), right[:1], "one image alone",
                    hint="Each image is normalised by itself: over its D numbers, not over the "
                    "batch.", shape_hint=_SHAPE)
    with trial.part("rows that hardly vary", _CRASHES):
        a, b, weight, bias = _views(trial.rng, False)
        flat = exact(a / 512), exact(b / 512), weight, np.full_like(bias, 0.25)
        # y is rounded at 3e-8, and what is left of it divided by some 0.005: 6e-6, wherever y lies
        trial.equal(trial.call(_NAME, *map(tensor, flat)), _right(*flat),
                    "the fused vectors where the numbers of a row hardly differ", [
                        Mistake("1e-5 was added to the deviation; it stands under the root, beside "
                                "the variance.", _right(*flat, outside=True)),
                        Mistake("The 1e-5 under the root is missing.", _right(*flat, eps=0.0)),
                    ], rtol=1e-3, atol=1e-4, hint=_TINY, shape_hint=_SHAPE)
    with trial.part("gradients and dtype", _CRASHES):
        drawn = _views(trial.rng, False)
        given = [tensor(each, double=True, gradient=True) for each in drawn]
        # the sum of a normalised row is 0 whatever is given, so its gradient tells nothing
        got = trial.call(_NAME, *(each.detach() for each in given))
        trial.tensor(got, given[0], "the fused vectors of float64 views")
        trial.equal(got, _right(*drawn), "the fused vectors", shape_hint=_SHAPE)
        _, found = trial.gradients(_NAME, *given)
        for name, mine in zip(_NAMES, found, strict=True):
            trial.equal(mine, np.zeros(mine.shape), f"the gradient of {name} from the sum of all",
                        hint="The numbers of a normalised row add up to 0, whatever is given.",
                        atol=1e-5)


def _views(rng: np.random.Generator, square: bool) -> Drawn:
    """Widths and D that differ; or, with `square`, two views of one width and D = D_a + D_b = B."""
    if square:
        width = int(rng.integers(2, 4))
        sizes = 2 * width, width, width, 2 * width
    else:
        drawn = rng.permutation(np.arange(3, 8))[:4]
        sizes = int(drawn[0]), int(drawn[1]), int(drawn[2]), int(drawn[3])
    images, wide_a, wide_b, dim = sizes
    return (
        exact(rng.normal(size=(images, wide_a))), exact(rng.normal(0.3, 1, (images, wide_b))),
        exact(rng.normal(size=(dim, wide_a + wide_b))), exact(rng.normal(size=dim)),
    )


def _normal(
    y: Array, axis: int | None = 1, ddof: int = 0, eps: float = 1e-5, outside: bool = False
) -> Array:
    centred = y - y.mean(axis=axis, keepdims=True)
    variance = (centred**2).sum(axis=axis, keepdims=True) / (
        (y.size if axis is None else y.shape[axis]) - ddof)
    below = np.sqrt(variance) + eps if outside else np.sqrt(variance + eps)
    return np.asarray(centred / below)


def _right(
    a: Array, b: Array, weight: Array, bias: Array, eps: float = 1e-5, outside: bool = False
) -> Array:
    y = np.concatenate([a, b], axis=1) @ weight.T + bias
    return _normal(y, eps=eps, outside=outside)


def _wrongly(a: Array, b: Array, weight: Array, bias: Array) -> list[Mistake]:
    h = np.concatenate([a, b], axis=1)
    y = h @ weight.T + bias
    turned = np.concatenate([b, a], axis=1) @ weight.T + bias
    row = "each row of y, over its D numbers"
    found = [
        Mistake("The views have changed places: the numbers of a come before those of b.",
                _normal(turned)),
        Mistake("LayerNorm is missing at the end.", y),
        Mistake("The bias is left out.", _normal(y - bias)),
        Mistake("The bias was added after the normalisation; it is part of the linear layer.",
                _normal(y - bias) + bias),
        Mistake("You normalised h before the linear layer, and not y after it.",
                _normal(h) @ weight.T + bias),
        Mistake("You normalised h, and y again; only y is normalised.",
                _normal(_normal(h) @ weight.T + bias)),
        Mistake(f"You only took off the mean. Divide by the root of the variance, too: {row}.",
                y - y.mean(axis=1, keepdims=True)),
        Mistake("You only divided, and did not take off the mean.",
                y / np.sqrt(y.var(axis=1, keepdims=True) + 1e-5)),
        Mistake("You divided by the variance; divide by its root.",
                (y - y.mean(axis=1, keepdims=True)) / (y.var(axis=1, keepdims=True) + 1e-5)),
        Mistake(f"You normalised over all numbers of the batch together. LayerNorm takes {row}.",
                _normal(y, axis=None)),
        Mistake("You made rows of unit length. LayerNorm takes off the mean and divides by the "
                "deviation.", y / np.linalg.norm(y, axis=1, keepdims=True)),
        Mistake("You took the softmax of each row; it is LayerNorm that is asked.",
                np.exp(y - y.max(1, keepdims=True))
                / np.exp(y - y.max(1, keepdims=True)).sum(1, keepdims=True)),
    ]
    if y.shape[1] > 1:
        found.append(Mistake(
            "Your variance is divided by D - 1, as torch.var and .std do unless told "
            "correction=0; LayerNorm divides by D.", _normal(y, ddof=1)))
    if len(y) > 1:
        found.append(Mistake(
            f"You normalised over the images of the batch (axis 0): that is BatchNorm. LayerNorm "
            f"takes {row}.", _normal(y, axis=0)))
    if weight.shape[0] == weight.shape[1]:
        found.append(Mistake("You multiplied by weight as it is. Its rows make the new numbers "
                             "(y = W h for each row h): multiply by weight.T.",
                             _normal(h @ weight + bias)))
    if a.shape == b.shape and len(a) == len(weight):
        stacked = np.stack([a, b], axis=2).reshape(len(a), -1)
        found.append(Mistake("You mixed the two views number by number (a1, b1, a2, b2, ...); all "
                             "numbers of a come before those of b.",
                             _normal(stacked @ weight.T + bias)))
    return found
