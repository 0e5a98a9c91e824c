"""The total loss: terms with fixed reductions, and their weights."""

from __future__ import annotations

import pytest
import torch

from hybridlab import configs
from hybridlab.alignment import ALIGNMENTS
from hybridlab.configs import ALIGNMENT
from hybridlab.configs import CLASSIFICATION as NAMES
from hybridlab.decoder import cnn_rnn
from hybridlab.losses import asymmetric_loss, masked_bce, multi_positive_contrastive
from hybridlab.total_loss import (
    CLASSIFICATION,
    HybridLoss,
    UncertaintyWeights,
    hybrid_loss,
    loss_terms,
    total_loss,
)


def test_names_are_those_of_the_configuration():
    assert tuple(CLASSIFICATION) == NAMES and tuple(ALIGNMENTS) == ALIGNMENT
    assert cnn_rnn.READS == configs.READS


def test_hybrid_loss_adds_its_parts_by_their_weights():
    generator = torch.Generator().manual_seed(4)
    logits, similar = torch.randn(4, 3, generator=generator), torch.randn(4, 3, generator=generator)
    targets = torch.tensor([[1, 0, 0], [0, 1, 1], [0, 0, 0], [1, 0, -1.0]])
    bce = masked_bce(logits, targets)
    contrastive = multi_positive_contrastive(similar, targets > 0, targets >= 0)
    assert torch.allclose(hybrid_loss(logits, similar, targets), bce + 0.1 * contrastive)
    assert torch.allclose(
        hybrid_loss(logits, similar, targets, alpha=0.5, beta=2), 0.5 * bce + 2 * contrastive
    )
    assert torch.equal(hybrid_loss(logits, similar * float("nan"), targets, beta=0), bce)
    asl = asymmetric_loss(logits, targets)
    assert torch.allclose(
        hybrid_loss(logits, similar, targets, beta=0, classification="asl"), asl)
    supcon = ALIGNMENTS["supcon"](similar, targets > 0, targets >= 0)
    assert torch.allclose(
        hybrid_loss(logits, similar, targets, alpha=0, beta=1, alignment="supcon"), supcon)


def test_a_label_that_is_not_known_changes_nothing():
    """Neither as a positive nor as a negative, in either part of the loss."""
    generator = torch.Generator().manual_seed(5)
    logits, similar = torch.randn(4, 3, generator=generator), torch.randn(4, 3, generator=generator)
    targets = torch.tensor([[1, 0, -1], [0, 1, -1], [1, 0, -1], [0, 0, -1.0]])
    loss = hybrid_loss(logits, similar, targets, beta=1.0)
    logits[:, 2] += 9
    similar[:, 2] -= 9
    assert torch.allclose(hybrid_loss(logits, similar, targets, beta=1.0), loss)
    without = hybrid_loss(logits[:, :2], similar[:, :2], targets[:, :2], beta=1.0)
    assert torch.allclose(without, loss)


def test_a_term_of_weight_0_is_left_out_and_gives_no_gradient():
    part, other = torch.tensor(2.0, requires_grad=True), torch.tensor(3.0, requires_grad=True)
    total = total_loss({"a": part, "b": other * float("nan")}, {"a": 0.5, "b": 0.0})
    total.backward()
    assert total == 1 and part.grad == 0.5 and other.grad is None


def test_an_auxiliary_loss_is_one_more_term():
    logits, targets = torch.zeros(2, 3), torch.ones(2, 3)
    terms = loss_terms(logits, targets, decoder_loss=torch.tensor(4.0))
    assert set(terms) == {"classification", "decoder"}
    total = total_loss(terms, {"classification": 1.0, "decoder": 0.25})
    assert torch.allclose(total, torch.tensor(1 + 0.6931472))


@pytest.mark.parametrize("labels", [3, 30])
def test_more_labels_do_not_change_the_classification_term(labels):
    """Trap 14: a mean over entries, so that alpha means the same with any number of labels."""
    logits, targets = torch.full((4, labels), 1.5), torch.ones(4, labels)
    expected = masked_bce(torch.full((1, 1), 1.5), torch.ones(1, 1))
    assert torch.allclose(loss_terms(logits, targets)["classification"], expected)


@pytest.mark.parametrize(
    ("terms", "weights", "words"),
    [
        (("a",), {"a": -0.1}, "weight of a is -0.1"),
        (("a",), {"a": float("nan")}, "weight of a is nan"),
        (("a",), {"b": 1.0}, "name the same"),
        (("a", "b"), {"a": 1.0}, "name the same"),
        (("a", "b"), {"a": 0.0, "b": 0.0}, "all weights are 0"),
    ],
)
def test_weights_that_make_no_sense_are_named(terms, weights, words):
    with pytest.raises(ValueError, match=words):
        total_loss({name: torch.ones(()) for name in terms}, weights)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"alpha": -1}, "alpha is -1"), ({"beta": -0.5}, "beta -0.5"),
        ({"alpha": float("nan")}, "alpha is nan"), ({"alpha": 0, "beta": 0}, "one is more"),
        ({"classification": "hinge"}, "known ones: bce, asl"),
        ({"alignment": "triplet"}, "known ones: infonce, supcon, softmax, sigmoid"),
    ],
)
def test_bad_input_is_named(changes, words):
    with pytest.raises(ValueError, match=words):
        hybrid_loss(torch.zeros(1, 1), torch.zeros(1, 1), torch.ones(1, 1), **changes)


