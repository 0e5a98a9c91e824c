"""Check of lesson 03's loss with several positives (3.4, trap 13)."""

from __future__ import annotations

from functools import partial

import numpy as np

from hybridlab.grading.comparing import as_array
from hybridlab.grading.lessons.losses_01 import tensor
from hybridlab.grading.lessons.pairs_03 import NUMBER, SIGN, exact
from hybridlab.grading.lessons.rows_03 import (
    averaged,
    both,
    competing,
    entries,
    first,
    loss_of,
    of_rows,
    summed,
)
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
Drawn = tuple[Array, Array]  # scores, positives
nan = float("nan")

_NAME = "multi_positive_loss"
_EXAMPLE = (
    np.array([[2.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    np.array([[True, True, False], [False, False, True]]),
)
_STABLE = (
    "exp(1000) is infinite. torch.logsumexp takes the negatives together without computing it (it "
    "subtracts the largest score first), and -log(e^s / (e^s + e^n)) is F.softplus(n - s). NaN is "
    "infinity divided by infinity. Mask by -inf: -100 is not low here."
)
_NO_NEGATIVE = (
    "If the parts above are right: where a row has no negative its positives cost log(1) = 0. If "
    "NaN comes out: -inf minus -inf is NaN, so subtract no largest score by hand; torch.logsumexp "
    "knows that a sum of nothing is 0."
)
_SPOILT = (
    "The gradient of 0 / 0 and of 0 times infinity is NaN, even where a later masked_fill or "
    "torch.where hides the value: choose before the logarithm and before the division, by "
    "count.clamp(min=1). So is that of -inf minus -inf; torch.logsumexp knows how to avoid it."
)
_DETACHED = (
    "If the loss is right: nothing may be detached on the way to it, negatives as little as "
    "positives."
)
_TRUE = "positives holds truth values: ~positives is its opposite, 1 - positives is an error."


def check_multi_positive_loss(trial: Trial) -> None:
    """Value, rows without positives or negatives, huge scores, gradients and dtype."""
    crashes = dict.fromkeys(("RuntimeError", "NotImplementedError"), _TRUE)
    with trial.part("the worked example", crashes):
        right = loss_of(*_EXAMPLE)
        got = trial.call(_NAME, *_given(*_EXAMPLE))
        trial.equal(got, right, "the loss of the example", own(right, _wrongly(*_EXAMPLE)),
                    shape_hint=NUMBER)
    with trial.part("several positives", crashes):
        rng = trial.rng
        for square in (False, True):
            drawn, right, mistakes = telling(
                partial(_scores, rng, square),
                lambda drawn: (loss_of(*drawn), _wrongly(*drawn)),
            )
            got = trial.call(_NAME, *_given(*drawn))
            trial.equal(got, right, f"the loss of {drawn[0].shape} scores", mistakes,
                        shape_hint=NUMBER)
        scores, positives = drawn
        rows, columns = rng.permutation(len(scores)), rng.permutation(len(scores))
        got = trial.call(_NAME, *_given(scores[rows][:, columns], positives[rows][:, columns]))
        trial.equal(got, right, "the loss of the same images and texts in another order",
                    hint="What belongs together is told by positives, not by the diagonal.")
    with trial.part("one positive each"):
        scores, _ = _scores(trial.rng, True)
        got = trial.call(_NAME, *_given(scores, np.eye(len(scores)) == 1))
        trial.equal(got, both(scores, np.eye(len(scores)) == 1, competing),
                    "the loss where each row's only positive is on the diagonal",
                    hint="With one positive each it is CLIP's loss of exercise 3.1.")
    with trial.part("rows and columns without a positive"):
        rng = trial.rng
        drawn, right, mistakes = telling(
            lambda: _without(rng), lambda drawn: (loss_of(*drawn), _counted_wrongly(*drawn))
        )
        trial.equal(trial.call(_NAME, *_given(*drawn)), right,
                    "the loss where two images and one text have no positive", mistakes,
                    hint="If the parts above are right: leave rows without a positive out of the "
                    "mean over rows, and columns without one out of the mean over columns.")
        scores, positives = drawn
        nothing = np.zeros_like(positives)
        only = nothing.copy()
        only[rng.integers(len(scores)), rng.integers(scores.shape[1])] = True
        trial.equal(trial.call(_NAME, *_given(scores, only)), loss_of(scores, only),
                    "the loss with one positive in all",
                    hint="The means are over the rows, and the columns, that have a positive: here "
                    "over one each.")
        trial.equal(trial.call(_NAME, *_given(scores, nothing)), 0.0,
                    "the loss without any positive",
                    [Mistake("0 / 0 gave NaN. Without a positive the loss is 0: divide by "
                             "count.clamp(min=1).", nan)])
    with trial.part("no negatives, and huge scores"):
        scores, positives = _full_row(trial.rng)
        trial.equal(trial.call(_NAME, *_given(scores, positives)), loss_of(scores, positives),
                    "the loss where one image's positives are all texts", hint=_NO_NEGATIVE)
        trial.equal(trial.call(_NAME, *_given(scores, positives | True)), 0.0,
                    "the loss where all pairs are positives", hint=_NO_NEGATIVE)
        huge = exact(400 * scores)
        trial.equal(trial.call(_NAME, *_given(huge, positives)), loss_of(huge, positives),
                    "the loss of scores of 1000 and -1000",
                    hint="If it is right for small scores: " + _STABLE)
    with trial.part("gradients and dtype"):
        for what, (scores, positives) in (
            ("the gradient of the scores", _scores(trial.rng, False)),
            ("the gradient where one image's positives are all texts", _full_row(trial.rng)),
            ("the gradient where two images and one text have no positive", _without(trial.rng)),
            ("the gradient where nothing is positive", _nothing(trial.rng)),
        ):
            given = tensor(scores, double=True, gradient=True)
            got, found = trial.gradients(_NAME, given, _given(scores, positives)[1])
            trial.tensor(got, given, "the loss of float64 scores")
            trial.form(got, np.zeros(()), "the loss", NUMBER)
            spoilt = np.isnan(as_array(found[0])).any()
            trial.equal(found[0], _gradient(scores, positives), what,
                        hint=_SPOILT if spoilt else _DETACHED)


def _given(scores: Array, positives: Array) -> tuple[object, object]:
    import torch

    return tensor(scores), torch.from_numpy(positives.copy())


def _scores(rng: np.random.Generator, square: bool) -> Drawn:
    """Every row and column has a positive and a negative, and some rows and columns several
    positives."""
    images = int(rng.integers(5, 8))
    texts = images if square else images + int(rng.integers(1, 4))
    while True:
        positives = rng.random((images, texts)) < 0.35
        counts = [positives.sum(axis=axis) for axis in (1, 0)]
        if all(count.min() >= 1 and len({*count}) > 1 for count in counts) and all(
            count.max() < size for count, size in zip(counts, (texts, images), strict=True)
        ):
            return exact(rng.normal(0, 1.5, (images, texts)) + positives), positives


def _without(rng: np.random.Generator) -> Drawn:
    """Two rows and one column have no positive, and neither is the first or the last."""
    while True:
        scores, positives = _scores(rng, False)
        positives[rng.choice(np.arange(1, len(scores) - 1), 2, replace=False)] = False
        positives[:, rng.integers(1, scores.shape[1] - 1)] = False
        empty = [int((~positives.any(axis=axis)).sum()) for axis in (1, 0)]
        if empty == [2, 1] and positives.sum(axis=1).max() > 1:
            return scores, positives


def _full_row(rng: np.random.Generator) -> Drawn:
    """One row has no negative."""
    scores, positives = _scores(rng, False)
    positives[rng.integers(len(scores))] = True
    return (scores, positives) if not positives.all(axis=0).any() else _full_row(rng)


def _nothing(rng: np.random.Generator) -> Drawn:
    """No positive at all."""
    scores, positives = _scores(rng, False)
    return scores, np.zeros_like(positives)


def _gradient(scores: Array, positives: Array) -> Array:
    import torch

    from hybridlab.losses import symmetric_contrastive

    given = tensor(scores, double=True, gradient=True)
    loss = symmetric_contrastive(given, torch.from_numpy(positives))
    (found,) = torch.autograd.grad(loss, given)
    return np.asarray(found.numpy())


def _wrongly(scores: Array, positives: Array) -> list[Mistake]:
    right = loss_of(scores, positives)
    by_row, by_column = of_rows(scores, positives).mean(), of_rows(scores.T, positives.T).mean()
    no_match = both(scores, positives, lambda s, p: float(
        (entries(s, p, match=False).sum(axis=1) / p.sum(axis=1)).mean()))
    asked = np.logaddexp(0, np.where(positives, -scores, scores)).mean()
    return [
        Mistake("In your softmax positives compete with each other: a picture of a cow and an egg "
                "would have to choose. Below the line stand the positive itself and the row's "
                "negatives, no other positive. (Yours is another known loss, the supervised "
                "contrastive one.)", both(scores, positives, competing)),
        Mistake("You took the logarithm of the summed probability of the positives. That is "
                "another definition: there one good positive is enough, here each one counts. Take "
                "the logarithms first.", both(scores, positives, summed)),
        Mistake("You took the logarithm of the mean probability of the positives. That is another "
                "definition; here the mean is taken of the logarithms.",
                both(scores, positives, averaged)),
        Mistake("You took one positive of each row as its only target (argmax gives the first); "
                "all of them count.", both(scores, positives, first)),
        Mistake("You added up a row's positives; take their mean, or pictures with many labels "
                "would count more.", both(scores, positives, lambda s, p: float(
                    entries(s, p).sum(axis=1).mean()))),
        Mistake("You took one mean over all positives; take each row's own first, or pictures with "
                "many labels would count more.", both(scores, positives, lambda s, p: float(
                    entries(s, p)[p].mean()))),
        Mistake("You took the mean over all entries of the matrix; a row's positives are averaged "
                "first, then the rows.", entries(scores, positives).mean() / 2
                + entries(scores.T, positives.T).mean() / 2),
        Mistake("You added up the rows, and the columns; the loss is their mean.",
                both(scores, positives, lambda s, p: float(of_rows(s, p).sum()))),
        Mistake("That is one direction only, each image against the texts. Do the same with the "
                "columns, and take the mean of the two.", by_row),
        Mistake("That is one direction only, each text against the images. Do the same with the "
                "rows, and take the mean of the two.", by_column),
        Mistake("You added the two directions; the loss is their mean.", 2 * right),
        Mistake("The positive itself is missing below the line: e^s / (e^s + sum of the negatives' "
                "e^n).", no_match),
        Mistake("That asks of each pair by itself whether it matches (a sigmoid). Here a positive "
                "competes with its row's negatives: a softmax.", asked),
        Mistake(SIGN, -right),
    ]


def _counted_wrongly(scores: Array, positives: Array) -> list[Mistake]:
    """Where rows and columns lack a positive."""
    rows, columns = of_rows(scores, positives), of_rows(scores.T, positives.T)
    height, width = scores.shape
    out = "Nothing can be right or wrong about them: leave them out of the mean."
    return [
        Mistake(f"Rows and columns without a positive count 0 in your means. {out}",
                (rows.sum() / height + columns.sum() / width) / 2),
        Mistake(f"Images without a positive count 0 in your mean. {out}",
                (rows.sum() / height + columns.mean()) / 2),
        Mistake(f"Texts without a positive count 0 in your mean. {out}",
                (rows.mean() + columns.sum() / width) / 2),
        Mistake(f"Rows without a positive became 0 / 0, NaN. {out}", nan),
        Mistake(f"Rows without a positive made the loss infinite. {out}", np.inf),
        Mistake("argmax gives column 0 for rows without a positive, which became their target; and "
                "of several positives it takes the first only.",
                both(scores, positives, first)),
    ]
