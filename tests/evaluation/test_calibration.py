"""Calibration equals torchmetrics and scikit-learn where they say the same; defined elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from sklearn.calibration import calibration_curve
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss
from torchmetrics.functional.classification import binary_calibration_error

from hybridlab.evaluation.average_precision import average_precision
from hybridlab.evaluation.calibration import (
    Temperature,
    brier_score,
    expected_calibration_error,
    fit_isotonic,
    fit_temperature,
    label_brier_scores,
    label_calibration_errors,
    reliability,
)


def drawn(seed: int, n: int = 300, labels: int = 4):
    """Honest probabilities and what came of them."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(-1, 2, (n, labels))
    probs = 1 / (1 + np.exp(-logits))
    return logits, probs, (draw.random((n, labels)) < probs).astype(int)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), bins=st.integers(1, 30))
def test_ece_is_torchmetrics_and_brier_is_scikit_learns(seed, bins):
    _, probs, truth = drawn(seed, 60)
    theirs = binary_calibration_error(
        torch.from_numpy(probs.ravel()), torch.from_numpy(truth.ravel()), bins, norm="l1")
    assert expected_calibration_error(probs, truth, bins) == pytest.approx(float(theirs), abs=1e-6)
    assert brier_score(probs, truth) == pytest.approx(
        brier_score_loss(truth.ravel(), probs.ravel()))
    for at, (ece, brier) in enumerate(zip(label_calibration_errors(probs, truth, bins),
                                          label_brier_scores(probs, truth), strict=True)):
        assert ece == pytest.approx(expected_calibration_error(probs[:, at], truth[:, at], bins))
        assert brier == pytest.approx(brier_score_loss(truth[:, at], probs[:, at]))


def test_bins_are_scikit_learns():
    _, probs, truth = drawn(1)
    found = reliability(probs, truth, 10)
    frequency, forecast = calibration_curve(truth.ravel(), probs.ravel(), n_bins=10)
    some = found.count > 0
    assert found.count.sum() == probs.size
    assert found.forecast[some] == pytest.approx(forecast)
    assert found.frequency[some] == pytest.approx(frequency)
    even = reliability(probs, truth, 10, "count")
    assert even.count.max() - even.count.min() <= 2 and len(even.count) == 10


def test_equal_forecasts_stay_together():
    found = reliability(np.full(10, 0.25), [1] * 3 + [0] * 7, 5, "count")
    assert found.count.max() == 10 and found.ece == pytest.approx(0.05)
    ends = reliability([0.0, 1.0], [0, 1], 4)
    assert ends.count.tolist() == [1, 0, 0, 1] and ends.ece == 0
    assert np.isnan(ends.forecast[1]) and np.isnan(ends.frequency[2])


def test_masked_entries_count_for_nothing():
    logits, probs, truth = drawn(2)
    masked = truth.copy()
    masked[:, 0] = -1
    masked[:50] = -1
    rest = (slice(50, None), slice(1, None))
    for measure in (expected_calibration_error, brier_score):
        assert measure(probs, masked) == pytest.approx(measure(probs[rest], truth[rest]))
    assert np.isnan(label_calibration_errors(probs, masked)[0])
    assert np.isnan(label_brier_scores(probs, masked)[0])
    assert fit_temperature(logits, masked).value == pytest.approx(
        fit_temperature(logits[rest], truth[rest]).value)
    nothing = np.full_like(truth, -1)
    assert np.isnan(expected_calibration_error(probs, nothing))
    assert np.isnan(brier_score(probs, nothing))
    assert np.isnan(expected_calibration_error(np.zeros((0, 3)), np.zeros((0, 3))))


@pytest.mark.parametrize("factor", [0.2, 1.0, 5.0])
def test_temperature_has_the_least_cross_entropy(factor):
    logits, _, truth = drawn(3, 2000)
    given_logits = factor * logits

    def loss(log_t):
        z = given_logits * np.exp(-log_t)
        return float((np.logaddexp(0, z) - truth * z).mean())

    best = np.exp(minimize_scalar(loss, bounds=(-5, 5), method="bounded",
                                  options={"xatol": 1e-10}).x)
    found = fit_temperature(given_logits, truth)
    assert found.value == pytest.approx(best, rel=1e-4) and not found.bounded
    assert found.value == pytest.approx(factor, rel=0.1)
    probs = found(given_logits)
    assert expected_calibration_error(probs, truth) < 0.02
    for at in range(4):
        assert average_precision(probs[:, at], truth[:, at]) == pytest.approx(
            average_precision(given_logits[:, at], truth[:, at]))


def test_a_temperature_without_an_end_says_so():
    logits = np.array([[2.0], [-1.0]])
    assert fit_temperature(logits, [[1], [0]]).bounded  # parted perfectly: ever surer
    assert fit_temperature(logits, [[1], [0]]).value < 1e-5
    turned = fit_temperature(logits, [[0], [1]])
    assert turned.bounded and turned.value > 1e5
    assert fit_temperature(np.zeros((2, 1)), [[0], [1]]).bounded
    assert Temperature(2.0)([[800.0], [-800.0]]).ravel() == pytest.approx([1, 0])


def test_isotonic_is_scikit_learns_and_falls_back():
    logits, _, truth = drawn(4)
    truth[:, 2] = 0
    truth[:5, 2] = 1
    truth[10:20, 0] = -1
    fit = fit_isotonic(logits, truth)
    assert fit.fell_back == (2,)
    seen = truth[:, 0] >= 0
    theirs = IsotonicRegression(out_of_bounds="clip", y_min=0, y_max=1).fit(
        logits[seen, 0], truth[seen, 0])
    probs = fit(logits)
    assert probs[:, 0] == pytest.approx(theirs.predict(logits[:, 0]))
    assert probs.min() >= 0 and probs.max() <= 1
    order = logits[:, 1].argsort()
    assert (np.diff(probs[order, 1]) >= 0).all()
    whole = truth.ravel() >= 0
    pooled = IsotonicRegression(out_of_bounds="clip").fit(
        logits.ravel()[whole], truth.ravel()[whole])
    assert probs[:, 2] == pytest.approx(pooled.predict(logits[:, 2]))
    with pytest.raises(ValueError, match="scores has 3 labels but this was fitted on 4"):
        fit(logits[:, :3])


@pytest.mark.parametrize(("job", "told"), [
    (lambda p, t: reliability(p, t, 0), "bins is 0"),
    (lambda p, t: reliability(p, t, 5, "size"), "binning is 'size'"),
    (lambda p, t: reliability(p * 3, t), r"probs is .* at \(\d+, \d\); expected values in"),
    (lambda p, t: reliability(np.where(p > 0.5, np.nan, p), t), "scores is nan"),
    (lambda p, t: brier_score(p, t[:, :2]), "targets has shape"),
    (lambda p, t: fit_temperature(p, np.full_like(t, -1)), "no annotated entry"),
    (lambda p, t: fit_isotonic(p, np.full_like(t, -1)), "no annotated entry"),
    (lambda p, t: fit_isotonic(p, t, 0), "min_examples is 0"),
])
def test_bad_input_is_named(job, told):
    _, probs, truth = drawn(5, 20)
    with pytest.raises(ValueError, match=told):
        job(probs, truth)
