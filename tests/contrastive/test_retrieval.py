"""R@k against sorting by hand, ties against the model."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridlab.contrastive.retrieval import first_ranks, recall_at_k, recall_table


def by_hand(scores, positives, k):
    """Sort each row, negatives first among equals; a hit is a positive among the first k."""
    hits = []
    for row, good in zip(scores.tolist(), positives.tolist(), strict=True):
        if any(good):
            order = sorted(range(len(row)), key=lambda c: (-row[c], good[c]))
            hits.append(any(good[c] for c in order[:k]))
    return sum(hits) / len(hits)


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 10**6), st.integers(1, 11),
       st.sampled_from([2, 5, 1000]))
def test_recall_by_hand(rows, columns, seed, k, levels):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(levels, (rows, columns), generator=generator)  # few levels: many ties
    positives = torch.rand(rows, columns, generator=generator) < 0.3
    positives[0, 0] = True
    for similarity in (scores, scores.double() - 1, -1 / (1 + scores.float())):
        found = recall_at_k(similarity, k, positives)
        assert found.image_to_text == pytest.approx(by_hand(similarity, positives, k))
        assert found.text_to_image == pytest.approx(by_hand(similarity.T, positives.T, k))


def test_the_diagonal_and_both_ways():
    similarity = torch.tensor([[3.0, 2.0, 9.0], [1.0, 5.0, 4.0], [0.0, 6.0, 7.0]])
    table = recall_table(similarity, at=(1, 2, 3))
    assert table[1] == pytest.approx((2 / 3, 1 / 3))
    assert table[2] == pytest.approx((1.0, 1.0))
    assert first_ranks(similarity).tolist() == [2, 1, 1]
    assert first_ranks(similarity.T).tolist() == [1, 2, 2]
    assert list(recall_table(torch.eye(12))) == [1, 5, 10]


def test_a_model_that_says_the_same_to_everything_finds_nothing():
    same = torch.full((20, 20), 0.3)
    assert recall_at_k(same, 10) == (0.0, 0.0)
    assert recall_at_k(same, 20) == (1.0, 1.0)


def test_other_positives_do_not_stand_before_the_best():
    similarity = torch.tensor([[5.0, 5.0, 4.0]])
    assert first_ranks(similarity, torch.tensor([[True, True, False]])).tolist() == [1]


def test_queries_without_a_positive_are_left_out():
    similarity, positives = torch.eye(2), torch.tensor([[True, False], [False, False]])
    assert first_ranks(similarity, positives).tolist() == [1, 0]
    assert recall_at_k(similarity, 1, positives) == (1.0, 1.0)


def test_minus_infinity_is_a_score():
    similarity = torch.tensor([[-torch.inf, -torch.inf], [0.0, 1.0]])
    assert first_ranks(similarity).tolist() == [2, 1]


def test_bad_input_is_named():
    eye = torch.eye(3)
    for arguments, message in (
        ((eye[:2], 1), "pass positives="),
        ((eye[0], 1), r"similarity is \(3,\)"),
        ((torch.zeros(0, 0), 1), "at least one of each"),
        ((eye * torch.nan, 1), "NaN"),
        ((eye, 0), "k is 0; expected 1 or more"),
        ((eye, 1, eye), "positives is torch.float32"),
        ((eye, 1, eye[:2].bool()), r"expected bool \(3, 3\)"),
        ((eye, 1, torch.zeros(3, 3).bool()), "no query has a positive"),
    ):
        with pytest.raises(ValueError, match=message):
            recall_at_k(*arguments)
    with pytest.raises(TypeError):
        recall_at_k(eye, 1.5)


def test_tables_must_be_tensors():
    with pytest.raises(TypeError, match="similarity is a list"):
        first_ranks([[1.0]])
    with pytest.raises(TypeError, match="positives is a list"):
        first_ranks(torch.ones(1, 1), [[True]])
