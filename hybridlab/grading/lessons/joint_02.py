"""Check of lesson 02's scores in the joint embedding (2.2)."""

from __future__ import annotations

from functools import partial

import numpy as np

from hybridlab.grading.lessons.losses_01 import sigmoid, tensor
from hybridlab.grading.lessons.sequences_02 import exact, softmax
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
Drawn = tuple[Array, Array, Array, Array, Array]  # state, image, w_state, w_image, label_emb

_EXAMPLE = (
    np.array([[1.0, 1.0]]), np.array([[2.0]]), np.array([[0.5, 0.0], [0.0, 1.0]]),
    np.array([[0.25], [-0.25]]), np.array([[1.0, 0.0], [0.0, 2.0], [1.0, -1.0]]),
)
_NAMES = ("state", "image", "w_state", "w_image", "label_emb")
_SHAPE = (
    "One score for each image (row) and each row of label_emb (column). The last row is STOP's and "
    "is scored, too."
)
_CRASHES = {
    "RuntimeError": "A weight is (D, D_s): for rows of states it is state @ w_state.T, (B, D), and "
    "the same for the image. Both are added, not laid side by side: the joint vector has D "
    "numbers, as each label's embedding has, and joint @ label_emb.T is (B, L + 1).",
    "IndexError": "Keep the axes as they are: .squeeze() drops one where there is one image.",
}
_STABLE = (
    "(e^x - e^-x) / (e^x + e^-x) is infinity / infinity where x is 200. torch.tanh is exact there."
)


def check_joint_scores(trial: Trial) -> None:
    """Scores of any sizes, of square matrices, of huge sums; gradients and dtype."""
    with trial.part("the worked example", _CRASHES):
        right = _right(*_EXAMPLE)
        got = trial.call("joint_scores", *map(tensor, _EXAMPLE))
        trial.equal(got, right, "the scores of the example", own(right, _wrongly(*_EXAMPLE)),
                    shape_hint=_SHAPE)
    with trial.part("any state and image", _CRASHES):
        rng = trial.rng
        for square in (False, True):
            drawn, right, mistakes = telling(
                partial(_inputs, rng, square), lambda drawn: (_right(*drawn), _wrongly(*drawn))
            )
            got = trial.call("joint_scores", *map(tensor, drawn))
            trial.equal(got, right, f"the scores of {len(right)} images"
                        + (", all matrices being square" if square else ""), mistakes,
                        shape_hint=_SHAPE)
        state, image, *others = drawn
        got = trial.call("joint_scores", *map(tensor, (state[:1], image[:1], *others)))
        trial.equal(got, right[:1], "the scores of one image alone",
                    hint="An image's scores depend on its own state and features only.",
                    shape_hint=_SHAPE)
    with trial.part("huge sums", _CRASHES):
        huge = _huge(trial.rng)
        trial.equal(trial.call("joint_scores", *map(tensor, huge)), _right(*huge),
                    "the scores where sums are in the hundreds",
                    hint="If it is right for small sums: " + _STABLE, shape_hint=_SHAPE)
    with trial.part("gradients and dtype", _CRASHES):
        drawn = _inputs(trial.rng, False)
        given = [tensor(each, double=True, gradient=True) for each in drawn]
        got, found = trial.gradients("joint_scores", *given)
        trial.tensor(got, given[0], "the scores of float64 inputs")
        trial.equal(got, _right(*drawn), "the scores", shape_hint=_SHAPE)
        for name, mine, wanted in zip(_NAMES, found, _gradients(*drawn), strict=True):
            trial.equal(mine, wanted, f"the gradient of {name}",
                        hint="If the scores are right: nothing may be detached on the way to them.")


def _inputs(rng: np.random.Generator, square: bool) -> Drawn:
    """Five sizes, no two alike; or, with `square`, all but B the same."""
    if square:
        size = int(rng.integers(4, 7))
        images, d_state, d_image, dim, symbols = size + 2, size, size, size, size
    else:
        sizes = [int(each) for each in rng.permutation(np.arange(3, 9))[:5]]
        images, d_state, d_image, dim, symbols = sizes
    found = (
        rng.normal(size=(images, d_state)), rng.normal(size=(images, d_image)),
        rng.normal(0, d_state**-0.5, (dim, d_state)), rng.normal(0, d_image**-0.5, (dim, d_image)),
        rng.normal(size=(symbols, dim)),
    )
    state, image, w_state, w_image, label_emb = map(exact, found)
    return state, image, w_state, w_image, label_emb


