"""Check of lesson 02's probability for each label (2.5, traps 5 and 7)."""

from __future__ import annotations

from functools import partial

import numpy as np

from hybridlab.grading.lessons.losses_01 import tensor
from hybridlab.grading.lessons.sequences_02 import PAD, exact, label_seqs, softmax, whole
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
Drawn = tuple[Array, Array]  # step_probs, label_seq
nan = float("nan")

_NAME = "max_over_steps"
_EXAMPLE = (
    np.array([[[0.2, 0.7, 0.1], [0.3, 0.1, 0.6], [0.9, 0.05, 0.05]]]), np.array([[1, 2, PAD]])
)
_SHAPE = (
    "One probability for each image and each label, (B, L): the maximum is taken over axis 1, the "
    "steps, and the last column, STOP's, is left out."
)
_CRASHES = {
    "RuntimeError": "valid is (B, T); over the columns of (B, T, L + 1) it is laid as "
    "valid[:, :, None].",
    "IndexError": "valid is (B, T); over the columns of (B, T, L + 1) it is laid as "
    "valid[:, :, None].",
}
_NAN = (
    "NaN times 0 is NaN, and so is the maximum of NaN and anything. Choose, do not multiply: "
    "masked_fill or torch.where."
)


def check_max_over_steps(trial: Trial) -> None:
    """The maximum over valid steps; images without labels; padding that is NaN; dtype."""
    with trial.part("the worked example", _CRASHES):
        right = _right(*_EXAMPLE)
        trial.equal(trial.call(_NAME, *_given(_EXAMPLE)), right, "the example",
                    own(right, _wrongly(*_EXAMPLE)), shape_hint=_SHAPE)
    with trial.part("any sequences", _CRASHES):
        rng = trial.rng
        for square in (False, True):
            drawn, right, mistakes = telling(
                partial(_sequences, rng, square), lambda drawn: (_right(*drawn), _wrongly(*drawn))
            )
            trial.equal(trial.call(_NAME, *_given(drawn)), right,
                        f"the probabilities from step_probs {drawn[0].shape}", mistakes,
                        shape_hint=_SHAPE)
        probs, label_seq = drawn
        order = rng.permutation(len(probs))
        trial.equal(trial.call(_NAME, *_given((probs[order], label_seq[order]))), right[order],
                    "the same images in another order",
                    hint="An image's probabilities depend on its own steps only.")
        at = int((label_seq != PAD).sum(axis=1).argmax())
        trial.equal(trial.call(_NAME, *_given((probs[at : at + 1], label_seq[at : at + 1]))),
                    right[at : at + 1], "one image alone, without padding", shape_hint=_SHAPE)
    with trial.part("images without labels", _CRASHES):
        probs, label_seq = _sequences(trial.rng, False)
        label_seq[:, 1:], label_seq[:, 0] = PAD, probs.shape[2] - 1
        trial.equal(trial.call(_NAME, *_given((probs, label_seq))), probs[:, 0, :-1],
                    "the probabilities of images whose first step is STOP", [
                        Mistake("All are 0. If you left out the step of STOP: it is valid, and "
                                "there, too, the decoder says how probable each label is. If you "
                                "took chosen labels only: all labels have a probability.",
                                np.zeros_like(probs[:, 0, :-1])),
                    ], shape_hint=_SHAPE)
        one = probs[:, :1], label_seq[:, :1]
        trial.equal(trial.call(_NAME, *_given(one)), probs[:, 0, :-1],
                    "the probabilities where no image takes more than one step", shape_hint=_SHAPE)
    with trial.part("small probabilities, padding that is NaN, dtype", _CRASHES):
        probs, label_seq = _sequences(trial.rng, False)
        small = exact(probs * 2.0**-20)
        small[..., -1] = exact(1 - small[..., :-1].sum(axis=2))
        trial.equal(trial.call(_NAME, *_given((small, label_seq))), _right(small, label_seq),
                    "probabilities of a millionth", rtol=1e-3, atol=0.0,
                    hint="Nothing is added to them, and nothing is rounded.")
        spoilt = np.where((label_seq == PAD)[..., None], nan, probs)
        right = _right(probs, label_seq)
        padded = (label_seq == PAD).any(axis=1)[:, None]
        trial.equal(trial.call(_NAME, *_given((spoilt, label_seq))), right,
                    "the probabilities where padded steps hold NaN",
                    [Mistake(_NAN, np.where(padded, nan, right))], hint=f"If it is right without "
                    f"NaN: {_NAN}", shape_hint=_SHAPE)
        for double in (True, False):
            given = tensor(probs, double)
            got = trial.call(_NAME, given, whole(label_seq))
            trial.tensor(got, given, f"the probabilities from {given.dtype}")


