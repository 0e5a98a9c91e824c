"""Thresholds against brute force over every cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridlab.evaluation.metrics import threshold_metrics
from hybridlab.evaluation.thresholds import (
    best_f1_threshold,
    exact_match_threshold,
    global_threshold,
    per_label_thresholds,
)

quick = settings(max_examples=80, deadline=None, derandomize=True)


def f1_of(decisions, targets):
    known = targets >= 0
    hits = int((decisions & (targets == 1)).sum())
    return 2 * hits / (int((decisions & known).sum()) + int((targets == 1).sum()))


def brute_force(scores, targets):
    """(best F1, lowest score taken) over every distinct score; the highest cut of equals."""
    cuts = sorted(set(scores[targets >= 0].tolist()), reverse=True)
    return max(((f1_of(scores >= cut, targets), cut) for cut in cuts), key=lambda pair: pair[0])


@st.composite
def splits(draw, values=(-1, 0, 1)):
    n, labels = draw(st.integers(1, 25)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    probs = rng.random((n, labels)).round(draw(st.sampled_from([1, 2, 9])))
    targets = rng.choice(values, size=(n, labels))
    targets[0, 0] = 1
    return probs.astype(draw(st.sampled_from([np.float32, np.float64]))), targets


@quick
@given(splits())
def test_best_threshold_equals_brute_force(split):
    probs, targets = split
    threshold = best_f1_threshold(probs[:, 0], targets[:, 0])
    best, cut = brute_force(probs[:, 0], targets[:, 0])
    assert f1_of(probs[:, 0] >= threshold, targets[:, 0]) == best
    known = probs[targets[:, 0] >= 0, 0]
    below = known[known < cut]
    assert threshold == pytest.approx((cut + (below.max() if below.size else 0)) / 2, abs=1e-7)


@quick
@given(splits())
def test_global_threshold_has_the_best_of1(split):
    probs, targets = split
    best, _ = brute_force(probs.ravel(), targets.ravel())
    measured = threshold_metrics(probs >= global_threshold(probs, targets), targets)
    assert measured.of1 == pytest.approx(best, abs=1e-12)


@quick
@given(splits())
def test_no_other_threshold_has_more_images_right(split):
    probs, targets = split

    def right(threshold):
        return (((probs >= threshold) == (targets == 1)) | (targets < 0)).all(axis=1).mean()

    found = exact_match_threshold(probs, targets)
    edges = np.unique(np.append(probs.astype(float), [0.0, 1.0]))
    tried = [*edges, *(edges[1:] + edges[:-1]) / 2]
    assert 0 <= found <= 1 and right(found) == max(map(right, tried))


@quick
@given(splits())
def test_without_shrinkage_every_label_has_its_best_f1(split):
    probs, targets = split
    fitted = per_label_thresholds(probs, targets, min_positives=1, shrinkage=0)
    decisions = probs >= fitted.values
    for j in range(targets.shape[1]):
        if (targets[:, j] == 1).any():
            best, _ = brute_force(probs[:, j], targets[:, j])
            assert f1_of(decisions[:, j], targets[:, j]) == best
            assert fitted.values[j] == best_f1_threshold(probs[:, j], targets[:, j])
        else:
            assert j in fitted.fell_back and fitted.values[j] == fitted.global_value


def test_shrinkage_and_fall_back_by_number_of_positives():
    rng = np.random.default_rng(3)
    targets = (rng.random((200, 3)) < [0.3, 0.1, 0.0]).astype(int)
    targets[:4, 2] = 1
    probs = np.clip(targets * 0.3 + rng.random((200, 3)) * [0.9, 0.5, 0.7], 0, 1)
    fitted = per_label_thresholds(probs, targets, min_positives=5, shrinkage=7)
    assert fitted.fell_back == (2,)
    assert fitted.global_value == global_threshold(probs, targets)
    assert fitted.values[2] == fitted.global_value
    for j in (0, 1):
        n, own = targets[:, j].sum(), best_f1_threshold(probs[:, j], targets[:, j])
        expected = (n * own + 7 * fitted.global_value) / (n + 7)
        assert fitted.values[j] == pytest.approx(expected, abs=1e-12)
        assert own != pytest.approx(fitted.global_value)
    targets[4, 2] = 1
    assert per_label_thresholds(probs, targets, min_positives=5).fell_back == ()


def test_shrinkage_lowers_the_optimism_of_rare_labels():
    rng = np.random.default_rng(0)

    def split(n):
        targets = (rng.random((n, 60)) < 0.02).astype(int)
        odds = 0.02 / 0.98 * np.exp(1.5 * (rng.normal(size=targets.shape) + 1.5 * targets - 0.75))
        return odds / (1 + odds), targets

    probs, targets = split(400)
    fresh, truth = split(5000)
    own = per_label_thresholds(probs, targets, min_positives=1, shrinkage=0)
    shrunk = per_label_thresholds(probs, targets)

    def of1(thresholds, p, t):
        return threshold_metrics(p >= thresholds.values, t).of1

    assert of1(shrunk, fresh, truth) > of1(own, fresh, truth) + 0.01
    gap = of1(own, probs, targets) - of1(own, fresh, truth)
    assert of1(shrunk, probs, targets) - of1(shrunk, fresh, truth) < gap


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_middle_of_neighbouring_floats_does_not_reach_the_lower(dtype):
    low = dtype(0.3)
    scores = np.array([np.nextafter(low, dtype(1)), low], dtype)
    for shift in range(4):  # whether the middle rounds up or down depends on the last bit
        threshold = best_f1_threshold(scores, [1, 0])
        assert (scores >= threshold).tolist() == [True, False], shift
        assert (scores >= dtype(threshold)).tolist() == [True, False], shift
        scores = np.nextafter(scores, dtype(1))


def test_a_threshold_lies_between_scores_and_not_on_one():
    assert best_f1_threshold([0.75, 0.25], [1, 0]) == 0.5


def test_taking_everything():
    assert best_f1_threshold([0.5, 0.25], [1, 1]) == 0.125
    assert best_f1_threshold([-1.0, -3.0], [1, 1]) == -3.0
    assert best_f1_threshold([0.5], [1]) == 0.25
    assert best_f1_threshold([0.0], [1]) == 0.0


def test_an_uninformative_score_predicts_everything():
    # trap 19: with nothing to go by, the best F1 is that of "yes" to all
    scores = np.full(10, 0.1)
    threshold = best_f1_threshold(scores, [1] + [0] * 9)
    assert (scores >= threshold).all()


def test_no_positive_is_an_error_that_says_so():
    for fit in (global_threshold, per_label_thresholds):
        with pytest.raises(ValueError, match=r"\(4, 2\) hold no positive"):
            fit(np.full((4, 2), 0.5), np.zeros((4, 2)))
        with pytest.raises(ValueError, match="hold no positive"):
            fit(np.empty((0, 2)), np.empty((0, 2)))
    with pytest.raises(ValueError, match="hold no positive"):
        best_f1_threshold([0.2, 0.4], [-1, 0])


def test_logits_are_not_taken_for_probabilities():
    with pytest.raises(ValueError, match=r"-1.5 at row 1, column 0.*sigmoid"):
        per_label_thresholds(np.array([[0.5], [-1.5]]), np.array([[1], [0]]))
    with pytest.raises(ValueError, match="row 0, column 0"):
        global_threshold(np.array([[1.5]]), np.array([[1]]))


def test_bad_input_is_named():
    probs, targets = np.full((4, 2), 0.5), np.ones((4, 2))
    with pytest.raises(ValueError, match=r"\(4, 1\).*probs has shape \(4, 2\)"):
        per_label_thresholds(probs, targets[:, :1])
    with pytest.raises(ValueError, match="row 0, column 0"):
        per_label_thresholds(probs, targets * 3)
    probs[3, 1] = np.nan
    with pytest.raises(ValueError, match="row 3, column 1"):
        per_label_thresholds(probs, targets)
    with pytest.raises(ValueError, match="min_positives is 0"):
        per_label_thresholds(probs, targets, min_positives=0)
    with pytest.raises(ValueError, match="shrinkage is -1"):
        per_label_thresholds(probs, targets, shrinkage=-1)
