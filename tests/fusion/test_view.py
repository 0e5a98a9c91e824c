"""A view holds what fits together, and can be left out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import Identity, Linear

from hybridlab.fusion.view import Fused, View, check_pair, joined, masked_mean


def test_parts_of_a_view_without_tokens_are_the_whole():
    view = View(torch.randn(3, 4))
    tokens, mask = view.parts()
    assert torch.equal(tokens[:, 0], view.pooled) and mask.all() and mask.shape == (3, 1)
    assert torch.equal(view.projected(Identity(), Identity())[0], tokens)
    assert view.widths == (4, 4) and len(view) == 3


def test_the_whole_stands_before_the_parts_and_counts_where_one_of_them_does():
    mask = torch.tensor([[True, False], [False, False]])
    view = View(torch.randn(2, 4), torch.randn(2, 2, 3), mask)
    tokens, every = view.projected(Linear(4, 3), Identity())
    assert tokens.shape == (2, 3, 3) and torch.equal(tokens[:, 1:], view.tokens)
    assert view.widths == (4, 3)
    assert every.tolist() == [[True, True, False], [False, False, False]]


@pytest.mark.parametrize("tokens", [None, torch.randn(2, 5, 4)])
def test_an_absent_view_has_the_same_shapes_and_nothing_in_them(tokens):
    gone = View(torch.randn(2, 4), tokens).absent()
    parts, mask = gone.projected(Identity(), Identity())
    assert not gone.pooled.any() and not parts.any() and not mask.any()
    assert parts.shape[1] == (1 if tokens is None else 6)


def test_rows_takes_all_of_some_images():
    view = View(torch.randn(4, 3), torch.randn(4, 2, 3), torch.rand(4, 2) > 0.5)
    some = view.rows(torch.tensor([2, 0]))
    assert torch.equal(some.tokens, view.tokens[[2, 0]])
    assert torch.equal(some.mask, view.mask[[2, 0]]) and View(view.pooled).rows([1]).tokens is None


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        ((torch.zeros(4),), ValueError, r"pooled has shape \(4,\), expected \(B, D\)"),
        ((torch.zeros(2, 4), torch.zeros(3, 5, 3)), ValueError, r"expected \(2, N, D\)"),
        ((torch.zeros(2, 4), torch.zeros(2, 4)), ValueError, r"expected \(2, N, D\)"),
        ((torch.zeros(2, 4), torch.zeros(2, 5, 4), torch.ones(2, 5)), TypeError, "give bool"),
        ((torch.zeros(2, 4), torch.zeros(2, 5, 4), torch.ones(2, 5).long()), TypeError, "bool"),
        ((torch.zeros(2, 4), torch.zeros(2, 5, 4), torch.ones(2, 4) > 0), ValueError, r"\(2, 5\)"),
        ((torch.zeros(2, 4), None, torch.ones(2, 4) > 0), ValueError, r"expected \(2, 1\)"),
    ],
)
def test_what_does_not_fit_is_named(given, kind, words):
    with pytest.raises(kind, match=words):
        View(*given)


def test_two_views_must_be_of_the_same_images_and_of_the_widths_promised():
    a, b = View(torch.zeros(3, 4)), View(torch.zeros(3, 6))
    check_pair(a, b, 4, 6)
    for one, other in ((a, View(torch.zeros(2, 6))), (a, View(torch.zeros(3, 5))), (b, b)):
        with pytest.raises(ValueError, match=r"must be \(B, 4\) and \(B, 6\)") as caught:
            check_pair(one, other, 4, 6)
        assert str(tuple(one.pooled.shape)) in str(caught.value)


def test_a_masked_mean_is_that_of_what_counts_and_0_where_nothing_does():
    tokens = torch.randn(2, 3, 4)
    mask = torch.tensor([[True, False, True], [False, False, False]])
    mean = masked_mean(tokens, mask)
    assert torch.allclose(mean[0], tokens[0, [0, 2]].mean(0)) and not mean[1].any()
    assert masked_mean(torch.zeros(2, 0, 4), torch.zeros(2, 0).bool()).tolist() == [[0.0] * 4] * 2


def test_what_is_fused_starts_without_attention():
    assert Fused(torch.zeros(1, 2)).attention == {} and Fused(torch.zeros(1, 2)).logits is None


def test_what_does_not_count_is_0_in_a_view():
    nan = float("nan")
    tokens = torch.tensor([[[1.0], [nan]], [[nan], [nan]]], requires_grad=True)
    mask = torch.tensor([[True, False], [False, False]])
    view = View(torch.tensor([[2.0], [nan]]), tokens, mask)
    assert view.pooled.tolist() == [[2.0], [0.0]]
    assert view.tokens.tolist() == [[[1.0], [0.0]], [[0.0], [0.0]]]
    view.tokens.sum().backward()
    assert tokens.grad.tolist() == [[[1.0], [0.0]], [[0.0], [0.0]]]
    whole = View(torch.tensor([[nan], [3.0]]), None, torch.tensor([[False], [True]]))
    assert whole.pooled.tolist() == [[0.0], [3.0]]


def test_padding_of_joined_views_does_not_count():
    both = joined([View(torch.ones(1, 2), torch.ones(1, size, 4)) for size in (3, 1)])
    assert both.mask.tolist() == [[True] * 3, [True, False, False]]


@pytest.mark.parametrize(("given", "words"), [
    (([[1.0]],), "pooled is list"), ((np.zeros((1, 2)),), "pooled is ndarray"),
    ((None,), "pooled is NoneType"),
    ((torch.zeros(1, 2, dtype=torch.long),), "pooled is torch.int64"),
    ((torch.zeros(1, 2), [[0.0]]), "tokens is list"),
    ((torch.zeros(1, 2), torch.zeros(1, 1, 2), [[True]]), "mask is list"),
    ((torch.zeros(1, 2), torch.zeros(1, 1, 2), np.ones((1, 1), bool)), "as by torch.from_numpy"),
])
def test_what_is_no_tensor_is_named(given, words):
    with pytest.raises(TypeError, match=words):
        View(*given)
