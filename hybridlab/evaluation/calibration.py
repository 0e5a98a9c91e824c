"""Is a probability of 0.7 right seven times in ten? Reliability, its measures, and two repairs.

Every pair of an image and a label is one forecast of yes or no. Over all pairs together most
forecasts are low ones, so an average over all says little of the labels that matter: look at each
label, too. Platt scaling, a third repair, is `hybridlab.zeroshot.platt`.

Guo et al. 2017 (arXiv 1706.04599): temperature and expected calibration error. Kumar et al. 2019
(arXiv 1909.10155): the error depends on its bins, and is biased upwards where they hold little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridlab.evaluation.inputs import (
    Array,
    Floats,
    check_scores,
    check_targets,
    columns,
    ratio,
)

Binning = Literal["width", "count"]
_LOG_T = 12.0  # natural logarithm of the largest temperature that is tried, and minus the smallest
_STEPS = 80


@dataclass(frozen=True, eq=False)
class Reliability:
    """Forecasts in bins.

    Attributes:
        edges: (K + 1,) of the bins; the last one holds its right end.
        count: (K,) forecasts.
        forecast: (K,) their mean probability; NaN where there is none.
        frequency: (K,) the share of them that came true; NaN where there is none.
    """

    edges: Floats
    count: NDArray[np.int64]
    forecast: Floats
    frequency: Floats

    @property
    def ece(self) -> float:
        """Mean distance of forecast and frequency, weighed by the bins' counts; NaN without any."""
        gaps = np.abs(self.forecast - self.frequency)[self.count > 0]
        weight = self.count[self.count > 0]
        return float(np.average(gaps, weights=weight)) if len(weight) else float("nan")


def reliability(
    probs: ArrayLike, targets: ArrayLike, bins: int = 15, binning: Binning = "width"
) -> Reliability:
    """All annotated entries in bins.

    Args:
        probs: (N, L) or (N,) in [0, 1].
        targets: of the same shape, in {1, 0, -1 = not annotated}.
        bins: K.
        binning: "width", bins of equal width from 0 to 1, as in most papers; "count", bins of as
            many forecasts each, where most are small. Equal forecasts stay together, so there may
            be fewer.

    Raises:
        ValueError: no bin, an unknown binning, a value outside [0, 1], or inputs that metrics
            refuse.
    """
    scored, truth = _checked(probs, targets)
    seen = truth >= 0
    return _binned(scored[seen], truth[seen], bins, binning)


def expected_calibration_error(
    probs: ArrayLike, targets: ArrayLike, bins: int = 15, binning: Binning = "width"
) -> float:
    """`reliability(...).ece`: over all entries together."""
    return reliability(probs, targets, bins, binning).ece


def label_calibration_errors(
    probs: ArrayLike, targets: ArrayLike, bins: int = 15, binning: Binning = "width"
) -> Floats:
    """The expected calibration error of each label by itself, (L,); NaN where nothing is
    annotated. Raises as `reliability`.
    """
    scored, truth = _checked(probs, targets)
    if scored.ndim == 1:
        scored, truth = scored[:, None], truth[:, None]
    return np.array([
        _binned(score[seen], found[seen], bins, binning).ece
        for score, found in zip(scored.T, truth.T, strict=True) for seen in [found >= 0]
    ])


def brier_score(probs: ArrayLike, targets: ArrayLike) -> float:
    """Mean squared distance of probability and truth over all annotated entries (Brier 1950); NaN
    if there are none. It is lowest for honest probabilities, unlike the calibration error, which
    a constant forecast of the base rate brings to 0. Raises as `reliability`.
    """
    scored, truth = _checked(probs, targets)
    seen = truth >= 0
    return float(ratio(_squares(scored, truth).sum(), seen.sum(), float("nan")))


def label_brier_scores(probs: ArrayLike, targets: ArrayLike) -> Floats:
    """The Brier score of each label, (L,); NaN where nothing is annotated."""
    scored, truth = _checked(probs, targets)
    if scored.ndim == 1:
        scored, truth = scored[:, None], truth[:, None]
    return ratio(_squares(scored, truth).sum(axis=0), (truth >= 0).sum(axis=0), float("nan"))


@dataclass(frozen=True)
class Temperature:
    """sigmoid(logits / value): one number for all labels. It changes no order, so no AP.

    Attributes:
        value: above 1 where the model was too sure.
        bounded: the best value lies beyond what is tried: the logits do not rise with the truth, or
            part it perfectly.
    """

    value: float
    bounded: bool = False

    def __call__(self, logits: ArrayLike) -> Floats:
        """Probabilities (N, L), float64."""
        return _sigmoid(check_scores(logits).astype(np.float64) / self.value)


