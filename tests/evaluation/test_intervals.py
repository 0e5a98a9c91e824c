"""Named metrics and the table of labels, with the intervals of the other functions."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score

from hybridlab.evaluation.bootstrap import bootstrap_metrics, resample_counts
from hybridlab.evaluation.intervals import label_table, named_intervals

DRAW = np.random.default_rng(0)
TARGETS = (DRAW.random((120, 5)) < [0.4, 0.2, 0.1, 0.3, 0.0]).astype(np.int8)
SCORES = TARGETS + DRAW.normal(size=TARGETS.shape)
DECISIONS = SCORES > 0.6


def test_the_same_as_the_three_of_bootstrap_metrics():
    found = named_intervals(["mean_ap", "cf1", "of1"], SCORES, DECISIONS, TARGETS, 200, seed=3)
    basic = bootstrap_metrics(SCORES, DECISIONS, TARGETS, 200, seed=3, method="basic")
    plain = bootstrap_metrics(SCORES, DECISIONS, TARGETS, 200, seed=3, method="percentile")
    assert list(found) == ["mean_ap", "cf1", "of1"]
    np.testing.assert_allclose(found["mean_ap"], basic["mean_ap"], atol=1e-6)
    np.testing.assert_allclose(found["cf1"], plain["cf1"], atol=1e-6)
    np.testing.assert_allclose(found["of1"], plain["of1"], atol=1e-6)
    assert named_intervals([], SCORES, DECISIONS, TARGETS) == {}
    with pytest.raises(ValueError, match="did you mean 'mean_ap'"):
        named_intervals(["mean_app"], SCORES, DECISIONS, TARGETS)


def test_each_label_as_scikit_learn_has_it():
    table = label_table(SCORES, DECISIONS, TARGETS, 50)
    assert table.positives.tolist() == TARGETS.sum(axis=0).tolist()
    assert table.predicted.tolist() == DECISIONS.sum(axis=0).tolist()
    for at in range(4):
        given = TARGETS[:, at], DECISIONS[:, at]
        assert table.precision[at] == pytest.approx(precision_score(*given))
        assert table.recall[at] == pytest.approx(recall_score(*given))
        assert table.f1[at].value == pytest.approx(f1_score(*given))
        assert table.ap[at].value == pytest.approx(
            average_precision_score(TARGETS[:, at], SCORES[:, at]))
        assert table.f1[at].low < table.f1[at].value < table.f1[at].high
        assert 0 <= table.ap[at].low < table.ap[at].high <= 1
    assert np.isnan([table.precision[4], table.recall[4], *table.ap[4], *table.f1[4]]).all()


def test_intervals_by_hand():
    table = label_table(SCORES, DECISIONS, TARGETS, 300, seed=1)
    rows = [np.repeat(np.arange(120), counts) for counts in resample_counts(120, 300, 1)]
    f1 = [f1_score(TARGETS[each, 1], DECISIONS[each, 1], zero_division=0) for each in rows]
    assert table.f1[1][1:] == pytest.approx(tuple(np.quantile(f1, [0.025, 0.975])))
    ap = [average_precision_score(TARGETS[each, 1], SCORES[each, 1]) for each in rows]
    low, high = np.quantile(ap, [0.025, 0.975])
    value = table.ap[1].value
    expected = (max(0, 2 * value - high), min(1, 2 * value - low))
    assert table.ap[1][1:] == pytest.approx(expected)


def test_entries_that_are_not_annotated_do_not_count():
    hidden = TARGETS.copy()
    hidden[::3, 0] = -1
    seen = hidden[:, 0] >= 0
    table = label_table(SCORES, DECISIONS, hidden, 20)
    assert table.predicted[0] == DECISIONS[seen, 0].sum()
    assert table.f1[0].value == pytest.approx(f1_score(hidden[seen, 0], DECISIONS[seen, 0]))
    assert table.ap[0].value == pytest.approx(
        average_precision_score(hidden[seen, 0], SCORES[seen, 0]))


def test_one_image_and_none():
    one = label_table(SCORES[:1], DECISIONS[:1], TARGETS[:1], 10)
    assert np.isnan([each.low for each in one.ap]).all()
    none = label_table(np.zeros((0, 2)), np.zeros((0, 2), bool), np.zeros((0, 2)), 10)
    assert none.positives.tolist() == [0, 0] and np.isnan([each.value for each in none.f1]).all()


def test_decisions_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="decisions has shape"):
        label_table(SCORES, DECISIONS[:, :4], TARGETS)
