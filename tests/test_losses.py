"""Losses against brute force and torch's own."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from timm.loss import AsymmetricLossMultiLabel
from torchvision.ops import sigmoid_focal_loss

from hybridlab.losses import (
    asymmetric_loss,
    focal_loss,
    masked_bce,
    multi_positive_contrastive,
    positive_weights,
    symmetric_contrastive,
    weighted_bce,
)


def test_one_positive_per_row_is_cross_entropy():
    logits = torch.randn(5, 5, generator=torch.Generator().manual_seed(0)) * 4
    eye = torch.eye(5, dtype=torch.bool)
    expected = F.cross_entropy(logits, torch.arange(5))
    assert torch.allclose(multi_positive_contrastive(logits, eye), expected, atol=1e-6)
    clip_loss = 0.5 * (expected + F.cross_entropy(logits.T, torch.arange(5)))
    assert torch.allclose(symmetric_contrastive(logits, eye), clip_loss, atol=1e-6)


def test_several_positives_equal_brute_force():
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(6, 8, generator=generator) * 3
    positives = torch.rand(6, 8, generator=generator) < 0.3
    positives[2] = False  # a row without a positive is left out
    rows = []
    for row in range(6):
        found = [float(logits[row, c]) for c in range(8) if positives[row, c]]
        wrong = sum(math.exp(float(logits[row, c])) for c in range(8) if not positives[row, c])
        if found:
            each = [-math.log(math.exp(s) / (math.exp(s) + wrong)) for s in found]
            rows.append(sum(each) / len(each))
    expected = sum(rows) / len(rows)
    assert float(multi_positive_contrastive(logits, positives)) == pytest.approx(expected, abs=1e-5)


def test_positives_do_not_compete():
    """Raising one positive leaves the other positive's share of the loss alone."""
    logits = torch.zeros(1, 4, requires_grad=True)
    positives = torch.tensor([[True, True, False, False]])
    multi_positive_contrastive(logits, positives).backward()
    assert logits.grad[0, 0] == logits.grad[0, 1] < 0 < logits.grad[0, 2]
    raised = torch.tensor([[9.0, 0, 0, 0]], requires_grad=True)
    multi_positive_contrastive(raised, positives).backward()
    assert torch.isclose(raised.grad[0, 1], logits.grad[0, 1])


@pytest.mark.parametrize("positives", [torch.zeros(3, 4).bool(), torch.ones(3, 4).bool()])
def test_no_positive_or_no_negative_gives_zero_and_finite_gradients(positives):
    logits = torch.randn(3, 4, requires_grad=True)
    loss = multi_positive_contrastive(logits, positives)
    loss.backward()
    assert loss == 0 and torch.isfinite(logits.grad).all()


def test_large_logits_stay_finite():
    logits = torch.tensor([[1e4, -1e4], [-1e4, 1e4]], requires_grad=True)
    loss = multi_positive_contrastive(logits, torch.eye(2).bool())
    loss.backward()
    assert loss == 0 and torch.isfinite(logits.grad).all()


def test_masked_bce_is_a_mean_over_annotated_entries():
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(3))
    targets = torch.tensor([[1, 0, -1], [0, 0, 1], [-1, -1, -1], [1, 1, 0.0]])
    known = targets >= 0
    expected = F.binary_cross_entropy_with_logits(logits[known], targets[known])
    assert torch.allclose(masked_bce(logits, targets), expected)
    full = targets.clamp(min=0)
    plain = F.binary_cross_entropy_with_logits(logits, full)
    assert torch.allclose(masked_bce(logits, full), plain)
    assert masked_bce(logits, torch.full((4, 3), -1.0)) == 0
    assert masked_bce(torch.zeros(0, 3), torch.zeros(0, 3)) == 0


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(2, 4\)"):
        multi_positive_contrastive(torch.zeros(2, 3), torch.zeros(2, 4).bool())
    with pytest.raises(ValueError, match="targets > 0"):
        multi_positive_contrastive(torch.zeros(2, 3), torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(3, 2\)"):
        masked_bce(torch.zeros(2, 3), torch.zeros(3, 2))


def pair(seed, positives=0.3, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    logits = 4 * torch.randn(6, 5, generator=generator, dtype=dtype)
    return logits, (torch.rand(6, 5, generator=generator) < positives).to(dtype)


@pytest.mark.parametrize("seed", range(5))
def test_weighted_bce_is_torch_s(seed):
    logits, targets = pair(seed)
    weights = torch.rand(5, generator=torch.Generator().manual_seed(seed)).double() * 9
    expected = torch.nn.BCEWithLogitsLoss(pos_weight=weights)(logits, targets)
    assert torch.allclose(weighted_bce(logits, targets, weights), expected)
    ones = torch.ones(5).double()
    assert torch.allclose(weighted_bce(logits, targets, ones), masked_bce(logits, targets))
    both = weighted_bce(logits, targets, weights, 2 * weights)  # of positives, of negatives
    each = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    scale = torch.where(targets > 0, weights, 2 * weights)
    assert torch.allclose(both, (scale * each).mean())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, 0.25), (0.0, None), (1.5, 0.7), (0.5, None)])
