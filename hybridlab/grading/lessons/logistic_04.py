"""Logistic fits, the right one of lesson 04's Platt scaling (4.4) and those that slips give."""

from __future__ import annotations

import numpy as np

from hybridlab.grading.trial import Mistake
from hybridlab.zeroshot.platt import fit_global_platt

Array = np.ndarray
_STEPS = 50


def fit(scores: Array, targets: Array) -> tuple[float, float]:
    """The package's a and b, of 0 and 1 themselves."""
    columns = scores.reshape(-1, 1), targets.reshape(-1, 1)
    found = fit_global_platt(*columns, smooth=False)
    return float(found.scale[0]), float(found.bias[0])


def loss(a: float, b: float, scores: Array, targets: Array) -> float:
    """Mean binary cross-entropy over the annotated entries."""
    seen = targets >= 0
    logits, y = a * scores[seen] + b, targets[seen]
    with np.errstate(invalid="ignore"):  # a learner's a and b may be infinite
        return float((np.logaddexp(0, logits) - y * logits).mean())


def wrong_fits(scores: Array, targets: Array) -> list[Mistake]:
    """Known mistakes, with the a and b that they give."""
    seen = targets >= 0
    s, y = scores[seen].astype(float), targets[seen].astype(float)
    a, b = fit(scores, targets)
    middle, spread = s.mean(), s.std()
    positives, negatives = (y == 1).sum(), (y == 0).sum()
    smoothed = np.where(y == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    balanced = np.where(y == 1, len(y) / (2 * positives), len(y) / (2 * negatives))
    found = [
        ("That is 1 / a, a temperature. The exercise asks for the scale, which multiplies.",
         (1 / a, b)),
        ("a and b are swapped: return a, b.", (b, a)),
        ("Those are slope and offset for standardised scores. Translate back: where m is the "
         "mean of the scores and d their spread, a = slope / d and b = offset - a * m.",
         (a * spread, b + a * middle)),
        ("a is right, and b is the offset for standardised scores: b = offset - a * (mean of "
         "the scores).", (a, b + a * middle)),
        ("b is right for scores less their mean; a * mean must be taken off it.",
         (a * spread, b)),
        ("Your b is a threshold: a * (s - b). The exercise asks for a * s + b.", (a, -b / a)),
        ("The sign of b is turned round: sigmoid(a * s + b), not a * s - b.", (a, -b)),
        ("Both signs are turned round: Platt's paper writes 1 / (1 + exp(A s + B)), and there A "
         "is below 0. The exercise asks for sigmoid(a * s + b).", (-a, -b)),
        ("You fitted Platt's smoothed targets, (n + 1) / (n + 2). They help with few examples; "
         "the exercise fits 0 and 1.", _newton(s, smoothed)),
        ("You weighted positives and negatives so that both kinds count the same "
         "(class_weight=\"balanced\"): probabilities then no longer match frequencies.",
         _newton(s, y, weight=balanced)),
        ("A penalty keeps a small: scikit-learn's LogisticRegression has C=1 unless told. On "
         "cosines that is far too much: give C=np.inf.", _newton(s, y, penalty=1.0)),
        ("A penalty on standardised scores moves a less, and still moves it: give C=np.inf.",
         _penalised(s, y)),
        ("There is no b: sigmoid(a * s) passes through 1/2 at score 0.", _no_bias(s, y)),
        ("a stayed at 1; it is fitted as b is.", (1.0, _bias_only(s, y, 1.0))),
        ("a stayed at 100, CLIP's logit_scale; it is fitted as b is.",
         (100.0, _bias_only(s, y, 100.0))),
        ("You fitted a straight line to the targets (least squares); fit the probabilities by "
         "their cross-entropy.", _line(s, y)),
    ]
    if not seen.all():
        found += [
            ("You took entries that are not annotated (-1) for negatives; leave them out.",
             _newton(scores.ravel(), (targets == 1).ravel().astype(float))),
            ("You took entries that are not annotated (-1) for positives; leave them out.",
             _newton(scores.ravel(), (targets != 0).ravel().astype(float))),
        ]
    if scores.ndim == 2:
        found += _across_labels(scores, targets, seen)
    return [Mistake(words, np.array(pair)) for words, pair in found]


def _across_labels(
    scores: Array, targets: Array, seen: Array
) -> list[tuple[str, tuple[float, float]]]:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares = powers / powers.sum(axis=1, keepdims=True)
    sharp = np.exp(100 * (scores - scores.max(axis=1, keepdims=True)))
    sharp = sharp / sharp.sum(axis=1, keepdims=True)
    each = [_newton(scores[at, column], (targets[at, column] == 1).astype(float))
            for column, at in enumerate(seen.T)]
    whole = (targets >= 0).all(axis=1)
    y = (targets == 1).astype(float)
    found = [
        ("You fitted on a softmax over labels, in which they compete; fit on the "
         "scores as they are.", _newton(shares[seen], y[seen])),
        ("You fitted on a softmax of 100 times the scores, in which labels compete; fit "
         "on the scores as they are.", _newton(sharp[seen], y[seen])),
        ("Those are the means of the labels' own fits; fit one a and one b on all entries.",
         tuple(np.mean(each, axis=0))),
        ("That is the fit of the first label alone; all of them count.", each[0]),
    ]
    if not seen.all() and whole.sum() > 10:
        found.append(("You left out every image with an entry that is not annotated; leave out "
                      "such entries only.", _newton(scores[whole].ravel(), y[whole].ravel())))
    return found


def _newton(
    s: Array, y: Array, weight: Array | float = 1.0, penalty: float = 0.0
) -> tuple[float, float]:
    """a and b of the least sum of weight * cross-entropy + penalty * a^2 / 2."""
    middle, spread = s.mean(), s.std()
    z = np.stack([(s - middle) / spread, np.ones_like(s)])  # (2, M)
    ridge = np.array([penalty / spread**2, 0.0])  # a is w[0] / spread
    w = np.zeros(2)
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(w @ z, -500, 500)))
        slope = z @ (weight * (p - y)) + ridge * w
        curve = (z * weight * p * (1 - p)) @ z.T + np.diag(ridge) + 1e-9 * np.eye(2)
        step = np.linalg.solve(curve, slope)
        size = float(abs(step).max())
        w = w - step * min(1.0, 4 / max(1e-9, size))
        if size < 1e-9:
            break
    a = w[0] / spread
    return float(a), float(w[1] - a * middle)


def _penalised(s: Array, y: Array) -> tuple[float, float]:
    middle, spread = s.mean(), s.std()
    slope, offset = _newton((s - middle) / spread, y, penalty=1.0)
    return slope / spread, offset - slope * middle / spread


def _no_bias(s: Array, y: Array) -> tuple[float, float]:
    a = 0.0
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-a * s))
        a -= float(s @ (p - y) / max(1e-9, (s**2 * p * (1 - p)).sum()))
    return a, 0.0


def _bias_only(s: Array, y: Array, a: float) -> float:
    """b of the least cross-entropy for a given a, by halving: the mean probability rises with b."""
    low, high = -50 - a * s.max(), 50 - a * s.min()
    for _ in range(80):
        b = (low + high) / 2
        mean = (1 / (1 + np.exp(-np.clip(a * s + b, -500, 500)))).mean()
        low, high = (b, high) if mean < y.mean() else (low, b)
    return float(b)


def _line(s: Array, y: Array) -> tuple[float, float]:
    slope = float(((s - s.mean()) * (y - y.mean())).mean() / s.var())
    return slope, float(y.mean() - slope * s.mean())
