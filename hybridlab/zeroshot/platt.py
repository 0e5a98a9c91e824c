"""Platt scaling: sigmoid(scale * score + bias), fitted on labelled images.

This uses labels: results are *few-shot calibrated*, no longer zero-shot (trap 9). Fit on a
validation split, report on another. The scale stays above 0, so no label's AP changes; a fit that
wants it otherwise says so and falls back.

Platt 1999, with his targets: (n+ + 1) / (n+ + 2) in place of 1 and 1 / (n- + 2) in place of 0,
which keep the scale finite where positives and negatives can be parted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridlab.evaluation.inputs import Array, Floats, check_scores, check_targets, columns

_STEPS, _HALVINGS = 60, 30
_SMALLEST_SCALE = 1e-6  # for scores of unit spread: below it labels tie in floating point


@dataclass(frozen=True, eq=False)
class Platt:
    """Few-shot calibration of scores.

    Attributes:
        scale: (L,), above 0; or (1,), the same for all labels.
        bias: of the same shape.
        too_few: columns with too few positives or negatives, which take the global fit.
        wrong_way: columns whose best scale is not above 0 (the score points away from the label, or
            is the same for all images, or no finite fit exists), which take the global fit.
    """

    scale: Floats
    bias: Floats
    too_few: tuple[int, ...] = ()
    wrong_way: tuple[int, ...] = ()

    def logits(self, scores: ArrayLike) -> Floats:
        """scale * score + bias, (N, L) float64.

        Raises:
            ValueError: a score that is not finite, or another number of labels.
        """
        scored = check_scores(scores)
        if len(self.scale) not in (1, scored.shape[1]):
            raise ValueError(
                f"scores has {scored.shape[1]} labels but this was fitted on {len(self.scale)}"
            )
        return self.scale * scored.astype(np.float64) + self.bias

    def __call__(self, scores: ArrayLike) -> Floats:
        """Probabilities (N, L), float64: float32 would tie high ones at 1."""
        return _sigmoid(self.logits(scores))

    def fallbacks(self, labels: Sequence[str]) -> str:
        """In words, which labels take the global fit and why; empty if none does.

        Raises:
            ValueError: fewer names than columns that fell back.
        """
        last = max((*self.too_few, *self.wrong_way), default=-1)
        if len(labels) <= last:
            raise ValueError(f"labels has {len(labels)} names; column {last} fell back: name all")
        told = [
            f"{', '.join(labels[at] for at in found)} ({why})"
            for found, why in (
                (self.too_few, "too few examples"),
                (self.wrong_way, "the score does not rise with the label"),
            )
            if found
        ]
        return "global scale and bias for " + "; ".join(told) if told else ""


def fit_global_platt(scores: ArrayLike, targets: ArrayLike, *, smooth: bool = True) -> Platt:
    """One scale and one bias for all labels (few-shot).

    Labels keep their order within an image as well as images within a label.

    Args:
        scores: (N, L) cosines or logits of a validation split.
        targets: (N, L) in {1, 0, -1 = not annotated}.
        smooth: Platt's targets (see the module); False fits 0 and 1 themselves.

    Raises:
        ValueError: no positive, no negative, scores that do not rise with the targets or part them
            perfectly without `smooth`, or inputs that metrics refuse.
    """
    scored = check_scores(scores)
    truth = check_targets(targets, scored.shape)
    fit = _global(scored, truth, smooth)
    return Platt(*fit)


def fit_per_label_platt(
    scores: ArrayLike, targets: ArrayLike, *, min_examples: int = 5, smooth: bool = True
) -> Platt:
    """A scale and a bias for each label, where data allow (few-shot).

    Args:
        scores, targets, smooth: as in `fit_global_platt`.
        min_examples: positives, and negatives, below which a label takes the global fit.

    Raises:
        ValueError: `min_examples` below 1, inputs that metrics refuse, or, where a label needs the
            global fit, as `fit_global_platt`.
    """
    if min_examples < 1:
        raise ValueError(f"min_examples is {min_examples}; expected at least 1")
    scored = check_scores(scores)
    truth = check_targets(targets, scored.shape)
    few = np.minimum((truth == 1).sum(axis=0), (truth == 0).sum(axis=0)) < min_examples
    scale, bias, right = _fit(scored, truth, smooth)
    own = right & ~few
    if own.all():
        return Platt(scale, bias)
    try:
        global_scale, global_bias = _global(scored, truth, smooth)
    except ValueError as error:
        lost = columns(~own)
        raise ValueError(
            f"{len(lost)} labels (column {lost[0]} first) cannot be fitted by themselves, and no "
            f"fit of all labels is there to fall back on: {error}"
        ) from error
    return Platt(
        np.where(own, scale, global_scale),
        np.where(own, bias, global_bias),
        too_few=columns(few),
        wrong_way=columns(~few & ~right),
    )


def _global(scored: Array, truth: NDArray[np.int8], smooth: bool) -> tuple[Floats, Floats]:
    for value, what in ((1, "positive"), (0, "negative")):
        if not (truth == value).any():
            raise ValueError(
                f"targets of shape {truth.shape} hold no {what}; fit on a split that has both"
            )
    scale, bias, right = _fit(scored.reshape(-1, 1), truth.reshape(-1, 1), smooth)
    if not right[0]:
        raise ValueError(
            "no finite scale above 0 fits: scores do not rise with the targets (is a sign turned "
            "round, or are columns in another order?), or part them perfectly (give smooth=True)"
        )
    return scale, bias


def _fit(
    scored: Array, truth: NDArray[np.int8], smooth: bool
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Maximum likelihood of every column by Newton's method; which fits are good: (L,) each."""
    seen = truth >= 0
    wanted = _wanted(truth, smooth)
    # unit spread first: cosines differ in the second decimal, which no solver likes
    count = np.maximum(seen.sum(axis=0), 1)
    middle = np.where(seen, scored, 0).sum(axis=0, dtype=np.float64) / count
    centred = np.where(seen, scored - middle, 0.0)
    # masked entries are 0 and weigh nothing
    spread = np.sqrt((centred**2).sum(axis=0) / count)
    flat = spread <= 1e-12 * np.maximum(1, np.abs(middle))
    spread = np.where(flat, 1.0, spread)
    slope, offset, done = _newton(centred / spread, wanted, seen)
    right = done & ~flat & (slope > _SMALLEST_SCALE)
    if not smooth:  # where a cut parts the two, the likelihood rises with the scale for ever
        lowest = np.where(truth == 1, scored, np.inf).min(axis=0)
        right &= lowest < np.where(truth == 0, scored, -np.inf).max(axis=0)
    scale = slope / spread
    return scale, offset - scale * middle, right


