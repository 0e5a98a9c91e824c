"""Seen and unseen labels: metrics of either group against the metrics of its columns alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hmean
from sklearn.metrics import average_precision_score, f1_score

from hybridlab.data.world import HELD_OUT, LABEL_NAMES
from hybridlab.evaluation.top_k import top_k_decisions
from hybridlab.zeroshot import splits as Z

LABELS = ("a", "b", "c", "d", "e")
SPLIT = Z.split_labels(LABELS, ["d", "b"])


def data(seed: int = 0):
    rng = np.random.default_rng(seed)
    targets = (rng.random((80, 5)) < 0.3).astype(int)
    return rng.normal(size=targets.shape) + targets, targets


def test_columns_by_name():
    assert SPLIT.seen == (0, 2, 4) and SPLIT.unseen == (1, 3) and SPLIT.size == 5
    world = Z.split_labels(LABEL_NAMES, HELD_OUT)
    assert len(world.unseen) == 16 and world.size == 80
    assert {LABEL_NAMES[at] for at in world.unseen} == set(HELD_OUT)


@given(st.floats(0, 1, width=16), st.floats(0, 1, width=16))
def test_the_harmonic_mean_is_scipys(seen, unseen):
    found = Z.harmonic_mean(seen, unseen)
    assert found == pytest.approx(float(hmean([seen, unseen])), abs=1e-12)
    assert found <= 2 * min(seen, unseen) + 1e-12


def test_the_harmonic_mean_at_its_edges():
    assert Z.harmonic_mean(0, 0) == 0 and Z.harmonic_mean(1, 0) == 0
    assert math.isnan(Z.harmonic_mean(math.nan, 0.5))
    with pytest.raises(ValueError, match="from 0 up"):
        Z.harmonic_mean(-0.1, 0.5)


def test_map_of_both_groups_equals_scikit_learn():
    scores, targets = data()
    each = average_precision_score(targets, scores, average=None)
    found = Z.seen_unseen_map(scores, targets, SPLIT)
    assert found.seen == pytest.approx(each[[0, 2, 4]].mean())
    assert found.unseen == pytest.approx(each[[1, 3]].mean())
    assert found.harmonic == pytest.approx(float(hmean([found.seen, found.unseen])))


def test_decisions_of_both_groups_equal_scikit_learn():
    scores, targets = data()
    decided = scores > 0.7
    for metric, average in (("of1", "micro"), ("macro_f1", "macro")):
        found = Z.seen_unseen_decisions(decided, targets, SPLIT, metric)
        for value, group in ((found.seen, [0, 2, 4]), (found.unseen, [1, 3])):
            assert value == pytest.approx(
                f1_score(targets[:, group], decided[:, group], average=average)
            )
    with pytest.raises(ValueError, match="metric is 'hamming'"):
        Z.seen_unseen_decisions(decided, targets, SPLIT, "hamming")


def test_a_preference_for_seen_labels_hurts_top_k_but_no_ap():
    """Why generalised zero-shot is another task: and what calibrated stacking mends."""
    scores, targets = data(1)
    biased = scores.copy()
    biased[:, list(SPLIT.seen)] += 5
    fair, unfair = (
        Z.seen_unseen_decisions(top_k_decisions(s, 2), targets, SPLIT) for s in (scores, biased)
    )
    assert unfair.unseen == 0 and unfair.harmonic == 0 and fair.unseen > 0.3
    assert Z.seen_unseen_map(biased, targets, SPLIT) == Z.seen_unseen_map(scores, targets, SPLIT)
    mended = Z.lower_seen(biased, SPLIT, 5.0)
    assert np.allclose(mended, scores)
    assert biased[0, 0] == scores[0, 0] + 5  # the input is left alone


def test_absent_labels_are_left_out_and_reported():
    scores, targets = data()
    targets[:, 3] = 0
    found = Z.seen_unseen_map(scores, targets, SPLIT)
    assert found.absent == (3,)
    assert found.unseen == pytest.approx(average_precision_score(targets[:, 1], scores[:, 1]))
    targets[:, 1] = 0
    for found in (
        Z.seen_unseen_map(scores, targets, SPLIT),
        Z.seen_unseen_decisions(scores > 0, targets, SPLIT),
    ):
        assert found.absent == (1, 3) and found.seen > 0
        assert math.isnan(found.unseen) and math.isnan(found.harmonic)


def test_splits_that_cannot_be_are_named():
    for labels, unseen, words in (
        (LABELS, [], "0 of 5"),
        (LABELS, LABELS, "5 of 5"),
        (LABELS, ["z"], "'z', which is no label"),
        (["cow", "owl"], ["cwo"], "did you mean 'cow'"),
        (LABELS, ["a", "a"], "twice"),
        (["a", "a"], ["a"], "labels holds a name twice"),
    ):
        with pytest.raises(ValueError, match=words):
            Z.split_labels(labels, unseen)
    with pytest.raises(TypeError, match="one string"):
        Z.split_labels(LABELS, "a")
    scores, targets = data()
    with pytest.raises(ValueError, match="4 columns but the split has 5"):
        Z.seen_unseen_map(scores[:, :4], targets[:, :4], SPLIT)
    with pytest.raises(ValueError, match="finite"):
        Z.lower_seen(scores, SPLIT, math.inf)
