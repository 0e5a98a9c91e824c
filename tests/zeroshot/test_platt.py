"""Platt scaling against scikit-learn's logistic regression, and what it must not change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from hybridlab.evaluation.metrics import average_precision_per_label
from hybridlab.zeroshot.platt import fit_global_platt, fit_per_label_platt


def data(n: int = 300, labels: int = 4, seed: int = 0):
    """Scores like cosines: a narrow band, shifted by the target."""
    rng = np.random.default_rng(seed)
    targets = (rng.random((n, labels)) < 0.3).astype(int)
    scores = 0.2 + 0.05 * rng.normal(size=targets.shape) + 0.06 * targets
    return scores, targets


def reference(scores, wanted):
    """Scale and bias by scikit-learn; a soft target t is a 1 of weight t and a 0 of 1 - t."""
    x = np.concatenate([scores, scores])[:, None]
    y = np.repeat([1, 0], len(scores))
    weight = np.concatenate([wanted, 1 - wanted])
    keep = weight > 0
    fit = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000, solver="newton-cholesky")
    fit.fit(100 * x[keep], y[keep], sample_weight=weight[keep])
    return 100 * fit.coef_[0, 0], fit.intercept_[0]


def smoothed(targets):
    n1, n0 = (targets == 1).sum(), (targets == 0).sum()
    return np.where(targets == 1, (n1 + 1) / (n1 + 2), 1 / (n0 + 2))


@pytest.mark.parametrize("smooth", [True, False])
def test_one_label_equals_scikit_learn(smooth):
    scores, targets = data()
    fit = fit_per_label_platt(scores, targets, smooth=smooth)
    for at in range(4):
        column = targets[:, at]
        wanted = smoothed(column) if smooth else column.astype(float)
        scale, bias = reference(scores[:, at], wanted)
        assert fit.scale[at] == pytest.approx(scale, rel=1e-5)
        assert fit.bias[at] == pytest.approx(bias, rel=1e-5)
    whole = fit_global_platt(scores, targets, smooth=smooth)
    wanted = smoothed(targets.ravel()) if smooth else targets.ravel().astype(float)
    scale, bias = reference(scores.ravel(), wanted)
    assert whole.scale.shape == (1,)
    assert whole.scale[0] == pytest.approx(scale, rel=1e-5)
    assert whole.bias[0] == pytest.approx(bias, rel=1e-5)


def test_entries_that_are_not_annotated_weigh_nothing():
    scores, targets = data(200, 3)
    hidden = np.random.default_rng(1).random(targets.shape) < 0.3
    masked = np.where(hidden, -1, targets)
    wild = np.where(hidden, 1e3, scores)
    for smooth in (True, False):
        fit = fit_per_label_platt(wild, masked, smooth=smooth)
        for at in range(3):
            seen = ~hidden[:, at]
            alone = fit_per_label_platt(
                scores[seen, at : at + 1], targets[seen, at : at + 1], smooth=smooth
            )
            assert fit.scale[at] == pytest.approx(alone.scale[0], rel=1e-6)
            assert fit.bias[at] == pytest.approx(alone.bias[0], rel=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_no_labels_ap_moves(seed, per_label):
    scores, targets = data(60, 3, seed)
    targets[:8] = 1
    fit = (fit_per_label_platt if per_label else fit_global_platt)(scores, targets)
    assert (fit.scale > 0).all()
    before = average_precision_per_label(scores, targets)
    assert np.allclose(average_precision_per_label(fit(scores), targets), before)
    assert np.allclose(average_precision_per_label(fit.logits(scores), targets), before)


def test_it_calibrates():
    """On fresh data the mean probability of each label is its frequency."""
    fit = fit_per_label_platt(*data(4000, seed=1))
    scores, targets = data(4000, seed=2)
    assert np.allclose(fit(scores).mean(0), targets.mean(0), atol=0.03)


def test_labels_that_cannot_be_fitted_take_the_global_fit_and_are_named():
    scores, targets = data(400, 6)
    targets[:, 1] = 0  # no positive
    targets[:, 2] = -1  # nothing known
    targets[5:, 3] = 1  # hardly a negative
    scores[:, 4] = -scores[:, 4]  # turned round
    scores[:, 5] = 0.2  # always the same
    scores[:, 3] = 0.25
    fit = fit_per_label_platt(scores, targets)
    whole = fit_global_platt(scores, targets)
    assert fit.too_few == (1, 2, 3) and fit.wrong_way == (4, 5)
    for at in range(1, 6):
        assert fit.scale[at] == whole.scale[0] and fit.bias[at] == whole.bias[0]
    assert fit.scale[0] != whole.scale[0]
    told = fit.fallbacks(["a", "b", "c", "d", "e", "f"])
    assert "b, c, d (too few" in told and "e, f (the score does not rise" in told
    assert fit_per_label_platt(*data()).fallbacks(["a"] * 4) == ""


def test_min_examples_counts_positives():
    scores, targets = data(400, 2)
    targets[:, 1] = 0
    targets[np.argsort(-scores[:, 1])[:6:2], 1] = 1  # three positives, not parted
    assert fit_per_label_platt(scores, targets).too_few == (1,)
    assert fit_per_label_platt(scores, targets, min_examples=3).too_few == ()
    with pytest.raises(ValueError, match="min_examples is 0"):
        fit_per_label_platt(scores, targets, min_examples=0)


def test_parted_scores_stay_finite_with_platts_targets_and_are_refused_without():
    scores = np.linspace(0, 1, 40)[:, None]
    targets = (scores > 0.5).astype(int)
    fit = fit_per_label_platt(scores, targets)
    assert 0 < fit.scale[0] < 1e3
    scale, bias = reference(scores[:, 0], smoothed(targets[:, 0]))
    assert fit.scale[0] == pytest.approx(scale, rel=1e-4)
    assert fit.bias[0] == pytest.approx(bias, rel=1e-4)
    with pytest.raises(ValueError, match="part them perfectly"):
        fit_global_platt(scores, targets, smooth=False)
    noisy, truth = data(200, 1)
    two = np.hstack([noisy, np.where(truth, 0.3, 0.2)])
    both = fit_per_label_platt(two, np.hstack([truth, truth]), smooth=False)
    assert both.wrong_way == (1,)


def test_inputs_without_a_fit_are_refused():
    scores, targets = data(50, 2)
    for bad_scores, bad_targets, words in (
        (scores, np.zeros_like(targets), "no positive"),
        (scores, np.ones_like(targets), "no negative"),
        (scores, -np.ones_like(targets), "no positive"),
        (-scores, targets, "do not rise"),
        (np.full_like(scores, 0.3), targets, "do not rise"),
        (scores * np.nan, targets, "finite"),
        (scores, targets[:, :1], "shape"),
        (scores[:0], targets[:0], "no positive"),
    ):
        with pytest.raises(ValueError, match=words):
            fit_global_platt(bad_scores, bad_targets)
    with pytest.raises(ValueError, match="3 labels but this was fitted on 2"):
        fit_per_label_platt(scores, targets)(np.zeros((1, 3)))


def test_far_scores_overflow_nothing():
    with np.errstate(all="raise", under="ignore"):
        fit = fit_global_platt(*data())
        probs = fit(np.array([[-1e6, 0, 1e6, 0.2]]))
    assert probs[0, 0] == 0 and probs[0, 2] == 1


def test_labels_that_all_fit_need_no_fit_of_all_together():
    """Frequent labels with low cosines: within each label scores rise, over all they fall."""
    rng = np.random.default_rng(0)
    targets = (rng.random((400, 5)) < [0.8, 0.6, 0.4, 0.2, 0.1]).astype(int)
    scores = np.linspace(0, 0.8, 5) + 0.02 * rng.normal(size=targets.shape) + 0.03 * targets
    with pytest.raises(ValueError, match="do not rise"):
        fit_global_platt(scores, targets)
    fit = fit_per_label_platt(scores, targets)
    assert (fit.scale > 0).all() and not fit.too_few and not fit.wrong_way
    targets[:, 4] = 0
    with pytest.raises(ValueError, match=r"1 labels \(column 4 first\) cannot be fitted"):
        fit_per_label_platt(scores, targets)


def test_fallbacks_asks_for_all_names():
    scores, targets = data(400, 6)
    targets[:, 4] = 0
    with pytest.raises(ValueError, match="labels has 1 names; column 4 fell back"):
        fit_per_label_platt(scores, targets).fallbacks(["a"])