def _wanted(truth: NDArray[np.int8], smooth: bool) -> Floats:
    if not smooth:
        return (truth == 1).astype(np.float64)
    positives, negatives = (truth == 1).sum(axis=0), (truth == 0).sum(axis=0)
    return np.where(truth == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))


def _newton(
    z: Floats, wanted: Floats, seen: NDArray[np.bool_]
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Slope and offset of every column of z (N, L), and whether the gradient vanished there."""
    weight = seen.astype(np.float64)
    count = np.maximum(weight.sum(axis=0), 1)

    def loss(slope: Floats, offset: Floats) -> Floats:
        logit = slope * z + offset
        return (weight * (np.logaddexp(0, logit) - wanted * logit)).sum(axis=0) / count

    slope, offset = np.zeros(z.shape[1]), np.zeros(z.shape[1])
    now = loss(slope, offset)
    done = np.zeros(z.shape[1], np.bool_)
    for _ in range(_STEPS):
        p = _sigmoid(slope * z + offset)
        off, curve = weight * (p - wanted), weight * p * (1 - p)
        g_slope, g_offset = (off * z).sum(axis=0) / count, off.sum(axis=0) / count
        done = np.maximum(np.abs(g_slope), np.abs(g_offset)) < 1e-10
        if done.all():
            break
        h_ss, h_so = (curve * z * z).sum(axis=0) / count, (curve * z).sum(axis=0) / count
        h_oo = curve.sum(axis=0) / count
        # a trace of ridge: a column without spread has no curvature in the slope
        h_ss, h_oo = h_ss + 1e-12, h_oo + 1e-12
        det = h_ss * h_oo - h_so**2
        det = np.where(det > 0, det, np.inf)
        step_slope = (h_oo * g_slope - h_so * g_offset) / det
        step_offset = (h_ss * g_offset - h_so * g_slope) / det
        length = np.where(done, 0.0, 1.0)
        for _ in range(_HALVINGS):
            new = loss(slope - length * step_slope, offset - length * step_offset)
            worse = new > now + 1e-15
            if not worse.any():
                break
            length = np.where(worse, length / 2, length)
        else:
            length = np.where(worse, 0.0, length)
        slope, offset = slope - length * step_slope, offset - length * step_offset
        now = loss(slope, offset)
    return slope, offset, done


def _sigmoid(x: Floats) -> Floats:
    return np.exp(-np.logaddexp(0, -x))  # no overflow on either side
