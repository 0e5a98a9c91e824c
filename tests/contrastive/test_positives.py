"""Pairs with equal keys: positives, or left out."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hybridlab.contrastive.positives import known_pairs, positives_of


@given(st.lists(st.one_of(st.integers(0, 3), st.sampled_from(["cow", "egg", ("cow", "egg")]))))
def test_both_masks_by_brute_force(keys):
    positives, known = positives_of(keys), known_pairs(keys)
    assert positives.dtype == known.dtype == torch.bool
    assert positives.shape == known.shape == (len(keys), len(keys))
    for row, one in enumerate(keys):
        for column, other in enumerate(keys):
            assert bool(positives[row, column]) == (one == other)
            assert bool(known[row, column]) == (row == column or one != other)


def test_sets_and_tensors_are_keys():
    sets = [frozenset({"cow", "egg"}), frozenset({"egg", "cow"}), frozenset({"cow"})]
    assert positives_of(sets).int().tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert torch.equal(positives_of(torch.tensor([4, 4, 7])), positives_of(sets))
    assert torch.equal(known_pairs(torch.tensor([4, 4, 7])), known_pairs(sets))


def test_bad_keys_are_named():
    for keys, message in (
        ("cow", "one text, 'cow'"),
        (["cow", None], "key 1 is a NoneType"),
        ([["cow"], ["egg"]], "key 0 is a list.*tuple for a list"),
        ([torch.tensor(1)], "key 0 is a Tensor"),
        (torch.ones(3), r"torch.float32 \(3,\)"),
        (torch.ones(3, 2, dtype=torch.int64), r"\(3, 2\)"),
    ):
        for mask in (positives_of, known_pairs):
            with pytest.raises(ValueError, match=message):
                mask(keys)