# --- learnt weights -------------------------------------------------------------------------------


def test_learnt_weights_find_the_best_of_each_term():
    """The least of exp(-s) x + s / 2 is at exp(-s) = 1 / (2 x)."""
    learnt = UncertaintyWeights(("a", "b"))
    optimiser = torch.optim.Adam(learnt.parameters(), 0.05)
    terms = {"a": torch.tensor(4.0), "b": torch.tensor(0.1)}
    assert learnt(terms).item() == pytest.approx(4.1)  # all weights begin at 1
    for _ in range(600):
        optimiser.zero_grad()
        learnt(terms).backward()
        optimiser.step()
    assert learnt.weights()["a"] == pytest.approx(1 / 8, rel=0.02)
    assert learnt.weights()["b"] == pytest.approx(5, rel=0.02)


def test_learnt_weights_pass_gradients_on_and_name_what_is_missing():
    learnt, part = UncertaintyWeights(("a",)), torch.tensor(2.0, requires_grad=True)
    learnt({"a": part}).backward()
    assert part.grad == 1 and learnt.log_variance["a"].grad == pytest.approx(-1.5)
    with pytest.raises(ValueError, match="name the same"):
        learnt({"b": part})


def test_the_loss_of_a_stage_has_fixed_weights_or_learnt_ones():
    logits, similar = torch.tensor([[0.5, -1.0]]), torch.tensor([[2.0, 1.0]])
    targets = torch.tensor([[1.0, 0.0]])
    parts = loss_terms(logits, targets, similar)
    fixed = HybridLoss(alpha=2.0, beta=0.5)
    assert not list(fixed.parameters())
    assert fixed(logits, similar, targets) == hybrid_loss(logits, similar, targets, 2.0, 0.5)
    learnt = HybridLoss(alpha=2.0, beta=0.5, learnt=True)  # begins with weights of 1
    assert torch.allclose(learnt(logits, similar, targets), sum(parts.values()))
    learnt(logits, similar, targets).backward()
    assert all(each.grad != 0 for each in learnt.parameters())
    alone = HybridLoss(beta=0.0, learnt=True)  # no such term, and no weight for it
    assert torch.equal(alone(logits, similar * float("nan"), targets), parts["classification"])
    assert [*alone.learnt.log_variance] == ["classification"]
    supcon = HybridLoss(0.0, 1.0, learnt=True, alignment="supcon")
    assert torch.equal(supcon(logits, similar, targets),
                       ALIGNMENTS["supcon"](similar, targets > 0, targets >= 0))
    with pytest.raises(ValueError, match="alpha is 0, beta 0 and gamma 0"):
        HybridLoss(0, 0)


@pytest.mark.parametrize("learnt", [False, True])
def test_names_reach_the_loss_of_a_stage(learnt):
    torch.manual_seed(0)
    logits, similar = torch.randn(4, 5), torch.randn(4, 5)
    targets = (torch.rand(4, 5) < 0.4).float()
    for names in ({"classification": "asl"}, {"alignment": "sigmoid"}, {"alignment": "supcon"}):
        loss = HybridLoss(1.0, 1.0, learnt=learnt, **names)
        expected = sum(loss_terms(logits, targets, similar, **names).values())
        assert torch.allclose(loss(logits, similar, targets), expected)
        assert not torch.allclose(expected, sum(loss_terms(logits, targets, similar).values()))
    for wrong in ({"classification": "hinge"}, {"alignment": "glue"}):
        with pytest.raises(ValueError, match="known ones"):
            HybridLoss(1.0, 0.0, **wrong)


def test_the_decoders_own_loss_is_a_third_term():
    logits, similar, own = torch.zeros(1, 2), torch.ones(1, 2), torch.tensor(3.0)
    targets = torch.tensor([[1.0, 0.0]])
    without = hybrid_loss(logits, similar, targets, 1.0, 0.5)
    assert hybrid_loss(logits, similar, targets, 1.0, 0.5, 0.2, own) == pytest.approx(
        float(without) + 0.6)
    assert HybridLoss(1.0, 0.5, gamma=0.2)(logits, similar, targets, own) == pytest.approx(
        float(without) + 0.6)
    learnt = HybridLoss(1.0, 0.5, gamma=0.2, learnt=True)
    assert [*learnt.learnt.log_variance] == ["classification", "contrastive", "decoder"]
    parts = loss_terms(logits, targets, similar, own)
    assert torch.allclose(learnt(logits, similar, targets, own), sum(parts.values()))


@pytest.mark.parametrize("learnt", [False, True])
def test_a_term_that_is_weighed_must_be_given(learnt):
    logits = targets = torch.ones(1, 2)
    with pytest.raises(ValueError, match="contrastive_logits is None; give it, or a weight of 0"):
        HybridLoss(1.0, 0.1, learnt=learnt)(logits, None, targets)
    with pytest.raises(ValueError, match="decoder_loss is None"):
        HybridLoss(1.0, 0.0, gamma=1.0, learnt=learnt)(logits, None, targets)
    assert HybridLoss(1.0, 0.0, learnt=learnt)(logits, None, targets).isfinite()
    for weights in ((float("inf"), 0.1), (1.0, float("nan")), (-1.0, 0.0)):
        with pytest.raises(ValueError, match="finite and 0 or more"):
            HybridLoss(*weights, learnt=learnt)
