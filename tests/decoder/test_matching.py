"""MLA and PLA against brute force over all orders."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridlab.decoder.matching import minimal_loss_alignment, predicted_label_alignment
from hybridlab.decoder.sequences import PAD


def drawn(seed: int, batch: int = 4, n_labels: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    targets = torch.randint(-1, 2, (batch, n_labels), generator=draw).float()
    steps = 1 + int((targets > 0).sum(dim=1).max())
    return 2 * torch.randn(batch, steps, n_labels + 1, generator=draw), targets


def loss(log_probs: torch.Tensor, order: tuple[int, ...]) -> float:
    return -sum(float(log_probs[t, label]) for t, label in enumerate(order))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_mla_has_the_least_loss_of_all_orders(seed):
    logits, targets = drawn(seed)
    label_seq = minimal_loss_alignment(logits, targets)
    for row, own in enumerate(label_seq.tolist()):
        labels = (targets[row] > 0).nonzero()[:, 0].tolist()
        stop = own.index(6)
        assert sorted(own[:stop]) == labels and all(each == PAD for each in own[stop + 1 :])
        values = logits[row].log_softmax(-1)
        least = min(loss(values, order) for order in permutations(labels))
        assert loss(values, tuple(own[:stop])) == pytest.approx(least, abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_pla_keeps_what_was_said_first_and_matches_the_rest_best(seed):
    logits, targets = drawn(seed)
    label_seq = predicted_label_alignment(logits, targets)
    for row, own in enumerate(label_seq.tolist()):
        labels = (targets[row] > 0).nonzero()[:, 0].tolist()
        stop = own.index(6)
        said = logits[row, :stop, :6].argmax(-1).tolist()
        kept = {t: each for t, each in enumerate(said)
                if each in labels and each not in said[:t]}
        assert all(own[t] == each for t, each in kept.items())
        values = logits[row].log_softmax(-1)
        allowed = [order for order in permutations(labels)
                   if all(order[t] == each for t, each in kept.items())]
        least = min(loss(values, order) for order in allowed)
        assert loss(values, tuple(own[:stop])) == pytest.approx(least, abs=1e-4)


def test_a_worked_example_in_which_the_two_differ():
    """Step 0 says label 0 and is nearly as ready to say 1; step 1 would lose much by saying 1."""
    logits = torch.tensor([[[3.0, 2.9, -9, -9], [2.0, -4.0, -9, -9], [-9, -9, -9, 5.0]]])
    targets = torch.tensor([[1.0, 1, 0]])
    assert predicted_label_alignment(logits, targets).tolist() == [[0, 1, 3]]
    assert minimal_loss_alignment(logits, targets).tolist() == [[1, 0, 3]]


def test_no_labels_is_stop_at_once_and_no_image_is_nothing():
    for align in (minimal_loss_alignment, predicted_label_alignment):
        assert align(torch.zeros(2, 1, 4), torch.zeros(2, 3)).tolist() == [[3], [3]]
        assert align(torch.zeros(0, 1, 4), torch.zeros(0, 3)).shape == (0, 1)


@pytest.mark.parametrize(("logits", "targets", "words"), [
    (torch.zeros(1, 2, 4), torch.ones(1, 3), "takes 4 steps"),
    (torch.zeros(1, 4, 3), torch.ones(1, 3), r"\(B, T, L \+ 1\)"),
    (torch.zeros(2, 4, 4), torch.ones(1, 3), r"\(B, T, L \+ 1\)"),
    (torch.full((1, 4, 4), float("nan")), torch.ones(1, 3), "NaN"),
])
def test_bad_input_is_named(logits, targets, words):
    with pytest.raises(ValueError, match=words):
        minimal_loss_alignment(logits, targets)