def fit_temperature(logits: ArrayLike, targets: ArrayLike) -> Temperature:
    """The temperature with the least cross-entropy on a validation split.

    The cross-entropy is convex in 1 / T, so its slope is searched for 0 by halving.

    Args:
        logits: (N, L), before the sigmoid.
        targets: (N, L) in {1, 0, -1}.

    Raises:
        ValueError: nothing annotated, or inputs that metrics refuse.
    """
    scored = check_scores(logits).astype(np.float64)
    truth = check_targets(targets, scored.shape, of="logits")
    seen = truth >= 0
    if not seen.any():
        raise ValueError(
            f"targets of shape {truth.shape} hold no annotated entry; fit on a split that has some"
        )
    x, y = scored[seen], (truth[seen] == 1).astype(np.float64)

    def slope(log_t: float) -> float:
        """Of the cross-entropy, along 1 / T."""
        return float(((_sigmoid(x * np.exp(-log_t)) - y) * x).sum())

    low, high = -_LOG_T, _LOG_T  # a small T has a large 1 / T, where the slope is largest
    if slope(low) <= 0 or slope(high) >= 0:
        return Temperature(float(np.exp(low if slope(low) <= 0 else high)), bounded=True)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return Temperature(float(np.exp((low + high) / 2)))


@dataclass(frozen=True, eq=False)
class Isotonic:
    """A step function that never falls, for each label. It makes ties, which change AP (trap 9).

    Attributes:
        models: (L,) of scikit-learn's `IsotonicRegression`; the same one, of all labels, for those
            that fell back.
        fell_back: columns with too few positives or negatives for one of their own.
    """

    models: tuple[object, ...]
    fell_back: tuple[int, ...]

    def __call__(self, scores: ArrayLike) -> Floats:
        """Probabilities (N, L), float64.

        Raises:
            ValueError: another number of labels.
        """
        scored = check_scores(scores).astype(np.float64)
        if scored.shape[1] != len(self.models):
            raise ValueError(
                f"scores has {scored.shape[1]} labels but this was fitted on {len(self.models)}"
            )
        found = [model.predict(column)  # type: ignore[attr-defined]
                 for model, column in zip(self.models, scored.T, strict=True)]
        return np.stack(found, axis=1) if found else np.zeros(scored.shape)


def fit_isotonic(scores: ArrayLike, targets: ArrayLike, min_examples: int = 20) -> Isotonic:
    """Isotonic regression of each label (Zadrozny and Elkan 2002), by scikit-learn.

    It has as many freedoms as there are steps, and needs more positives than Platt's two numbers.

    Args:
        scores: (N, L), logits or probabilities of a validation split.
        targets: (N, L) in {1, 0, -1}.
        min_examples: positives, and negatives, below which a label takes the fit of all labels.

    Raises:
        ValueError: `min_examples` below 1, nothing annotated, or inputs that metrics refuse.
    """
    from sklearn.isotonic import IsotonicRegression

    if min_examples < 1:
        raise ValueError(f"min_examples is {min_examples}; expected at least 1")
    scored = check_scores(scores).astype(np.float64)
    truth = check_targets(targets, scored.shape)
    if not (truth >= 0).any():
        raise ValueError(
            f"targets of shape {truth.shape} hold no annotated entry; fit on a split that has some"
        )

    def fitted(x: Array, y: Array) -> object:
        seen = y >= 0
        model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
        return model.fit(x[seen], (y[seen] == 1).astype(np.float64))

    few = np.minimum((truth == 1).sum(axis=0), (truth == 0).sum(axis=0)) < min_examples
    every = fitted(scored.reshape(-1), truth.reshape(-1)) if few.any() else None
    models = tuple(every if few[at] else fitted(scored[:, at], truth[:, at])
                   for at in range(scored.shape[1]))
    return Isotonic(models, columns(few))


def _binned(probs: Array, truth: Array, bins: int, binning: Binning) -> Reliability:
    if bins < 1:
        raise ValueError(f"bins is {bins}; expected at least 1")
    if binning not in ("width", "count"):
        raise ValueError(f"binning is {binning!r}; choose 'width' or 'count'")
    edges = np.linspace(0, 1, bins + 1)
    if binning == "count" and len(probs):
        inner = np.unique(np.quantile(probs, edges[1:-1], method="higher"))
        edges = np.concatenate([[0.0], inner[(inner > 0) & (inner < 1)], [1.0]])
    at = np.searchsorted(edges[1:-1], probs, side="right")
    count = np.bincount(at, minlength=len(edges) - 1)
    sums = (np.bincount(at, weights=each, minlength=len(edges) - 1)
            for each in (probs, truth == 1))
    forecast, frequency = (ratio(each, count, float("nan")) for each in sums)
    return Reliability(edges, count, forecast, frequency)


def _squares(scored: Array, truth: Array) -> Floats:
    return np.where(truth >= 0, (scored.astype(np.float64) - (truth == 1)) ** 2, 0.0)


def _checked(probs: ArrayLike, targets: ArrayLike) -> tuple[Array, NDArray[np.int8]]:
    scored = check_scores(probs, ndim=1 if np.ndim(probs) == 1 else 2)
    truth = check_targets(targets, scored.shape, of="probs")
    outside = (scored < 0) | (scored > 1)
    if outside.any():
        place = tuple(int(i) for i in np.argwhere(outside)[0])
        raise ValueError(
            f"probs is {scored[place]} at {place}; expected values in [0, 1]: apply a sigmoid to "
            "logits, calibrate similarities"
        )
    return scored, truth


def _sigmoid(x: Floats) -> Floats:
    return np.exp(-np.logaddexp(0, -x))  # no overflow on either side
