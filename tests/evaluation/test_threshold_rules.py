"""Every rule against brute force over all cuts, and what it does where nothing fits."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import fbeta_score, precision_score, recall_score

from hybridlab.evaluation.decisions import threshold_metrics
from hybridlab.evaluation.threshold_rules import (
    NEVER,
    at_precision,
    at_recall,
    by_cardinality,
    clip_adjusted,
    cross_fitted,
    f1_of,
    for_cf1,
    for_of1,
)
from hybridlab.evaluation.thresholds import global_threshold, per_label_thresholds

seeds = st.integers(0, 10_000)


def drawn(seed: int, n: int = 30, labels: int = 3, masked: float = 0.1, places: int = 2):
    """Probabilities with ties; the first row is annotated and positive."""
    draw = np.random.default_rng(seed)
    truth = (draw.random((n, labels)) < 0.3).astype(int)
    probs = np.round(1 / (1 + np.exp(-(2 * truth - 1 + draw.normal(size=truth.shape)))), places)
    truth[draw.random(truth.shape) < masked] = -1
    truth[0] = 1
    return probs, truth


def every_cut(column: np.ndarray) -> np.ndarray:
    levels = np.unique(column)
    return np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [NEVER]])


@settings(max_examples=60, deadline=None)
@given(seed=seeds, least=st.floats(0.05, 1.0))
def test_floors_on_precision_and_recall_are_brute_force(seed, least):
    probs, truth = drawn(seed)
    precise, complete = at_precision(probs, truth, least), at_recall(probs, truth, least)
    for at in range(3):
        seen = truth[:, at] >= 0
        p, y = probs[seen, at], truth[seen, at]
        recalls, takens = [], []
        for cut in every_cut(p):
            yes = p >= cut
            if yes.any() and precision_score(y, yes) >= least - 1e-9:
                recalls.append(recall_score(y, yes))
            if recall_score(y, yes) >= least - 1e-9:
                takens.append(yes.sum())
        yes = p >= precise.values[at]
        if recalls:
            assert at not in precise.unattained
            assert precision_score(y, yes) >= least - 1e-9
            assert recall_score(y, yes) == pytest.approx(max(recalls))
        else:
            assert at in precise.unattained and not yes.any()
        yes = p >= complete.values[at]
        assert recall_score(y, yes) >= least - 1e-9 and yes.sum() == min(takens)


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_of1_is_the_best_of_all_combinations(seed):
    probs, truth = drawn(seed, n=7)
    best = max(
        f1_of(probs >= np.array(cuts), truth).of1
        for cuts in product(*(every_cut(column) for column in probs.T))
    )
    assert f1_of(probs >= for_of1(probs, truth).values, truth).of1 == pytest.approx(best)


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_cf1_is_climbed_to_where_no_label_helps(seed):
    probs, truth = drawn(seed, n=12)
    cuts = for_cf1(probs, truth).values
    value = f1_of(probs >= cuts, truth).cf1
    assert value >= f1_of(probs >= for_of1(probs, truth).values, truth).cf1 - 1e-9
    for at in range(3):
        for cut in every_cut(probs[:, at]):
            other = cuts.copy()
            other[at] = cut
            assert f1_of(probs >= other, truth).cf1 <= value + 1e-9


def test_cf1_can_be_gamed():
    """Calibrated probabilities: CF1 rises, macro-F1 falls (trap 19)."""
    draw = np.random.default_rng(0)
    probs = draw.beta(0.4, 2.0, (2000, 20))
    truth = (draw.random(probs.shape) < probs).astype(int)
    honest = f1_of(probs >= per_label_thresholds(probs, truth).values, truth)
    gamed = f1_of(probs >= for_cf1(probs, truth).values, truth)
    assert gamed.cf1 > honest.cf1 + 0.02 and gamed.macro_f1 < honest.macro_f1 - 0.1


@settings(max_examples=40, deadline=None)
@given(seed=seeds)
def test_as_many_labels_as_there_are(seed):
    probs, truth = drawn(seed, places=6)
    seen = truth >= 0
    cut = by_cardinality(probs, truth)
    assert ((probs >= cut) & seen).sum() == (truth == 1).sum()


@settings(max_examples=30, deadline=None)
@given(seed=seeds, beta=st.sampled_from([0.5, 1.0, 2.0]))
def test_f_beta_is_scikit_learns_at_every_cut(seed, beta):
    probs, truth = drawn(seed, masked=0.0)
    cuts = per_label_thresholds(probs, truth, min_positives=1, shrinkage=0, beta=beta).values
    for at in range(3):
        p, y = probs[:, at], truth[:, at]
        best = max(fbeta_score(y, p >= cut, beta=beta) for cut in every_cut(p)[:-1])
        assert fbeta_score(y, p >= cuts[at], beta=beta) == pytest.approx(best)


def test_clip_moves_thresholds_only_where_it_helps():
    draw = np.random.default_rng(1)
    truth = (draw.random((400, 12)) < 0.3).astype(int)
    bias = np.linspace(-2, 2, 12)  # labels that the model likes or not, as CLIP does
    probs = 1 / (1 + np.exp(-(3 * truth - 1.5 + draw.normal(size=truth.shape) + bias)))
    similarity = 0.2 + 0.02 * bias + 0.01 * draw.normal(size=truth.shape)
    start = global_threshold(probs, truth)
    helped = clip_adjusted(start, similarity, probs, truth)
    assert helped.slope > 0.5
    assert f1_of(probs >= helped.values, truth).macro_f1 > f1_of(probs >= start, truth).macro_f1
    flat = clip_adjusted(start, np.full_like(similarity, 0.2), probs, truth)
    assert flat.slope == 0 and flat.values == pytest.approx(start)


def test_cross_fitting_decides_each_image_by_the_others():
    probs, truth = drawn(3, n=40, places=6)
    asked = []

    def fit(p, t):
        asked.append(len(p))
        assert p.shape == t.shape
        return per_label_thresholds(p, t).values

    decided = cross_fitted(probs, truth, fit, folds=4)
    assert asked == [30] * 4 and decided.shape == probs.shape
    flattered = threshold_metrics(probs >= per_label_thresholds(
        probs, truth, 1, 0).values, truth).macro_f1
    honest = threshold_metrics(cross_fitted(
        probs, truth, lambda p, t: per_label_thresholds(p, t, 1, 0).values, 4), truth).macro_f1
    assert honest < flattered
    assert np.array_equal(decided, cross_fitted(probs, truth, fit, folds=4))


def test_labels_without_a_positive_and_constant_scores():
    probs = np.array([[0.5, 0.9, 1.0], [0.5, 0.1, 0.2], [0.5, 0.4, 1.0]])
    truth = np.array([[1, 0, 0], [0, 0, 1], [-1, -1, 0]])
    precise = at_precision(probs, truth, 0.6)
    assert precise.unattained == (0, 1, 2) and (precise.values == NEVER).all()
    assert at_precision(probs, truth, 0.5).values[0] <= 0.5
    complete = at_recall(probs, truth, 1.0)
    assert complete.unattained == (1,) and complete.values[1] == 0
    assert complete.values[2] < 0.2
    best = for_of1(probs, truth)
    assert f1_of(probs >= best.values, truth).of1 == pytest.approx(4 / 7)
    assert np.isfinite(for_cf1(probs, truth).values).all()


@pytest.mark.parametrize(("job", "told"), [
    (lambda p, t: at_precision(p, t, 0), "least is 0"),
    (lambda p, t: at_recall(p, t, 1.5), "least is 1.5"),
    (lambda p, t: for_of1(p * 3, t), r"expected values in \[0, 1\]"),
    (lambda p, t: for_cf1(p, np.minimum(t, 0)), "hold no positive"),
    (lambda p, t: by_cardinality(p, t[:, :2]), "targets has shape"),
    (lambda p, t: cross_fitted(p, t, lambda a, b: 0.5, folds=1), "folds is 1 for 30 images"),
    (lambda p, t: cross_fitted(p, t, lambda a, b: 0.5, folds=31), "folds is 31"),
    (lambda p, t: clip_adjusted(0.0, p, p, t), "thresholds must lie between 0 and 1"),
    (lambda p, t: clip_adjusted(0.5, p[:, :2], p, t), "similarity has shape"),
    (lambda p, t: clip_adjusted(0.5, p * np.nan, p, t), "give a finite cosine"),
    (lambda p, t: per_label_thresholds(p, t, beta=0), "beta is 0"),
])
def test_bad_input_is_named(job, told):
    probs, truth = drawn(5)
    with pytest.raises(ValueError, match=told):
        job(probs, truth)
