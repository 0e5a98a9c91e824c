"""Ranking metrics against scikit-learn, torchmetrics and definitions in plain Python."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import coverage_error, label_ranking_loss
from torchmetrics.functional.classification import (
    multilabel_coverage_error,
    multilabel_ranking_loss,
)

from hybridlab.evaluation.ranking import (
    coverage,
    map_at_k,
    one_error,
    ranking_loss,
    ranking_metrics,
    ranking_per_image,
)

quick = settings(max_examples=80, deadline=None, derandomize=True)


@st.composite
def splits(draw, values=(0, 1), labels=(1, 7)):
    """Rows with ties, and some rows all positive or without a positive."""
    n, columns = draw(st.integers(1, 15)), draw(st.integers(*labels))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = rng.normal(size=(n, columns)).round(draw(st.sampled_from([0, 1, 9])))
    targets = rng.choice(values, size=(n, columns))
    targets[rng.random(n) < 0.15] = draw(st.sampled_from(values))
    return scores.astype(draw(st.sampled_from([np.float32, np.float64]))), targets


def plain(scores, targets):
    """(one-error, coverage, ranking loss) pair by pair, masked entries left out."""
    errors, covered, losses, images, without = [], [], [], 0, 0
    for row, truth in zip(scores.tolist(), targets.tolist(), strict=True):
        right = [s for s, t in zip(row, truth, strict=True) if t == 1]
        wrong = [s for s, t in zip(row, truth, strict=True) if t == 0]
        if not right and not wrong:
            continue
        images, without = images + 1, without + (not right)
        if right:
            errors.append(bool(wrong) and max(wrong) >= max(right))
        covered.append(sum(s >= min(right) for s in right + wrong) if right else 0)
        pairs = [w >= r for r in right for w in wrong]
        losses.append(sum(pairs) / len(pairs) if pairs else 0.0)
    means = [sum(x) / len(x) if x else math.nan for x in (errors, covered, losses)]
    return (*means, images, without)


@quick
@given(splits(labels=(2, 7)))
def test_coverage_and_ranking_loss_equal_scikit_learn(split):
    scores, targets = split
    assert coverage(scores, targets) == pytest.approx(coverage_error(targets, scores), abs=1e-9)
    theirs = label_ranking_loss(targets, scores)
    assert ranking_loss(scores, targets) == pytest.approx(theirs, abs=1e-9)


@quick
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(2, 6))
def test_they_equal_torchmetrics_where_it_defines_the_same(seed, n, labels):
    # No ties: torchmetrics breaks them by column. A positive in each row: it counts others anew.
    rng = np.random.default_rng(seed)
    probs = rng.permuted(np.tile(np.arange(1, labels + 1) / (labels + 1), (n, 1)), axis=1)
    targets = rng.integers(0, 2, (n, labels))
    targets[:, rng.integers(labels)] = 1
    preds, truth = torch.from_numpy(probs), torch.from_numpy(targets)
    theirs = float(multilabel_coverage_error(preds, truth, labels))
    assert coverage(probs, targets) == pytest.approx(theirs, abs=1e-6)
    theirs = float(multilabel_ranking_loss(preds, truth, labels))
    assert ranking_loss(probs, targets) == pytest.approx(theirs, abs=1e-6)


@quick
@given(splits(values=(-1, 0, 1)))
def test_all_three_equal_the_plain_definitions_with_masks(split):
    scores, targets = split
    found = ranking_metrics(scores, targets)
    expected = plain(scores, targets)
    got = (found.one_error, found.coverage, found.ranking_loss, found.images)
    assert (*got, found.without_positive) == pytest.approx(expected, abs=1e-12, nan_ok=True)
    assert one_error(scores, targets) == pytest.approx(expected[0], abs=1e-12, nan_ok=True)


@quick
@given(splits(values=(-1, 0, 1)))
def test_each_image_has_its_own_and_their_mean_is_the_metric(split):
    scores, targets = split
    each, found = ranking_per_image(scores, targets), ranking_metrics(scores, targets)
    for name in each._fields:
        own = [
            getattr(ranking_metrics(scores[[i]], targets[[i]]), name) for i in range(len(scores))
        ]
        assert getattr(each, name) == pytest.approx(own, abs=1e-12, nan_ok=True)
        known = [value for value in own if not math.isnan(value)]
        mean = sum(known) / len(known) if known else math.nan
        assert getattr(found, name) == pytest.approx(mean, abs=1e-12, nan_ok=True)


def test_ties_count_against_the_model():
    found = ranking_metrics([[0.5, 0.5, 0.1]], [[1, 0, 0]])
    assert (found.one_error, found.coverage, found.ranking_loss) == (1.0, 2.0, 0.5)


def test_images_without_a_positive_and_with_nothing_but():
    found = ranking_metrics([[3, 2], [3, 2], [3, 2]], [[0, 0], [1, 1], [-1, -1]])
    assert (found.images, found.without_positive) == (2, 1)
    # coverage: 0 and 2; one-error: of the one image that has a positive
    assert (found.one_error, found.coverage, found.ranking_loss) == (0.0, 1.0, 0.0)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0, 0)])
def test_nothing_to_rank_is_nan(shape):
    found = ranking_metrics(np.empty(shape), np.empty(shape))
    assert all(math.isnan(x) for x in (found.one_error, found.coverage, found.ranking_loss))
    assert found.images == found.without_positive == 0


@quick
@given(splits(values=(-1, 0, 1)), st.integers(1, 7))
def test_map_at_k_equals_its_definition(split, k):
    scores, targets = split
    k = min(k, scores.shape[1])
    found = map_at_k(scores, targets, k)
    values, without = [], 0
    for i, (row, truth) in enumerate(zip(scores.tolist(), targets.tolist(), strict=True)):
        known = [j for j in range(len(row)) if truth[j] != -1]
        positives = sum(truth[j] == 1 for j in known)
        if not positives:
            without += bool(known)
            assert math.isnan(found.per_image[i])
            continue
        ranked = sorted(known, key=lambda j: (-row[j], j))[:k]
        hits, total = 0, 0.0
        for rank, j in enumerate(ranked, start=1):
            if truth[j] == 1:
                hits += 1
                total += hits / rank
        values.append(total / min(k, positives))
        assert found.per_image[i] == pytest.approx(values[-1], abs=1e-12)
    mean = sum(values) / len(values) if values else math.nan
    assert found.value == pytest.approx(mean, abs=1e-12, nan_ok=True)
    assert found.without_positive == without


def test_map_at_k_by_hand_and_it_is_not_a_class_map():
    # ranks 1 and 3 of three are right, of four positives: (1/1 + 2/3) / min(3, 4)
    scores = np.array([[0.9, 0.8, 0.7, 0.2, 0.1]])
    targets = np.array([[1, 0, 1, 1, 1]])
    assert map_at_k(scores, targets, 3).value == pytest.approx((1 + 2 / 3) / 3)
    # each image's own label leads, so images are ranked without fault; labels are not
    scores, targets = np.array([[9.0, 8.0], [1.0, 0.5], [2.0, 3.0]]), np.eye(2)[[0, 0, 1]]
    from hybridlab.evaluation.average_precision import mean_ap

    assert map_at_k(scores, targets, 2).value == 1.0
    assert mean_ap(scores, targets).value < 0.7


def test_bad_input_is_named():
    for measure in (one_error, coverage, ranking_loss, lambda s, t: map_at_k(s, t, 1)):
        with pytest.raises(ValueError, match=r"\(2, 2\).*\(2, 3\)"):
            measure(np.zeros((2, 3)), np.zeros((2, 2)))
        with pytest.raises(ValueError, match="row 0, column 1"):
            measure([[0.0, np.nan]], [[0, 1]])
        with pytest.raises(ValueError, match="targets is 2 at row 0, column 1"):
            measure([[0.0, 1.0]], [[0, 2]])
    with pytest.raises(ValueError, match="k is 10 but scores has 2 columns"):
        map_at_k([[0.0, 1.0]], [[0, 1]], 10)