def test_focal_loss_is_torchvision_s(seed, gamma, alpha):
    logits, targets = pair(seed)
    expected = sigmoid_focal_loss(
        logits, targets, alpha=-1 if alpha is None else alpha, gamma=gamma, reduction="mean"
    )
    assert torch.allclose(focal_loss(logits, targets, gamma, alpha), expected)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("gamma_neg", "gamma_pos", "clip"), [(4, 1, 0.05), (4, 0, 0.2), (2, 2, 0.0), (0, 0, 0.0)]
)
def test_asymmetric_loss_is_timm_s(seed, gamma_neg, gamma_pos, clip):
    logits, targets = (each.float().requires_grad_() for each in pair(seed))  # timm computes so
    theirs = AsymmetricLossMultiLabel(gamma_neg, gamma_pos, clip, reduction="mean")
    mine = asymmetric_loss(logits, targets.detach(), gamma_neg, gamma_pos, clip)
    expected = theirs(logits, targets.detach())
    assert torch.allclose(mine, expected, rtol=1e-4)
    gradients = [torch.autograd.grad(each, logits, retain_graph=True)[0]
                 for each in (mine, expected)]
    assert torch.allclose(*gradients, rtol=1e-3, atol=1e-6)


def test_asymmetric_loss_forgets_easy_negatives_and_equals_its_formula():
    logits, targets = torch.logit(torch.tensor([[0.04, 0.3, 0.8]])), torch.tensor([[0.0, 0, 1]])
    expected = (0 - 0.25**4 * math.log(0.75) - 0.2 * math.log(0.8)) / 3
    assert float(asymmetric_loss(logits, targets)) == pytest.approx(expected, rel=1e-5)


LOSSES = [
    masked_bce,
    lambda logits, targets: weighted_bce(logits, targets, torch.full((5,), 3.0)),
    focal_loss,
    lambda logits, targets: focal_loss(logits, targets, gamma=0.5),
    asymmetric_loss,
    lambda logits, targets: asymmetric_loss(logits, targets, 0.5, 0.5, 0.0),
    lambda logits, targets: asymmetric_loss(logits, targets, clip=1e-9),
]


@pytest.mark.parametrize("loss", LOSSES)
def test_entries_that_are_not_annotated_count_nothing(loss):
    logits, targets = (each.float() for each in pair(1))
    targets[0, 0] = targets[3, 2] = -1
    other = logits.clone()
    other[0, 0] = other[3, 2] = 7.0
    assert loss(logits, targets) == loss(other, targets)
    assert loss(logits, torch.full_like(targets, -1)) == 0
    assert loss(logits[:0], targets[:0]) == 0


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("size", [0.0, 50.0, 1000.0])
def test_large_logits_give_finite_losses_and_gradients(loss, size):
    logits = torch.tensor([[size, -size, size, -size, 0.0]], requires_grad=True)
    value = loss(logits, torch.tensor([[1.0, 1, 0, 0, 1]]))
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_targets_may_be_whole_numbers_or_truth_values(loss):
    logits, targets = (each.float() for each in pair(2))
    for other in (targets.long(), targets.bool(), targets.double()):
        assert torch.allclose(loss(logits, other), loss(logits, targets))


def test_positive_weights_balance_each_label():
    targets = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0], [0, 0, 0]])
    assert positive_weights(targets).tolist() == [3.0, 3.0, 3.0]
    assert positive_weights(targets[:2]).tolist() == [1.0, 2.0, 1.0]
    assert positive_weights(torch.zeros(500, 1)).tolist() == [100.0]
    assert positive_weights(torch.ones(500, 1)).tolist() == pytest.approx([0.01])


def test_losses_name_bad_arguments():
    logits, targets = torch.zeros(2, 3), torch.zeros(2, 3)
    with pytest.raises(ValueError, match="each of the 3 labels"):
        weighted_bce(logits, targets, torch.ones(2))
    with pytest.raises(ValueError, match="least is -1"):
        weighted_bce(logits, targets, torch.tensor([1.0, -1, 1]))
    with pytest.raises(ValueError, match="neg_weight has shape"):
        weighted_bce(logits, targets, torch.ones(3), torch.ones(4))
    with pytest.raises(ValueError, match="each of the 3 labels"):
        weighted_bce(logits, targets, torch.tensor([1.0, float("nan"), 1]))
    with pytest.raises(ValueError, match="gamma is nan"):
        focal_loss(logits, targets, gamma=float("nan"))
    with pytest.raises(ValueError, match="gamma is -1"):
        focal_loss(logits, targets, gamma=-1)
    with pytest.raises(ValueError, match="alpha 2"):
        focal_loss(logits, targets, alpha=2)
    with pytest.raises(ValueError, match="clip 1"):
        asymmetric_loss(logits, targets, clip=1.0)
    for loss in (focal_loss, asymmetric_loss):
        with pytest.raises(ValueError, match=r"\(2, 3\) and targets \(3, 2\)"):
            loss(logits, torch.zeros(3, 2))
