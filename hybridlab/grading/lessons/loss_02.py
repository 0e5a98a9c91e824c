"""Check of lesson 02's loss of a sequence (2.3, trap 7)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from hybridlab.grading.comparing import as_array
from hybridlab.grading.learner import Crashed
from hybridlab.grading.lessons.losses_01 import tensor
from hybridlab.grading.lessons.sequences_02 import PAD, exact, label_seqs, softmax, whole
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
Drawn = tuple[Array, Array]  # step_logits, label_seq
nan = float("nan")

_NAME = "sequence_loss"
_EXAMPLE = (
    np.array([[[0.0, 1, 0], [0, 0, 2]], [[0, 0, 0], [0, 1, 3]]]), np.array([[1, 2], [2, PAD]])
)
_NUMBER = "The loss is one number: the mean over all valid steps of the batch."
_CRASHES = {
    "RuntimeError": "F.cross_entropy wants one row of logits for each target: (M, L + 1) and (M,), "
    "such as step_logits[valid] and label_seq[valid], or step_logits.flatten(0, 1) and "
    "label_seq.flatten(). gather takes no index of -100.",
    "IndexError": "-100 is no column. Choose the valid steps first, or let F.cross_entropy ignore "
    "-100, as it does unless told otherwise.",
}
_STABLE = (
    "exp(1000) is infinite, and log(0) is -inf; a clamp hides how wrong a sure answer is. "
    "F.cross_entropy and F.log_softmax work on the logits themselves."
)
_NOTHING = (
    "Without a valid step it is 0 / 0. Divide by the number of valid steps, but by 1 at least: "
    ".clamp(min=1)."
)
_HINT = (
    "If the loss is right: nothing may be detached on the way to it, and padded steps have a "
    "gradient of 0."
)


def check_sequence_loss(trial: Trial) -> None:
    """Value, batches without a valid step, huge logits, gradients and dtype."""
    with trial.part("the worked example", _CRASHES):
        right = _right(*_EXAMPLE)
        trial.equal(trial.call(_NAME, *_given(_EXAMPLE)), right, "the loss of the example",
                    own(right, _wrongly(*_EXAMPLE)), shape_hint=_NUMBER)
    with trial.part("any sequences", _CRASHES):
        rng = trial.rng
        for square in (False, True):
            drawn, right, mistakes = telling(
                partial(_sequences, rng, square), lambda drawn: (_right(*drawn), _wrongly(*drawn))
            )
            trial.equal(trial.call(_NAME, *_given(drawn)), right,
                        f"the loss of step_logits {drawn[0].shape}", mistakes, shape_hint=_NUMBER)
        logits, label_seq = drawn
        order = rng.permutation(len(logits))
        trial.equal(trial.call(_NAME, *_given((logits[order], label_seq[order]))), right,
                    "the loss of the same images in another order")
        far = np.where((label_seq == PAD)[..., None], exact(logits + 50 * (logits > 0)), logits)
        trial.equal(trial.call(_NAME, *_given((far, label_seq))), right,
                    "the loss of the same steps with other logits at padded ones",
                    hint="What stands at padded steps must not matter.")
        longest = int((label_seq != PAD).sum(axis=1).argmax())
        one = logits[longest : longest + 1], label_seq[longest : longest + 1]
        trial.equal(trial.call(_NAME, *_given(one)), _right(*one),
                    "the loss of one image without padding", shape_hint=_NUMBER)
    with trial.part("no valid step", _CRASHES):
        logits, label_seq = _sequences(trial.rng, False)
        label_seq[[0, 2]] = PAD
        drawn = logits, label_seq
        each = _costs(*drawn)
        count = (label_seq != PAD).sum(axis=1)
        trial.equal(trial.call(_NAME, *_given(drawn)), _right(*drawn),
                    "the loss where two images have no valid step", [
                        Mistake("An image without a valid step made the loss NaN. The mean is over "
                                "all valid steps of the batch, not image by image.", nan),
                        Mistake("You took each image's mean first; all valid steps of the batch "
                                "count the same.",
                                (each.sum(axis=1) / np.maximum(count, 1)).mean()),
                    ], shape_hint=_NUMBER)
        nothing = np.full_like(label_seq, PAD)
        single = nothing.copy()
        single[1, 0] = logits.shape[2] - 1
        trial.equal(trial.call(_NAME, *_given((logits, single))), _right(logits, single),
                    "the loss of one valid step in all",
                    hint="With one valid step the loss is what this step costs.")
        trial.equal(trial.call(_NAME, *_given((logits, nothing))), 0.0,
                    "the loss where no step is valid", [Mistake(_NOTHING, nan)], hint=_NOTHING,
                    shape_hint=_NUMBER)
    with trial.part("huge logits", _CRASHES):
        logits, label_seq = _sequences(trial.rng, False)
        huge = exact(1000 * np.sign(logits)), label_seq
        trial.equal(trial.call(_NAME, *_given(huge)), _right(*huge),
                    "the loss of logits of 1000 and -1000",
                    hint="If it is right for small logits: " + _STABLE, shape_hint=_NUMBER)
    with trial.part("gradients and dtype", _CRASHES):
        logits, label_seq = _sequences(trial.rng, False)
        nothing = np.full_like(label_seq, PAD)
        for what, seq in (("the gradient of step_logits", label_seq),
                          ("the gradient where no step is valid", nothing)):
            given = tensor(logits, double=True, gradient=True)
            got, found = trial.gradients(_NAME, given, whole(seq))
            trial.tensor(got, given, "the loss of float64 logits")
            trial.form(got, np.zeros(()), "the loss", _NUMBER)
            spoilt = np.isnan(as_array(found[0])).any()
            trial.equal(found[0], _gradient(logits, seq), what, hint=_NOTHING if spoilt else _HINT)
        _kept(trial, logits, label_seq)


def _kept(trial: Trial, logits: Array, label_seq: Array) -> None:
    """The dtype of the logits is kept in half precision, too; values are not looked at.

    Raises:
        Wrong: the result has another dtype.
    """
    import torch

    given = torch.tensor(logits, dtype=torch.bfloat16)
    try:
        got = trial.call(_NAME, given, whole(label_seq))
    except Crashed as crash:
        if "not implemented for" in str(crash):  # a matter of torch's version
            return
        raise
    trial.tensor(got, given, "the loss of bfloat16 logits")


def _given(drawn: Drawn) -> tuple[object, object]:
    return tensor(drawn[0]), whole(drawn[1])


def _sequences(rng: np.random.Generator, square: bool) -> Drawn:
    """With `square` there are as many steps as labels and STOP: another axis for the softmax."""
    labels = int(rng.integers(5, 8))
    steps = labels + 1 if square else int(rng.integers(4, labels))
    images = int(rng.integers(8, 11))
    label_seq = label_seqs(rng, images, steps, labels)
    logits = rng.normal(0, 1.5, (images, steps, labels + 1))
    # a decoder that has learnt something: its sums and means differ enough to be told apart
    right = np.where(label_seq == PAD, 0, label_seq)[..., None]
    np.put_along_axis(logits, right, np.take_along_axis(logits, right, 2) + 1, 2)
    return exact(logits), label_seq


def _of_target(values: Array, label_seq: Array) -> Array:
    """(B, T): the entry of the right symbol; at padded steps of column 0."""
    column = np.where(label_seq == PAD, 0, label_seq)[..., None]
    return np.take_along_axis(values, column, 2)[..., 0]


def _log_softmax(logits: Array, axis: int = -1) -> Array:
    return logits - np.logaddexp.reduce(logits, axis=axis, keepdims=True)


def _costs(logits: Array, label_seq: Array, axis: int = -1) -> Array:
    """(B, T), 0 at padded steps."""
    return np.where(label_seq == PAD, 0, -_of_target(_log_softmax(logits, axis), label_seq))


def _right(logits: Array, label_seq: Array) -> float:
    return float(_costs(logits, label_seq).sum() / max(1, (label_seq != PAD).sum()))


def _gradient(logits: Array, label_seq: Array) -> Array:
    valid = label_seq != PAD
    chosen = np.zeros_like(logits)
    np.put_along_axis(chosen, np.where(valid, label_seq, 0)[..., None], 1.0, 2)
    return (softmax(logits) - chosen) * valid[..., None] / max(1, valid.sum())


def _wrongly(logits: Array, label_seq: Array) -> list[Mistake]:
    valid, stop = label_seq != PAD, logits.shape[2] - 1
    each = _costs(logits, label_seq)
    count = valid.sum(axis=1)
    right = _right(logits, label_seq)

    def padded(column: int) -> Array:
        return _costs(logits, np.where(valid, label_seq, column))

    def moved(move: Callable[[Array], Array], turn: Callable[[Array], Array]) -> float:
        return _right(move(logits), turn(label_seq))

    label = valid & (label_seq != stop)
    absent = "Padding is no target: leave those steps out."
    found = [
        Mistake(f"Padded steps count in your mean, as if label 0 were right there. {absent}",
                padded(0).mean()),
        Mistake(f"Padded steps count in your mean, as if STOP were right there. {absent}",
                padded(stop).mean()),
        Mistake("You divided by B x T. Padded steps cost 0 in your sum, and count in your mean: "
                "divide by the number of valid steps.", each.sum() / each.size),
        Mistake("You took each image's mean first, and the mean of those. All valid steps of the "
                "batch count the same: one sum, divided by their number.",
                (each.sum(axis=1) / count).mean()),
        Mistake("You added the steps up; the loss is their mean.", each.sum()),
        Mistake("You added over steps and averaged over images: long sequences would count more, "
                "and the loss would grow with their length. Divide by the number of valid steps.",
                each.sum() / len(each)),
        Mistake("You divided by 3, the example's number of valid steps; count them.",
                each.sum() / 3),
        Mistake("You left out the step of STOP: a decoder never learns where to end.",
                each[label].sum() / max(1, label.sum())),
        Mistake("You left out the steps of label 0. It is a label like any other; padding is -100.",
                each[label_seq > 0].sum() / max(1, (label_seq > 0).sum())),
        Mistake("You took the softmax twice: what expects logits was given probabilities.",
                _right(softmax(logits), label_seq)),
        Mistake("You compared each step's logits with the label of the next step. Logits and "
                "label_seq belong together as they are: step t says what is written at step t.",
                moved(lambda given: given[:, :-1], lambda seq: seq[:, 1:])),
        Mistake("You compared each step's logits with the label of the step before. Logits and "
                "label_seq belong together as they are: step t says what is written at step t.",
                moved(lambda given: given[:, 1:], lambda seq: seq[:, :-1])),
        Mistake("That is the mean logit of the right symbols, its sign turned. Take the logarithm "
                "of the softmax first.", -(_of_target(logits, label_seq) * valid).sum()
                / valid.sum()),
        Mistake("That is the mean of 1 - p. A step costs -log p.",
                ((1 - np.exp(-each)) * valid).sum() / valid.sum()),
        Mistake("The sign is wrong: a loss is positive, and falls as the answers get better.",
                -right),
    ]
    if logits.shape[1] == logits.shape[2]:
        turned = np.where(valid, -_of_target(
            np.swapaxes(_log_softmax(logits, 1), 1, 2), label_seq), 0)
        found.append(Mistake(
            "Your softmax runs over the steps: F.cross_entropy takes axis 1 for the classes. "
            "Choose the valid steps first, flatten images and steps, or give it "
            "step_logits.transpose(1, 2).", turned.sum() / valid.sum()))
    return found
