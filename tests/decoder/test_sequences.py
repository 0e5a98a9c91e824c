"""Sets as sequences: order, STOP, padding."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridlab.decoder.orders import frequent_first
from hybridlab.decoder.sequences import PAD, check_sequences, from_lists, to_sequences


def test_a_worked_example():
    targets = torch.tensor([[1, 0, 1, 1], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 1, 1.0]])
    rank = frequent_first(targets)  # label 2 in three rows, 3 in two, 0 in one, 1 in none
    assert rank.tolist() == [2, 3, 0, 1]
    assert to_sequences(targets, rank).tolist() == [
        [2, 3, 0, 4],
        [2, 4, PAD, PAD],
        [4, PAD, PAD, PAD],
        [2, 3, 4, PAD],
    ]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 6), st.integers(1, 7), st.integers(0, 10**6))
def test_a_sequence_holds_its_set_in_order_then_stop(rows, n_labels, seed):
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(-1, 2, (rows, n_labels), generator=generator).float()
    rank = torch.randperm(n_labels, generator=generator)
    label_seq = to_sequences(targets, rank)
    assert label_seq.shape == (rows, 1 + int((targets > 0).sum(1).max()) if rows else 1)
    for row, seq in zip(targets, label_seq.tolist(), strict=True):
        stop = seq.index(n_labels)
        labels = seq[:stop]
        assert sorted(labels) == torch.nonzero(row > 0).flatten().tolist()
        ranks = [int(rank[label]) for label in labels]
        assert ranks == sorted(ranks)
        assert all(after == PAD for after in seq[stop + 1 :])


def test_shapes_that_disagree_are_named():
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(4,\)"):
        to_sequences(torch.zeros(2, 3), torch.arange(4))


@pytest.mark.parametrize("label", [5, -1, 99])
def test_a_label_of_another_vocabulary_is_called_that(label):
    with pytest.raises(ValueError, match=f"list 1 holds the label {label}, but labels run from 0"):
        from_lists([[0], [1, label]], 5)


def test_nan_targets_and_sequences_of_floats_are_named():
    with pytest.raises(ValueError, match="targets holds NaN"):
        to_sequences(torch.tensor([[1.0, float("nan")]]), torch.arange(2))
    with pytest.raises(ValueError, match="whole numbers"):
        check_sequences(torch.zeros(1, 2), 3)
