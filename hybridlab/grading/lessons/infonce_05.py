"""Check of lesson 05's contrastive loss with several positives (5.6, trap 13)."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from hybridlab.grading.comparing import as_array
from hybridlab.grading.lessons.losses_01 import tensor
from hybridlab.grading.lessons.sequences_02 import exact
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
Drawn = tuple[Array, Array]  # logits, targets
nan = float("nan")

_NAME = "multi_positive_infonce"
_EXAMPLE = np.array([[2.0, 1.0, 0.0, 3.0]]), np.array([[1, 1, 0, -1]])
_NUMBER = "The loss is one number: the mean over the images that have a positive."
_CRASHES = {
    "RuntimeError": "Keep everything (B, L): fill what does not count with masked_fill, and the "
    "rows stay of one length.",
    "IndexError": "An image may have any number of positives, 0 too; targets == 1 is (B, L) bool.",
}
_STABLE = (
    "exp(1000) is infinite. With n = logsumexp over the negatives, a positive costs "
    "F.softplus(n - p), which is exact for any size."
)
_NOTHING = (
    "Without a positive it is 0 / 0, in an image and in the batch. Divide by what there is, but by "
    "1 at least: .clamp(min=1)."
)


def check_multi_positive_infonce(trial: Trial) -> None:
    """Value; images without positives or negatives; huge logits; gradients and dtype."""
    with trial.part("the worked example", _CRASHES):
        right = _right(*_EXAMPLE)
        trial.equal(trial.call(_NAME, *_given(_EXAMPLE)), right, "the loss of the example",
                    own(right, _wrongly(*_EXAMPLE)), shape_hint=_NUMBER)
    with trial.part("any targets", _CRASHES):
        rng = trial.rng
        for square in (False, True):
            drawn, right, mistakes = telling(
                partial(_images, rng, square), lambda drawn: (_right(*drawn), _wrongly(*drawn))
            )
            trial.equal(trial.call(_NAME, *_given(drawn)), right,
                        f"the loss of logits {drawn[0].shape}", mistakes, shape_hint=_NUMBER)
        logits, targets = drawn
        far = exact(np.where(targets < 0, logits + 40, logits)), targets
        trial.equal(trial.call(_NAME, *_given(far)), right,
                    "the loss with other logits where nothing is annotated",
                    hint="-1 is neither a positive nor a negative: its logit does not matter.")
    with trial.part("images without positives or negatives", _CRASHES):
        logits, targets = _images(trial.rng, False)
        targets[0], targets[2] = np.minimum(targets[0], 0), np.abs(targets[2]).clip(1)
        drawn = logits, targets
        each, count = _costs(*drawn)
        per_image = each.sum(axis=1) / np.maximum(count, 1)
        trial.equal(trial.call(_NAME, *_given(drawn)), _right(*drawn),
                    "the loss where one image has no positive and one no negative", [
                        Mistake(_NOTHING, nan),
                        Mistake("The image without a positive counts in your mean. The mean is "
                                "over the images that have one.", per_image.mean()),
                        Mistake("You left out the image without a negative. It costs 0, and counts "
                                "in the mean.", per_image.sum() / ((count > 0).sum() - 1)),
                    ], hint=_NOTHING, shape_hint=_NUMBER)
        nothing = logits, np.minimum(targets, 0)
        trial.equal(trial.call(_NAME, *_given(nothing)), 0.0, "the loss where no image has a "
                    "positive", [Mistake(_NOTHING, nan)], hint=_NOTHING, shape_hint=_NUMBER)
    with trial.part("huge logits", _CRASHES):
        logits, targets = _images(trial.rng, False)
        huge = exact(1000 * np.sign(logits)), targets
        trial.equal(trial.call(_NAME, *_given(huge)), _right(*huge),
                    "the loss of logits of 1000 and -1000",
                    hint="If it is right for small logits: " + _STABLE, shape_hint=_NUMBER)
    with trial.part("gradients and dtype", _CRASHES):
        logits, targets = _images(trial.rng, False)
        targets[0], targets[2] = np.minimum(targets[0], 0), np.abs(targets[2]).clip(1)
        for what, rows in (("the gradient of logits", targets),
                           ("the gradient where no image has a positive", np.minimum(targets, 0))):
            given = tensor(logits, double=True, gradient=True)
            got, found = trial.gradients(_NAME, given, _whole(rows))
            trial.tensor(got, given, "the loss of float64 logits")
            spoilt = np.isnan(as_array(found[0])).any()
            trial.equal(found[0], _gradient(logits, rows), what, hint=_NOTHING if spoilt else
                        "If the loss is right: nothing may be detached on the way to it.")


def _whole(targets: Array) -> Any:
    import torch

    return torch.tensor(targets, dtype=torch.int64)


def _given(drawn: Drawn) -> tuple[Any, Any]:
    return tensor(drawn[0]), _whole(drawn[1])


def _images(rng: np.random.Generator, square: bool) -> Drawn:
    """Of 1, 0 and -1; each image has one to three positives, two negatives and a -1."""
    labels = int(rng.integers(7, 9))
    images = labels if square else int(rng.integers(4, 6))
    targets = np.zeros((images, labels), int)
    for row, count in zip(targets, [1, 3, *rng.integers(1, 4, images - 2)], strict=True):
        order = rng.permutation(labels)
        row[order[:count]], row[order[count]] = 1, -1
        row[order[count + 1 : count + 1 + rng.integers(0, 2)]] = -1
    return exact(rng.normal(0, 1.5, (images, labels))), targets


def _costs(logits: Array, targets: Array) -> tuple[Array, Array]:
    """(B, L), 0 where there is no positive; and how many positives an image has."""
    positive, negative = targets == 1, targets == 0
    below = np.where(negative, logits, -np.inf)
    with np.errstate(divide="ignore"):
        rest = np.logaddexp.reduce(below, axis=1, keepdims=True)
    cost = np.where(np.isneginf(rest), 0.0, np.logaddexp(0, np.where(
        np.isneginf(rest), 0, rest) - logits))
    return np.where(positive, cost, 0.0), positive.sum(axis=1)


def _right(logits: Array, targets: Array) -> float:
    each, count = _costs(logits, targets)
    per_image = each.sum(axis=1) / np.maximum(count, 1)
    return float(per_image.sum() / max(1, (count > 0).sum()))


def _gradient(logits: Array, targets: Array) -> Array:
    import torch
    import torch.nn.functional as F

    given = tensor(logits, double=True, gradient=True)
    positive, negative = torch.tensor(targets == 1), torch.tensor(targets == 0)
    rest = given.masked_fill(~negative, -1e30).logsumexp(dim=1, keepdim=True)
    each = F.softplus(rest - given).masked_fill(~positive, 0)
    count = positive.sum(dim=1)
    loss = (each.sum(dim=1) / count.clamp(min=1)).sum() / (count > 0).sum().clamp(min=1)
    return np.asarray(torch.autograd.grad(loss, given)[0].numpy())


def _wrongly(logits: Array, targets: Array) -> list[Mistake]:
    positive, negative, known = targets == 1, targets == 0, targets >= 0
    each, count = _costs(logits, targets)
    images = max(1, (count > 0).sum())

    def log_sum(among: Array) -> Array:
        return np.asarray(np.logaddexp.reduce(np.where(among, logits, -np.inf), axis=1,
                                              keepdims=True))

    def mean(costs: Array) -> float:
        inside = np.where(positive, costs, 0).sum(axis=1) / np.maximum(count, 1)
        return float(inside.sum() / images)

    supcon = log_sum(known) - logits
    together = (log_sum(known) - log_sum(positive)).sum() / images
    unknown = np.logaddexp(0, log_sum(~positive) - logits)
    found = [
        Mistake("An image's positives compete with each other in your softmax: an image of a cow "
                "and an egg would have to choose. Each positive competes with the negatives only, "
                "and itself.", mean(supcon)),
        Mistake("You added the positives' shares up before the logarithm: one of them may then do "
                "all the work. Take -log for each positive.", float(together)),
        Mistake("An entry of -1 counts as a negative; it is not annotated and is left out.",
                mean(unknown)),
        Mistake("An entry of -1 counts as a positive; it is not annotated and is left out.",
                _right(logits, np.where(targets < 0, 1, targets))),
        Mistake("The positive itself is missing below the line: it is e^p / (e^p + negatives).",
                mean(log_sum(negative) - logits)),
        Mistake("You added an image's positives up; take their mean, else an image with many "
                "labels counts more.", float(each.sum() / images)),
        Mistake("All positives of the batch count the same in your mean. It is the mean over "
                "images of the mean over an image's positives.", float(each.sum() / count.sum())),
        Mistake("You took the mean over all B x L entries; take it over the positives of an image, "
                "then over the images.", float(each.mean())),
        Mistake("You added the images up; take their mean.", _right(logits, targets) * images),
        Mistake("The sign is wrong: a loss is positive, and falls as the answers get better.",
                -_right(logits, targets)),
        Mistake("That is 1 - share; a positive costs -log of its share.",
                mean(1 - np.exp(-np.logaddexp(0, log_sum(negative) - logits)))),
    ]
    if len(logits) == logits.shape[1]:
        found.append(Mistake("Your softmax runs over the images (axis 0); a positive competes with "
                             "the other labels of its image.",
                             _right(logits.T, targets.T)))
    return found