def _huge(rng: np.random.Generator) -> Drawn:
    """Sums so far from 0 that float32's rounding of large terms does not show in their tanh."""
    while True:
        state, image, *others = _inputs(rng, False)
        w_state, w_image, label_emb = others
        huge = exact(300 * state), exact(300 * image)
        if np.abs(huge[0] @ w_state.T + huge[1] @ w_image.T).min() > 12:
            return *huge, w_state, w_image, label_emb


def _right(state: Array, image: Array, w_state: Array, w_image: Array, emb: Array) -> Array:
    return np.tanh(state @ w_state.T + image @ w_image.T) @ emb.T


def _gradients(*drawn: Array) -> list[Array]:
    import torch

    given = [tensor(each, double=True, gradient=True) for each in drawn]
    state, image, w_state, w_image, emb = given
    scores = torch.tanh(state @ w_state.T + image @ w_image.T) @ emb.T
    return [np.asarray(each.numpy()) for each in torch.autograd.grad(scores.sum(), given)]


def _unit(rows: Array) -> Array:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _wrongly(
    state: Array, image: Array, w_state: Array, w_image: Array, emb: Array
) -> list[Mistake]:
    s, i = state @ w_state.T, image @ w_image.T
    joint = np.tanh(s + i)
    right = joint @ emb.T
    logit = "Scores are logits; the loss and the search take the softmax themselves."
    found = [
        Mistake("tanh is missing: it is taken of the sum of both projections.", (s + i) @ emb.T),
        Mistake("You took tanh of each projection; add them first, and take tanh of the sum.",
                (np.tanh(s) + np.tanh(i)) @ emb.T),
        Mistake("You took tanh of the state's projection only; it is taken of the sum.",
                (np.tanh(s) + i) @ emb.T),
        Mistake("You took tanh of the image's projection only; it is taken of the sum.",
                (s + np.tanh(i)) @ emb.T),
        Mistake("You took tanh of the scores; it is taken of the sum, before the product with the "
                "label embeddings.", np.tanh((s + i) @ emb.T)),
        Mistake("You took tanh once more at the end; scores are logits of any size.",
                np.tanh(right)),
        Mistake("The image is left out: its projection is added before tanh.",
                np.tanh(s) @ emb.T),
        Mistake("The state is left out: its projection is added before tanh. Without it all steps "
                "of an image get the same scores.", np.tanh(i) @ emb.T),
        Mistake("You multiplied the two projections; add them.", np.tanh(s * i) @ emb.T),
        Mistake("You took the mean of the two projections; take their sum.",
                np.tanh((s + i) / 2) @ emb.T),
        Mistake("You took the sigmoid in the place of tanh.", sigmoid(s + i) @ emb.T),
        Mistake("You took ReLU in the place of tanh.", np.maximum(s + i, 0) @ emb.T),
        Mistake("Those are cosines. Here it is the product as it is: a long embedding stands for "
                "a label that is likely anyway.", _unit(joint) @ _unit(emb).T),
        Mistake("You normalised the joint vector; the product is taken as it is.",
                _unit(joint) @ emb.T),
        Mistake("You normalised the label embeddings; the product is taken as it is.",
                joint @ _unit(emb).T),
        Mistake(f"You took the softmax. {logit}", softmax(right)),
        Mistake(f"You took the logarithm of the softmax. {logit}", np.log(softmax(right))),
        Mistake("You took the sigmoid of the scores. Scores are logits of any size, and the next "
                "label is one of many: a softmax will follow.", sigmoid(right)),
    ]
    if len({*w_state.shape, *w_image.shape, *emb.shape}) > 1:
        return found
    turned = "The rows of a weight make the new numbers (y = W x for each row x): multiply by"
    return [
        *found,
        Mistake(f"You multiplied by w_state and w_image as they are. {turned} w_state.T and "
                "w_image.T.", np.tanh(state @ w_state + image @ w_image) @ emb.T),
        Mistake(f"You multiplied by w_state as it is. {turned} w_state.T.",
                np.tanh(state @ w_state + i) @ emb.T),
        Mistake(f"You multiplied by w_image as it is. {turned} w_image.T.",
                np.tanh(s + image @ w_image) @ emb.T),
        Mistake("You multiplied by label_emb as it is. Each row is one label's embedding: "
                "multiply by label_emb.T.", joint @ emb),
        Mistake("The weights have changed places: w_state is for the state, w_image for the image.",
                np.tanh(state @ w_image.T + image @ w_state.T) @ emb.T),
    ]
