"""Check of lesson 05's cross-attention with a mask (5.3, trap 3)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from hybridlab.grading.comparing import as_array
from hybridlab.grading.lessons.gate_05 import pair
from hybridlab.grading.lessons.losses_01 import tensor
from hybridlab.grading.lessons.sequences_02 import exact, softmax
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
Drawn = tuple[Array, Array, Array, Array]  # queries, keys, values, mask
nan = float("nan")

_NAME = "cross_attention"
_NAMES = ("queries", "keys", "values")
_RESULTS = ("what is read", "the weights")
_EXAMPLE = (
    np.array([[[2.0, 0, 0, 0]]]), np.array([[[1.0, 0, 0, 0], [0, 1, 0, 0], [9, 9, 9, 9]]]),
    np.array([[[4.0, 0], [8, 2], [100, 100]]]), np.array([[True, True, False]]),
)
_READ = "What is read is (B, N, E): one row for each query, as wide as the values."
_WEIGHTS = "The weights are (B, N, M): for each query, one for each token of the other view."
_CRASHES = {
    "RuntimeError": "queries @ keys.transpose(1, 2) is (B, N, M). mask is (B, M); over the scores "
    "it is laid as mask[:, None], over keys and values as mask[:, :, None].",
    "IndexError": "mask is (B, M); over (B, N, M) it is laid as mask[:, None], over (B, M, D) as "
    "mask[:, :, None].",
}
_NOTHING = (
    "A softmax over -inf alone is 0 / 0. Fill in torch.finfo(scores.dtype).min, which is finite, "
    "and multiply the weights by the mask afterwards."
)
_NAN = (
    "NaN times a weight of 0 is NaN. Fill what does not count with 0 before it is multiplied: "
    "values.masked_fill(~mask[:, :, None], 0), and the keys."
)


def check_cross_attention(trial: Trial) -> None:
    """Any tokens and masks; one key; no token that counts; NaN behind the mask; gradients."""
    with trial.part("the worked example", _CRASHES):
        read, weights = _right(*_EXAMPLE)
        _judged(trial, _EXAMPLE, "the example", own(weights, _weights_wrongly(*_EXAMPLE)),
                own(read, _read_wrongly(*_EXAMPLE)))
    with trial.part("any tokens", _CRASHES):
        rng = trial.rng
        for square in (False, True):
            drawn, _, wrong = telling(
                partial(_tokens, rng, square),
                lambda drawn: (_right(*drawn)[1], _weights_wrongly(*drawn)),
            )
            _judged(trial, drawn, f"queries {drawn[0].shape} and keys {drawn[1].shape}", wrong,
                    own(_right(*drawn)[0], _read_wrongly(*drawn)))
        queries, keys, values, mask = drawn
        everything = np.ones_like(mask)
        _judged(trial, (queries, keys, values, everything), "the same, all tokens counting")
        _judged(trial, (queries[:, :1], keys[:, :1], values[:, :1], everything[:, :1]),
                "a single query and a single key", hint="Over a single key the softmax is 1: the "
                "query has no say, and what is read is the value.")
        # double precision: single rounds such products by a thousandth, which shows in the weights
        _judged(trial, (exact(1000 * queries), keys, values, mask), "products in the thousands",
                hint="exp of a thousand is infinite: .softmax(dim=-1) takes the largest off first.",
                double=True)
    with trial.part("what does not count", _CRASHES):
        queries, keys, values, mask = _tokens(trial.rng, False)
        right = _right(queries, keys, values, mask)
        spoilt = np.where(mask[..., None], keys, nan), np.where(mask[..., None], values, nan)
        _judged(trial, (queries, *spoilt, mask), "tokens of NaN that do not count",
                hint=f"If it is right without NaN: {_NAN}", expected=right)
        given = [tensor(each, double=True, gradient=True) for each in (queries, *spoilt)]
        found = trial.gradients(_NAME, *given, _truth(mask))[1]
        keys, values = (np.where(mask[..., None], each, 0) for each in (keys, values))
        for name, mine, wanted in zip(
            _NAMES, found, _gradients(queries, keys, values, mask), strict=True
        ):
            trial.equal(mine, wanted, f"the gradient of {name} where such tokens are NaN",
                        hint="A score that is filled in has the gradient 0, and 0 times a key of "
                        "NaN is NaN: fill the keys with 0 before the product, not the scores "
                        "alone.")
    with trial.part("no token counts", _CRASHES):
        drawn = _nothing(trial.rng)
        read, weights = _right(*drawn)
        gone = np.logical_not(drawn[3].any(axis=1)).reshape(-1, 1, 1)
        alike = np.broadcast_to(1 / drawn[1].shape[1], weights.shape)
        _judged(trial, drawn, "an image in which no token counts", [
            Mistake(_NOTHING, np.where(gone, nan, weights)),
            Mistake("Its weights are alike and add up to 1; they must be 0. Multiply the weights "
                    "by the mask after the softmax.", np.where(gone, alike, weights)),
        ], hint=_NOTHING)
    with trial.part("gradients and dtype", _CRASHES):
        for drawn, what in ((_tokens(trial.rng, False), ""),
                            (_nothing(trial.rng), " where no token of an image counts")):
            given = [tensor(each, double=True, gradient=True) for each in drawn[:3]]
            got, found = trial.gradients(_NAME, *given, _truth(drawn[3]))
            pair(got, _RESULTS, "read, weights")
            for each, name in zip(got, _RESULTS, strict=True):
                trial.tensor(each, given[0], f"{name} from float64 tokens")
            for name, mine, wanted in zip(_NAMES, found, _gradients(*drawn), strict=True):
                spoilt = np.isnan(as_array(mine)).any()
                trial.equal(mine, wanted, f"the gradient of {name}{what}", hint=_NOTHING if spoilt
                            else "If the values are right: nothing may be detached on the way.")


def _judged(
    trial: Trial, drawn: Drawn, what: str, weights: Sequence[Mistake] = (),
    read: Sequence[Mistake] = (), hint: str = "", expected: tuple[Array, Array] | None = None,
    double: bool = False,
) -> None:
    given = [tensor(each, double=double) for each in drawn[:3]]
    got = trial.call(_NAME, *given, _truth(drawn[3]))
    right_read, right_weights = _right(*drawn) if expected is None else expected
    pair(got, _RESULTS, "read, weights")
    trial.equal(got[1], right_weights, f"the weights of {what}", weights, hint=hint,
                shape_hint=_WEIGHTS)
    trial.equal(got[0], right_read, f"what is read from {what}", read, hint=hint, shape_hint=_READ)


def _truth(mask: Array) -> Any:
    import torch

    return torch.tensor(mask)


def _tokens(rng: np.random.Generator, square: bool) -> Drawn:
    """With `square` there are as many queries as tokens, as wide as there are of them."""
    images, dim = int(rng.integers(2, 4)), int(rng.integers(4, 6))
    asked, tokens, wide = (dim, dim, dim) if square else (3, dim + 2, 2)
    mask = rng.random((images, tokens)) < 0.6
    mask[:, 0], mask[:, -1] = True, False
    return (
        exact(rng.normal(0, 1.5, (images, asked, dim))),
        exact(rng.normal(size=(images, tokens, dim))),
        exact(rng.normal(0, 2, (images, tokens, wide))), mask,
    )


def _nothing(rng: np.random.Generator) -> Drawn:
    queries, keys, values, mask = _tokens(rng, False)
    mask[1] = False
    return queries, keys, values, mask


def _right(
    queries: Array, keys: Array, values: Array, mask: Array
) -> tuple[Array, Array]:
    weights = _weights(_scores(queries, keys), mask)
    return weights @ values, weights


def _scores(queries: Array, keys: Array) -> Array:
    return np.asarray(queries @ np.swapaxes(keys, 1, 2) / queries.shape[2] ** 0.5)


def _weights(scores: Array, mask: Array) -> Array:
    return np.asarray(softmax(np.where(mask[:, None], scores, -1e30)) * mask[:, None])


def _gradients(queries: Array, keys: Array, values: Array, mask: Array) -> list[Array]:
    import torch

    given = [tensor(each, double=True, gradient=True) for each in (queries, keys, values)]
    truth = _truth(mask)[:, None]
    scores = given[0] @ given[1].transpose(1, 2) / queries.shape[2] ** 0.5
    weights = scores.masked_fill(~truth, -1e30).softmax(dim=-1) * truth
    total = (weights @ given[2]).sum() + weights.sum()
    return [np.asarray(each.numpy()) for each in torch.autograd.grad(total, given)]


def _weights_wrongly(queries: Array, keys: Array, values: Array, mask: Array) -> list[Mistake]:
    scores, dim, wide = _scores(queries, keys), queries.shape[2], values.shape[2]
    hidden = _scores(queries, np.where(mask[..., None], keys, 0))  # keys that do not count are 0
    everything = softmax(scores)
    afterwards = (
        "You took the softmax over all tokens and put the others to 0 afterwards: the weights no "
        "longer add up to 1. Fill the scores before the softmax."
    )
    found = [
        Mistake("The division by sqrt(D) is missing: products of long vectors are large, and the "
                "softmax then sees one token only.", _weights(scores * dim**0.5, mask)),
        Mistake("You divided by D; divide by sqrt(D).", _weights(scores / dim**0.5, mask)),
        Mistake("You multiplied by sqrt(D); divide by it.", _weights(scores * dim, mask)),
        Mistake("The mask is not applied: tokens that do not count are read, too.", everything),
        Mistake("Your mask is turned round: you left out the tokens that count. Here True means "
                "that a token counts; torch.nn.MultiheadAttention's key_padding_mask means the "
                "opposite.", _weights(scores, ~mask)),
        Mistake(afterwards, everything * mask[:, None]),
        Mistake(afterwards, softmax(hidden) * mask[:, None]),
        Mistake("You put the scores of the others to 0. e^0 is 1, so they still have a weight: "
                "fill in the lowest number.", softmax(scores * mask[:, None])),
        Mistake("The softmax is missing: those are the masked scores.", scores * mask[:, None]),
    ]
    if wide not in (1, dim):
        found.append(Mistake("You divided by sqrt(E), the width of the values. D is that of "
                             "queries and keys, whose products those are.",
                             _weights(scores * (dim / wide) ** 0.5, mask)))
    if scores.shape[1] > 1:
        columns = np.where(mask[:, None], scores, -1e30)
        powers = np.exp(columns - columns.max(axis=1, keepdims=True))
        turned = powers / powers.sum(axis=1, keepdims=True) * mask[:, None]
        found.append(Mistake(
            "Your softmax runs over the queries (axis 1). Each query spreads a weight of 1 over "
            "the tokens: take it over the last axis.", turned))
    if queries.shape == keys.shape:
        found += [
            Mistake("Queries and keys have changed places: entry (n, m) is query n with key m.",
                    _weights(np.swapaxes(each, 1, 2), mask)) for each in (scores, hidden)
        ]
    return found


def _read_wrongly(queries: Array, keys: Array, values: Array, mask: Array) -> list[Mistake]:
    weights = _right(queries, keys, values, mask)[1]
    found = [
        Mistake("You divided by the number of tokens as well; the weights already add up to 1.",
                weights @ values / values.shape[1]),
    ]
    if keys.shape == values.shape:
        found.append(Mistake("You read the keys; the weights are for the values.", weights @ keys))
    if weights.shape[1] == weights.shape[2]:
        found.append(Mistake("You turned the weights round before the product; it is weights @ "
                             "values.", np.swapaxes(weights, 1, 2) @ values))
    return found