def _given(drawn: Drawn) -> tuple[object, object]:
    return tensor(drawn[0]), whole(drawn[1])


def _sequences(rng: np.random.Generator, square: bool) -> Drawn:
    """With `square` there are as many steps as labels: a maximum over the wrong axis fits then."""
    labels = int(rng.integers(5, 8))
    steps = labels if square else int(rng.integers(4, labels))
    images = int(rng.integers(7, 10))
    label_seq = label_seqs(rng, images, steps, labels)
    return exact(softmax(rng.normal(0, 1.5, (images, steps, labels + 1)))), label_seq


def _over(probs: Array, mask: Array) -> Array:
    """(B, L): the maximum over the steps of a mask, 0 where it has none."""
    return np.where(mask[..., None], probs[..., :-1], 0).max(axis=1)


def _right(probs: Array, label_seq: Array) -> Array:
    return _over(probs, label_seq != PAD)


def _wrongly(probs: Array, label_seq: Array) -> list[Mistake]:
    valid, stop = label_seq != PAD, probs.shape[2] - 1
    right = _right(probs, label_seq)
    labels = probs[..., :-1]
    inside = np.where(valid[..., None], labels, 0)
    count = valid.sum(axis=1)
    last = count - 1
    rows = np.arange(len(probs))
    chosen = np.zeros(probs.shape, bool)
    np.put_along_axis(chosen, np.where(valid, label_seq, stop)[..., None], True, 2)
    at = np.arange(label_seq.shape[1])
    found = [
        Mistake("Padded steps count in your maximum: after STOP the decoder says nothing any more. "
                "Leave out the steps where label_seq is -100.", labels.max(axis=1)),
        Mistake("You took the mean over the valid steps; take the maximum.",
                inside.sum(axis=1) / count[:, None]),
        Mistake("You took the mean over all steps; take the maximum over the valid ones.",
                labels.mean(axis=1)),
        Mistake("You added the valid steps and divided by all of them; take the maximum over the "
                "valid ones.", inside.mean(axis=1)),
        Mistake("You added the steps up, which can exceed 1; take the maximum.",
                inside.sum(axis=1)),
        Mistake("You added all steps up, padded ones, too; take the maximum over the valid ones.",
                labels.sum(axis=1)),
        Mistake("That is 1 minus the product of all 1 - p, the probability of at least one hit if "
                "steps were independent of each other. They are not; take the maximum.",
                1 - (1 - inside).prod(axis=1)),
        Mistake("Only labels that were chosen have a probability in your result. All labels have "
                "one, or all others tie at 0.", np.where(chosen[..., :-1] & valid[..., None],
                                                         labels, 0).max(axis=1)),
        Mistake("You took the maximum over the valid steps, but for chosen labels only. All labels "
                "have one, or all others tie at 0.",
                np.where(chosen[..., :-1].any(axis=1), right, 0)),
        Mistake("Those are decisions: 1 where the label was chosen. Take its probability.",
                chosen[..., :-1].max(axis=1).astype(float)),
        Mistake("You left out the step of STOP. It is valid: there, too, the decoder says how "
                "probable each label is.", _over(probs, valid & (label_seq != stop))),
        Mistake("You left out the steps of label 0. It is a label like any other; padding is -100.",
                _over(probs, label_seq > 0)),
        Mistake("You took the last valid step only, that of STOP. Take the maximum over all valid "
                "steps.", labels[rows, last]),
        Mistake("You took the last step, which may be padding; take the maximum over the valid "
                "ones.", labels[:, -1]),
        Mistake("You took the first step only; take the maximum over all valid steps.",
                labels[:, 0]),
        Mistake("You took the step before STOP only; take the maximum over all valid steps.",
                labels[rows, np.maximum(last - 1, 0)]),
        Mistake("You left out the first step; take the maximum over all valid steps.",
                _over(probs, valid & (at > 0))),
        Mistake("You left out column 0, which is a label; STOP is the last one.",
                np.where(valid[..., None], probs[..., 1:], 0).max(axis=1)),
        Mistake("You took the minimum; take the maximum.",
                np.where(valid[..., None], labels, np.inf).min(axis=1)),
        Mistake("Your mask is turned round: you took the padded steps. Valid is where label_seq is "
                "NOT -100.", _over(probs, ~valid)),
        Mistake("You took the softmax once more; what is given are probabilities.",
                _over(softmax(probs), valid)),
        Mistake("You divided by the sum over the labels; the maxima need not add up to 1.",
                right / right.sum(axis=1, keepdims=True)),
    ]
    if labels.shape[1] == labels.shape[2]:
        found.append(Mistake("Your maximum runs over the labels (axis 2), and gives one number for "
                             "each step. Take it over the steps (axis 1).", inside.max(axis=2)))
    return found
