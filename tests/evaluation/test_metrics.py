"""Metrics against scikit-learn, torchmetrics and definitions written out in plain Python."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score
from torchmetrics.functional.classification import (
    multilabel_average_precision,
    multilabel_hamming_distance,
)

from hybridlab.evaluation.metrics import (
    average_precision,
    average_precision_per_label,
    mean_ap,
    threshold_metrics,
)

quick = settings(max_examples=60, deadline=None, derandomize=True)


@st.composite
def splits(draw, values=(0, 1), most_rows=30):
    """Scores with many ties, in either precision, and targets over `values`."""
    n, labels = draw(st.integers(1, most_rows)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = rng.normal(size=(n, labels)).round(draw(st.sampled_from([0, 1, 9])))
    targets = rng.choice(values, size=(n, labels))
    if draw(st.booleans()):
        targets[:, 0] = draw(st.sampled_from(values))
    return scores.astype(draw(st.sampled_from([np.float32, np.float64]))), targets


def plain_threshold_metrics(decisions, targets):
    """The definitions, entry by entry; None stands for a label that is absent."""
    n, labels = targets.shape
    precision, recall, f1, absent = [], [], [], []
    all_hits = all_predicted = all_positive = wrong = entries = exact = seen = 0
    for j in range(labels):
        rows = [i for i in range(n) if targets[i, j] != -1]
        hits = sum(decisions[i, j] and targets[i, j] == 1 for i in rows)
        predicted = sum(bool(decisions[i, j]) for i in rows)
        positive = sum(targets[i, j] == 1 for i in rows)
        all_hits, all_predicted = all_hits + hits, all_predicted + predicted
        all_positive += positive
        if positive == 0:
            absent.append(j)
            continue
        precision.append(hits / predicted if predicted else 0.0)
        recall.append(hits / positive)
        f1.append(2 * hits / (predicted + positive))
    for i in range(n):
        columns = [j for j in range(labels) if targets[i, j] != -1]
        errors = sum(bool(decisions[i, j]) != (targets[i, j] == 1) for j in columns)
        wrong, entries = wrong + errors, entries + len(columns)
        seen, exact = seen + bool(columns), exact + (bool(columns) and errors == 0)
    nan = math.nan
    cp = sum(precision) / len(precision) if precision else nan
    cr = sum(recall) / len(recall) if recall else nan
    harmonic = 2 * cp * cr / (cp + cr) if cp + cr else 0.0
    return {
        "cp": cp,
        "cr": cr,
        "cf1": harmonic if precision else nan,
        "op": all_hits / all_predicted if all_predicted else 0.0,
        "or_": all_hits / all_positive if all_positive else nan,
        "of1": 2 * all_hits / (all_predicted + all_positive) if all_positive else nan,
        "macro_f1": sum(f1) / len(f1) if f1 else nan,
        "exact_match": exact / seen if seen else nan,
        "hamming": wrong / entries if entries else nan,
        "absent": tuple(absent),
    }


def assert_same(measured, expected):
    for name, value in expected.items():
        got = getattr(measured, name)
        assert got == pytest.approx(value, abs=1e-12, nan_ok=True), name


@quick
@given(splits())
def test_ap_equals_scikit_learn(split):
    scores, targets = split
    ours = average_precision_per_label(scores, targets)
    for j in range(targets.shape[1]):
        if targets[:, j].any():
            expected = average_precision_score(targets[:, j], scores[:, j])
            assert ours[j] == pytest.approx(expected, abs=1e-9)
            assert average_precision(scores[:, j], targets[:, j]) == ours[j]
        else:
            assert math.isnan(ours[j])


@quick
@given(splits())
def test_ap_equals_torchmetrics(split):
    scores, targets = split
    labels = targets.shape[1]
    # Two columns at least: torchmetrics has no multilabel metric of one. Its inputs outside
    # [0, 1] go through a sigmoid, which can make ties; stay inside.
    probs = np.hstack([scores, scores[:, :1]])
    probs = (probs - probs.min()) / max(float(np.ptp(probs)), 1.0)
    truth = np.hstack([targets, targets[:, :1]])
    theirs = multilabel_average_precision(
        torch.from_numpy(probs).double(), torch.from_numpy(truth), labels + 1, average="none"
    ).numpy()
    ours = mean_ap(probs.astype(np.float64), truth)
    present = truth.any(axis=0)
    # They count a label without positives as 0 or NaN; we leave it out and say so.
    np.testing.assert_allclose(ours.per_label[present], theirs[present], atol=1e-6)
    assert ours.absent == tuple(np.flatnonzero(~present))


@quick
@given(splits(values=(-1, 0, 1)))
def test_missing_targets_are_as_if_the_row_was_not_there(split):
    scores, targets = split
    result = mean_ap(scores, targets)
    for j in range(targets.shape[1]):
        known = targets[:, j] >= 0
        if (targets[:, j] == 1).any():
            expected = average_precision_score(targets[known, j], scores[known, j])
            assert result.per_label[j] == pytest.approx(expected, abs=1e-9)
            single = average_precision(scores[:, j], targets[:, j])
            assert single == result.per_label[j]
        else:
            assert j in result.absent


def test_ap_by_hand():
    # cuts: {.9} 1/1 at recall 1/2; the tied pair {.5, .5} 2/3 at recall 1: 1/2 * 1 + 1/2 * 2/3
    assert average_precision([0.9, 0.5, 0.5, 0.1], [1, 1, 0, 0]) == pytest.approx(5 / 6)


def test_ap_of_constant_scores_is_the_share_of_positives():
    assert average_precision(np.zeros(8), [1, 0, 0, 0, 0, 0, 0, 1]) == 0.25


def test_ap_of_one_sample_and_of_all_positives():
    assert average_precision([0.3], [1]) == 1.0
    assert math.isnan(average_precision([0.3], [0]))
    assert average_precision([0.3, -2.0, 5.0], [1, 1, 1]) == 1.0


def test_mean_leaves_absent_labels_out_and_reports_them():
    scores = np.array([[0.9, 0.9, 0.1], [0.1, 0.2, 0.9]])
    targets = np.array([[1, 0, 1], [0, 0, 0]])
    result = mean_ap(scores, targets)
    assert result.absent == (1,)
    assert result.value == pytest.approx((1.0 + 0.5) / 2)
    assert math.isnan(result.per_label[1])


def test_no_positives_anywhere():
    result = mean_ap(np.ones((3, 2)), np.zeros((3, 2)))
    assert math.isnan(result.value)
    assert result.absent == (0, 1)
    measured = threshold_metrics(np.ones((3, 2), bool), np.zeros((3, 2)))
    assert all(math.isnan(getattr(measured, n)) for n in ("cp", "cr", "cf1", "or_", "of1"))
    assert (measured.op, measured.exact_match, measured.hamming) == (0.0, 0.0, 1.0)


def test_empty_batch():
    result = mean_ap(np.empty((0, 3)), np.empty((0, 3)))
    assert math.isnan(result.value)
    assert result.absent == (0, 1, 2)
    measured = threshold_metrics(np.empty((0, 3), bool), np.empty((0, 3)))
    assert math.isnan(measured.cf1) and math.isnan(measured.exact_match)
    assert math.isnan(measured.hamming) and measured.absent == (0, 1, 2)


def test_no_labels():
    assert math.isnan(mean_ap(np.empty((4, 0)), np.empty((4, 0))).value)


def test_torch_tensors_booleans_and_half_precision_give_the_same():
    rng = np.random.default_rng(0)
    scores = rng.integers(-8, 8, size=(40, 3)) / 4
    targets = rng.random((40, 3)) < 0.3
    expected = mean_ap(scores, targets.astype(int)).value
    assert mean_ap(torch.tensor(scores), torch.tensor(targets).float()).value == expected
    assert mean_ap(scores.astype(np.float16), targets).value == expected
    assert mean_ap((scores * 4).astype(int), targets).value == expected


@quick
@given(splits(values=(-1, 0, 1)))
def test_threshold_metrics_equal_the_plain_definitions(split):
    scores, targets = split
    decisions = scores > 0
    assert_same(threshold_metrics(decisions, targets), plain_threshold_metrics(decisions, targets))


@quick
@given(splits())
def test_threshold_metrics_equal_scikit_learn_where_both_define_them(split):
    scores, targets = split
    decisions = scores > 0
    measured = threshold_metrics(decisions, targets)
    present = targets.any(axis=0)
    if present.any():
        each = f1_score(
            np.c_[targets, targets], np.c_[decisions, decisions], average=None, zero_division=0
        )[: targets.shape[1]]
        assert measured.macro_f1 == pytest.approx(each[present].mean(), abs=1e-12)
        overall = f1_score(targets.ravel(), decisions.ravel(), zero_division=0)
        assert measured.of1 == pytest.approx(overall, abs=1e-12)
    theirs = multilabel_hamming_distance(
        torch.from_numpy(np.c_[decisions, decisions]).int(),
        torch.from_numpy(np.c_[targets, targets]),
        2 * targets.shape[1],
        average="micro",
    )
    assert measured.hamming == pytest.approx(float(theirs), abs=1e-6)


def test_cf1_is_the_harmonic_mean_of_means_and_not_macro_f1():
    # label 0: precision 1, recall 1/2; label 1: precision 1/2, recall 1; F1 is 2/3 for both
    decisions = np.array([[1, 1], [0, 1], [0, 0]], bool)
    measured = threshold_metrics(decisions, np.array([[1, 1], [1, 0], [0, 0]]))
    assert measured.cf1 == pytest.approx(0.75)
    assert measured.macro_f1 == pytest.approx(2 / 3)


def test_a_label_never_predicted_counts_with_precision_zero():
    measured = threshold_metrics(np.array([[True, False]]), np.array([[1, 1]]))
    assert (measured.cp, measured.cr, measured.op) == (0.5, 0.5, 1.0)


def test_an_absent_label_stands_in_the_overall_but_not_in_the_label_means():
    measured = threshold_metrics(np.array([[True, True]]), np.array([[1, 0]]))
    assert measured.absent == (1,)
    assert (measured.cp, measured.cr, measured.op, measured.or_) == (1.0, 1.0, 0.5, 1.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_named_with_its_place(bad):
    scores = np.zeros((4, 3))
    scores[2, 1] = scores[3, 0] = bad
    with pytest.raises(ValueError, match=r"row 2, column 1.*finite"):
        mean_ap(scores, np.ones((4, 3)))
    with pytest.raises(ValueError, match=r"row 2;"):
        average_precision(scores[:, 1], np.ones(4))


@pytest.mark.parametrize("bad", [2, 0.5, -2, np.nan])
def test_a_target_that_is_none_of_three_values_is_named_with_its_place(bad):
    targets = np.zeros((4, 3))
    targets[1, 2] = bad
    with pytest.raises(ValueError, match=rf"targets is {bad}.* at row 1, column 2"):
        mean_ap(np.zeros((4, 3)), targets)
    with pytest.raises(ValueError, match="row 1, column 2"):
        threshold_metrics(np.zeros((4, 3), bool), targets)


def test_wrong_shapes_are_both_given():
    with pytest.raises(ValueError, match=r"\(4, 2\).*\(4, 3\)"):
        mean_ap(np.zeros((4, 3)), np.zeros((4, 2)))
    with pytest.raises(ValueError, match=r"\(5, 3\).*decisions.*\(4, 3\)"):
        threshold_metrics(np.zeros((4, 3), bool), np.zeros((5, 3)))
    with pytest.raises(ValueError, match=r"\(4,\).*\(N, L\)"):
        mean_ap(np.zeros(4), np.zeros(4))
    with pytest.raises(ValueError, match=r"\(4, 1\).*\(N,\)"):
        average_precision(np.zeros((4, 1)), np.zeros((4, 1)))


def test_probabilities_are_not_taken_for_decisions():
    with pytest.raises(ValueError, match=r"0.7 at row 0, column 1.*probs >= thresholds"):
        threshold_metrics(np.array([[0.0, 0.7]]), np.array([[0, 1]]))


def test_scores_that_are_not_numbers_are_refused():
    with pytest.raises(ValueError, match="pass numbers"):
        mean_ap(np.array([["high"]]), np.array([[1]]))
