"""Iterative stratification: held against the paper's algorithm written out, and against chance."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hybridlab.data.scenes import SceneDataset, label_matrix
from hybridlab.data.stratify import stratified_split

TARGETS = st.tuples(st.integers(0, 25), st.integers(1, 5)).flatmap(
    lambda shape: arrays(np.int8, shape, elements=st.sampled_from([-1, 0, 0, 1]))
)


@settings(max_examples=60)
@given(TARGETS, st.lists(st.floats(0.05, 1), min_size=2, max_size=4), st.integers(0, 99))
def test_every_row_is_in_one_split_and_a_seed_repeats_it(targets, shares, seed):
    found = stratified_split(targets, shares, seed)
    assert len(found) == len(shares)
    assert sorted(np.concatenate(found).tolist()) == list(range(len(targets)))
    for rows in found:
        assert (np.diff(rows) > 0).all()
    for rows, again in zip(found, stratified_split(targets, shares, seed), strict=True):
        assert np.array_equal(rows, again)


def allowed(targets, shares, found):
    """Whether the paper's algorithm (Sechidis et al. 2011, figure 1) may deal so: its steps are
    followed, and where it draws at random, the split that was found decides."""
    n, labels = targets.shape
    where = {row: split for split, rows in enumerate(found) for row in rows.tolist()}
    share = np.array(shares) / np.sum(shares)
    wants = [n * each for each in share]
    wants_label = [[(targets[:, label] == 1).sum() * each for label in range(labels)]
                   for each in share]

    def fits(state, row, label):
        wants, wants_label = state
        best = [split for split in range(len(share)) if label is None or np.isclose(
            wants_label[split][label], max(each[label] for each in wants_label))]
        most = max(wants[split] for split in best)
        return where[row] in [split for split in best if np.isclose(wants[split], most)]

    def deal(state, row):
        wants, wants_label = [list(state[0]), [list(each) for each in state[1]]]
        wants[where[row]] -= 1
        for label in np.flatnonzero(targets[row] == 1):
            wants_label[where[row]][label] -= 1
        return wants, wants_label

    def go(state, left, rows, label):
        if rows:  # of the label at hand, in some order
            return any(fits(state, row, label) and go(deal(state, row), left - {row},
                                                      rows - {row}, label) for row in rows)
        if not left:
            return True
        counts = {each: sum(targets[row, each] == 1 for row in left) for each in range(labels)}
        counts = {each: count for each, count in counts.items() if count}
        if not counts:
            return go(state, left, left, None)
        fewest = min(counts.values())
        return any(
            go(state, left, frozenset(row for row in left if targets[row, each] == 1), each)
            for each, count in counts.items() if count == fewest
        )

    everything = frozenset(range(n))
    return go((wants, wants_label), everything, frozenset(), None)


@settings(max_examples=40)
@given(arrays(np.int8, st.tuples(st.integers(1, 7), st.integers(1, 3)),
              elements=st.sampled_from([-1, 0, 1])),
       st.sampled_from([(1, 1), (0.7, 0.3), (0.5, 0.25, 0.25)]), st.integers(0, 9))
def test_it_deals_as_the_paper_says(targets, shares, seed):
    assert allowed(targets, shares, stratified_split(targets, shares, seed))


def test_rare_labels_get_their_share_where_chance_gives_none():
    rng = np.random.default_rng(0)
    targets = (rng.random((1000, 20)) < np.geomspace(0.005, 0.4, 20)).astype(int)
    targets[:5, 0], targets[5:, 0] = 1, 0  # five pictures, for splits of 80, 10 and 10 %
    fraction = np.array([0.6, 0.2, 0.2])
    splits = stratified_split(targets, fraction)
    assert [int(targets[rows, 0].sum()) for rows in splits] == [3, 1, 1]

    def distance(parts):
        expected = np.outer(targets.sum(axis=0), fraction)
        got = np.stack([targets[rows].sum(axis=0) for rows in parts], axis=1)
        return (abs(got - expected) / expected).mean()

    at_random = [
        distance(np.split(np.random.default_rng(seed).permutation(1000), [600, 800]))
        for seed in range(20)
    ]
    assert distance(splits) < 0.3 * min(at_random)
    assert [len(rows) for rows in splits] == pytest.approx([600, 200, 200], abs=10)


def test_folds_of_scenes_and_seeds_that_differ():
    targets = label_matrix(SceneDataset(500))
    folds = stratified_split(targets, [1] * 5, seed=1)
    assert [len(rows) for rows in folds] == pytest.approx([100] * 5, abs=6)
    counts = np.stack([targets[rows].sum(axis=0) for rows in folds])
    assert (counts.max(axis=0) - counts.min(axis=0)).mean() < 2
    other = stratified_split(targets, [1] * 5, seed=2)
    assert any(not np.array_equal(*pair) for pair in zip(folds, other, strict=True))


def test_pictures_without_a_label_fill_the_splits():
    splits = stratified_split(np.zeros((10, 3)), (0.7, 0.3))
    assert [len(rows) for rows in splits] == [7, 3]
    splits = stratified_split(np.full((10, 3), -1), (0.5, 0.5))
    assert [len(rows) for rows in splits] == [5, 5]
    assert [len(rows) for rows in stratified_split(np.zeros((0, 3)), (0.5, 0.5))] == [0, 0]


def test_labels_too_rare_to_be_shared_go_to_the_largest_split():
    splits = stratified_split(np.eye(12), (0.8, 0.1, 0.1))
    assert [len(rows) for rows in splits] == [12, 0, 0]


@pytest.mark.parametrize(
    ("targets", "shares", "words"),
    [
        (np.zeros(3), (1, 1), r"shape \(3,\); expected \(N, L\)"),
        (np.full((3, 1), 0.5), (1, 1), "other values"), (np.full((3, 1), np.nan), (1, 1), "other"),
        (np.zeros((3, 1)), (1,), "two or more"), (np.zeros((3, 1)), (1, 0), "above 0"),
        (np.zeros((3, 1)), (1, -1), "above 0"), (np.zeros((3, 1)), (1, np.inf), "above 0"),
    ],
)
def test_bad_input(targets, shares, words):
    with pytest.raises(ValueError, match=words):
        stratified_split(targets, shares)


def test_the_size_of_coco_takes_seconds():
    rng = np.random.default_rng(0)
    targets = (rng.random((40_000, 80)) < np.geomspace(0.002, 0.3, 80)).astype(np.int8)
    began = time.process_time()
    stratified_split(targets, (0.8, 0.1, 0.1))
    assert time.process_time() - began < 20, "it takes 1 s of a core"
