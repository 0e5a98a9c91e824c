"""Check of lesson 04's prompt ensemble (4.1)."""

from __future__ import annotations

from functools import partial

import numpy as np

from hybridlab.grading.lessons.embeddings_04 import kept, tensor, unit, vectors
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
nan = float("nan")
_SHAPE = "One vector for each label: the mean is taken over axis 1, the prompts."


def check_prompt_ensemble(trial: Trial) -> None:
    """Values against the definition, vectors of length 0, and the dtype."""
    with trial.part("the worked example"):
        example = np.array([[[3.0, 4.0], [0.0, 2.0]], [[50.0, 0.0], [0.0, 2.0]]])
        right = _right(example)
        got = trial.call("prompt_ensemble", tensor(example))
        trial.equal(got, right, "the ensembles of the example",
                    own(right, _wrongly(example)), shape_hint=_SHAPE)
    with trial.part("any prompts"):
        rng = trial.rng
        for square in (True, False):
            prompts, right, mistakes = telling(
                partial(_prompts, rng, square), lambda drawn: (_right(drawn), _wrongly(drawn))
            )
            got = trial.call("prompt_ensemble", tensor(prompts))
            trial.equal(got, right, f"the ensembles of prompts of shape {prompts.shape}", mistakes,
                        shape_hint=_SHAPE)
        order = rng.permutation(prompts.shape[1])
        trial.equal(trial.call("prompt_ensemble", tensor(prompts[:, order])), right,
                    "the ensembles of the same prompts in another order",
                    hint="The order of a label's prompts does not matter.")
        trial.equal(trial.call("prompt_ensemble", tensor(prompts[:1])), right[:1],
                    "the ensemble of the first label alone",
                    hint="A label's vector depends on its own prompts only.")
        one = prompts[:, :1]
        trial.equal(trial.call("prompt_ensemble", tensor(one)), unit(one[:, 0]),
                    "the ensembles of one prompt each",
                    hint="With one prompt it is that prompt's vector, at length 1.")
    with trial.part("vectors of length 0"):
        rng = trial.rng
        prompts, right, mistakes = telling(
            partial(_with_zeros, rng), lambda drawn: (_right(drawn), _zeros_wrongly(drawn))
        )
        got = trial.call("prompt_ensemble", tensor(prompts))
        trial.equal(got, right, "the ensembles where prompts have length 0", mistakes,
                    hint="A vector of length 0 stays 0 when it is normalised; "
                    "F.normalize(x, dim=...) does that.")
        prompts[1, 1:] = 0
        prompts[1, 1] = -prompts[1, 0]  # they cancel
        right[1] = 0
        trial.equal(
            trial.call("prompt_ensemble", tensor(prompts)), right,
            "the ensembles where a label's prompts cancel",
            [Mistake("The mean of vectors that cancel has length 0, too: divide it with care, "
                     "F.normalize(mean, dim=1).", _row(right, 1, nan))],
        )
        short = _prompts(rng, square=False) / 2**17
        trial.equal(trial.call("prompt_ensemble", tensor(short)), _right(short),
                    "the ensembles of vectors of lengths near 0.00001",
                    hint="A constant that is added to a length shows where the length is small: "
                    "F.normalize, or clamp(min=1e-12), leave it as it is.")
    with trial.part("dtype"):
        prompts = _prompts(trial.rng, square=False)
        kept(trial, "prompt_ensemble", "the ensembles", _right(prompts), prompts)


def _prompts(rng: np.random.Generator, square: bool) -> Array:
    """(L, T, D): with `square` as many prompts as labels, where an axis taken for another shows."""
    labels = int(rng.integers(3, 6))
    prompts = labels if square else labels + int(rng.integers(1, 4))
    return vectors(rng, labels, prompts, int(rng.integers(9, 14)))


def _with_zeros(rng: np.random.Generator) -> Array:
    """One label has a prompt of length 0, another one has no other prompts."""
    prompts = _prompts(rng, square=False)
    prompts[0, int(rng.integers(prompts.shape[1]))] = 0
    prompts[2] = 0
    return prompts


def _right(prompts: Array) -> Array:
    return unit(unit(prompts).mean(axis=1))


def _row(values: Array, at: int | list[int], value: float) -> Array:
    changed = values.copy()
    changed[at] = value
    return changed


def _wrongly(prompts: Array) -> list[Mistake]:
    each = unit(prompts)
    mean = each.mean(axis=1)
    found = [
        Mistake("You did not normalise the prompts before the mean: a long vector then counts "
                "more than the others.", unit(prompts.mean(axis=1))),
        Mistake("You did not normalise again after the mean: the mean of unit vectors is shorter "
                "than 1, the more so the more they differ.", mean),
        Mistake("You normalised neither the prompts nor their mean.", prompts.mean(axis=1)),
        Mistake("You added the unit vectors up and stopped; normalise the sum.", each.sum(axis=1)),
        Mistake("You added the prompts up as they are; normalise each, and then the sum.",
                prompts.sum(axis=1)),
        Mistake("That is each label's first prompt; take the mean over all of them.", each[:, 0]),
        Mistake("You took the maximum over prompts, number by number; take the mean.",
                unit(each.max(axis=1))),
        Mistake("You took the median over prompts; take the mean.",
                unit(np.median(each, axis=1))),
        Mistake("You normalised over the wrong axis before the mean: F.normalize takes dim=1 "
                "unless told, and that is the prompts' axis here. Give dim=-1.",
                unit(unit(prompts, axis=1).mean(axis=1))),
        Mistake("You divided all prompts of a label by one length; each has a length of its own.",
                unit(prompts, axis=(1, 2)).mean(axis=1)),
        Mistake("You normalised the means over the labels (dim=0); each label's vector has a "
                "length of its own.", unit(mean, axis=0)),
        Mistake("You divided by the sum of absolute values; the length is the root of the sum of "
                "squares.", _sum_of_sizes(_sum_of_sizes(prompts).mean(axis=1))),
        Mistake("You normalised each prompt by its largest number; the length is the root of the "
                "sum of squares.",
                unit((prompts / abs(prompts).max(axis=2, keepdims=True)).mean(axis=1))),
    ]
    if prompts.shape[0] == prompts.shape[1]:
        found.append(Mistake("You took the mean over labels (axis 0); take it over the prompts of "
                             "each label (axis 1).", unit(each.mean(axis=0))))
    return found


def _sum_of_sizes(array: Array) -> Array:
    return array / abs(array).sum(axis=-1, keepdims=True)


def _zeros_wrongly(prompts: Array) -> list[Mistake]:
    right = _right(prompts)
    count = prompts.any(axis=2).sum(axis=1)[:, None]
    mean = unit(prompts).sum(axis=1) / np.maximum(count, 1)
    return [
        Mistake("0 / 0 is NaN, and one such prompt spoilt its label. A vector of length 0 stays 0: "
                "F.normalize(x, dim=...), or divide by length.clamp(min=1e-12).",
                _row(right, [0, 2], nan)),
        Mistake("A label whose prompts all have length 0 gives zeros, not NaN: normalise the mean "
                "with care, too.", _row(right, 2, nan)),
        Mistake("NaN became 0 too late: one prompt of length 0 took the whole label with it. It "
                "adds nothing; the label's other prompts still count.", _row(right, 0, 0)),
        Mistake("You did not normalise again after the mean.", unit(prompts).mean(axis=1)),
        Mistake("You left prompts of length 0 out of the mean but did not normalise it.", mean),
    ]
