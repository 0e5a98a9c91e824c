"""Orders: who comes first, and what has no box comes last."""

from __future__ import annotations

import pytest
import torch

from hybridlab.decoder.orders import (
    by_size,
    frequent_first,
    random_order,
    rare_first,
    reading_order,
)
from hybridlab.decoder.sequences import PAD, from_lists, to_sequences

NAN = float("nan")


def test_frequent_and_rare_are_each_other_s_reverse_without_ties():
    targets = torch.tensor([[1, 0, 1], [1, 0, 1], [1, 0, -1], [0, 1, -1.0]])
    assert frequent_first(targets).tolist() == [0, 2, 1]
    assert rare_first(targets).tolist() == [2, 0, 1]
    same = torch.zeros(2, 3)
    assert frequent_first(same).tolist() == rare_first(same).tolist() == [0, 1, 2]


def test_random_orders_differ_between_images_and_epochs_and_are_fair():
    draw = torch.Generator().manual_seed(0)
    first, second = random_order(500, 3, draw), random_order(500, 3, draw)
    assert not torch.equal(first, second)
    begins = to_sequences(torch.ones(500, 3), first)[:, 0]
    assert torch.bincount(begins, minlength=3).min() > 130
    again = random_order(500, 3, torch.Generator().manual_seed(0))
    assert torch.equal(first, again)


def test_the_largest_comes_first_and_what_has_no_box_last():
    areas = torch.tensor([[4.0, 9.0, 0.0, NAN], [0.0, 0.0, 1.0, 2.0]])
    label_seq = to_sequences(torch.ones(2, 4), by_size(areas))
    assert label_seq.tolist() == [[1, 0, 2, 3, 4], [3, 2, 0, 1, 4]]


def test_reading_order_goes_row_by_row():
    centres = torch.tensor([[[90.0, 10], [10, 20], [50, 95], [20, 50], [NAN, NAN]]])
    label_seq = to_sequences(torch.ones(1, 5), reading_order(centres, height=100))
    assert label_seq.tolist() == [[1, 0, 3, 2, 4, 5]]
    across = to_sequences(torch.ones(1, 5), reading_order(centres, height=100, rows=1))
    assert across.tolist() == [[1, 3, 2, 0, 4, 5]]
    assert reading_order(torch.zeros(0, 5, 2), height=10).shape == (0, 5)


def test_an_order_for_each_row():
    rank = torch.tensor([[0, 1, 2], [2, 1, 0]])
    assert to_sequences(torch.ones(2, 3), rank).tolist() == [[0, 1, 2, 3], [2, 1, 0, 3]]


def test_lists_become_sequences():
    assert from_lists([[2, 0], [], [1]], 3).tolist() == [[2, 0, 3], [3, PAD, PAD], [1, 3, PAD]]
    assert from_lists([], 3).shape == (0, 1)


@pytest.mark.parametrize(("lists", "words"), [
    ([[0], [1, 3]], "list 1 holds the label 3, but labels run from 0 to 2"),
    ([[0, 7]], "list 0 holds the label 7"),
    ([[1], [0, 2, 0]], "row 1 holds the label 0 twice"),
])
def test_lists_that_are_no_sets_of_labels_are_named(lists, words):
    with pytest.raises(ValueError, match=words):
        from_lists(lists, 3)


def test_bad_ranks_are_named():
    with pytest.raises(ValueError, match="NaN"):
        to_sequences(torch.ones(1, 2), torch.tensor([0.0, NAN]))
    with pytest.raises(ValueError, match=r"\(N, L, 2\)"):
        reading_order(torch.zeros(2, 3), 10)
    with pytest.raises(ValueError, match="height is 0"):
        reading_order(torch.zeros(1, 3, 2), 0)
