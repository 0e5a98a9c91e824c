"""Contrastive losses over label texts with several positives, against formulas and libraries."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from hybridlab.alignment import ALIGNMENTS, sigmoid_over_texts, softmax_over_texts, supcon
from hybridlab.heads import ContrastiveHead, LabelHead, OwnOpinion, PerLabelHead, label_head


def drawn(seed: int = 0, rows: int = 6, texts: int = 5):
    draw = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(rows, texts, generator=draw, dtype=torch.float64)
    return logits, torch.rand(rows, texts, generator=draw) < 0.4


@pytest.mark.parametrize("name", ["infonce", "supcon", "softmax"])
def test_with_one_positive_they_are_cross_entropy(name):
    logits, _ = drawn()
    own = torch.tensor([0, 3, 1, 1, 4, 2])
    positives = F.one_hot(own, 5).bool()
    assert torch.allclose(ALIGNMENTS[name](logits, positives), F.cross_entropy(logits, own))


@pytest.mark.parametrize("seed", range(3))
def test_they_equal_their_formulas_written_out(seed):
    logits, positives = drawn(seed)
    rows = [(z.exp(), p) for z, p in zip(logits, positives, strict=True) if p.any()]
    expected = {
        "infonce": [-(e[p] / (e[p] + e[~p].sum())).log().mean() for e, p in rows],
        "supcon": [-(e[p] / e.sum()).log().mean() for e, p in rows],
        "softmax": [-(e[p].sum() / e.sum()).log() for e, p in rows],
    }
    for name, each in expected.items():
        assert torch.allclose(ALIGNMENTS[name](logits, positives), torch.stack(each).mean()), name
    bce = F.binary_cross_entropy_with_logits(logits, positives.double(), reduction="sum")
    assert torch.allclose(sigmoid_over_texts(logits, positives), bce / len(logits))


def test_what_happens_between_the_positives_of_one_image():
    """One found, one not: only "softmax" is content. Both found: only "supcon" is not at 0."""
    positives = torch.tensor([[True, True, False]])
    one, both = torch.tensor([[9.0, -9, -9]]), torch.tensor([[9.0, 9, -9]])
    assert softmax_over_texts(one, positives) < 1e-6 < supcon(one, positives)
    assert ALIGNMENTS["infonce"](one, positives) > 0.3
    assert ALIGNMENTS["infonce"](both, positives) < 1e-6
    assert float(supcon(both, positives)) == pytest.approx(math.log(2), abs=1e-6)
    surer = both + torch.tensor([[2.0, 0, 0]])
    assert supcon(surer, positives) > supcon(both, positives)  # one that is too sure is pulled down
    assert torch.allclose(
        ALIGNMENTS["infonce"](surer, positives), torch.zeros(()), atol=1e-6)


@pytest.mark.parametrize("name", ALIGNMENTS)
def test_a_text_that_is_not_known_changes_nothing(name):
    logits, positives = drawn()
    known = torch.rand(6, 5, generator=torch.Generator().manual_seed(9)) < 0.7
    positives &= known
    other = torch.where(known, logits, torch.full_like(logits, 50.0))
    loss = ALIGNMENTS[name]
    assert torch.allclose(loss(logits, positives, known), loss(other, positives, known))
    assert not torch.allclose(loss(logits, positives, known), loss(logits, positives))


@pytest.mark.parametrize("name", ALIGNMENTS)
@pytest.mark.parametrize("what", ["none", "all", "empty", "large"])
def test_edges_are_finite(name, what):
    logits, positives = drawn()
    if what == "empty":
        logits, positives = logits[:0], positives[:0]
    logits = (logits * (1e4 if what == "large" else 1)).float().requires_grad_()
    positives = {"none": positives & False, "all": positives | True}.get(what, positives)
    loss = ALIGNMENTS[name](logits, positives)
    loss.backward()
    assert loss.isfinite() and logits.grad.isfinite().all()
    if what == "empty" or (what == "none" and name != "sigmoid"):
        assert loss == 0 and not logits.grad.any()
    if what == "none" and name == "sigmoid":
        assert (logits.grad > 0).all()  # negatives teach without a positive


@pytest.mark.parametrize("name", ALIGNMENTS)
def test_bad_input_is_named(name):
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(2, 4\)"):
        ALIGNMENTS[name](torch.zeros(2, 3), torch.zeros(2, 4).bool())
    with pytest.raises(ValueError, match="targets > 0"):
        ALIGNMENTS[name](torch.zeros(2, 3), torch.zeros(2, 3))


# --- heads ----------------------------------------------------------------------------------------


def test_a_head_for_each_label_reads_its_own_vector_alone():
    torch.manual_seed(0)
    head, vectors = PerLabelHead(4, 3), torch.randn(2, 3, 4)
    logits = head(vectors)
    expected = [[(v @ w + b).item() for v, w, b in zip(row, head.weight, head.bias, strict=True)]
                for row in vectors]
    assert torch.allclose(logits, torch.tensor(expected), atol=1e-6)
    vectors[:, 0] += 1
    assert torch.equal(head(vectors)[:, 1:], logits[:, 1:])


def test_heads_start_at_rare_and_late_fusion_needs_none():
    for head in (LabelHead(4, 3), PerLabelHead(4, 3)):
        shape = (1, 4) if isinstance(head, LabelHead) else (1, 3, 4)
        assert torch.allclose(torch.sigmoid(head(torch.zeros(shape))), torch.tensor(0.05))
    assert not list(label_head("late", 4, 3).parameters())
    assert isinstance(label_head("label_query", 4, 3), PerLabelHead)


def test_the_contrastive_head_scores_any_texts_and_each_labels_own_vector():
    torch.manual_seed(0)
    head = ContrastiveHead(4, 6)
    texts, other = (F.normalize(torch.randn(n, 6), dim=-1) for n in (3, 2))
    fused = torch.randn(2, 4)
    scores = head(fused, texts)
    cosines = F.cosine_similarity(head.project(fused)[:, None], texts, dim=-1)
    assert torch.allclose(scores, cosines / 0.07, atol=1e-4)
    assert torch.allclose(head(fused, torch.cat([texts, other]))[:, :3], scores, atol=1e-5)
    alike = fused[:, None].expand(-1, 3, -1)  # every label's vector is the image's
    assert torch.allclose(head(alike, texts), scores, atol=1e-5)
    shifted = ContrastiveHead(4, 6, bias=True)
    shifted.load_state_dict({**head.state_dict(), "bias": torch.tensor(-3.0)})
    assert torch.allclose(shifted(fused, texts), scores - 3, atol=1e-5)


def test_heads_name_what_does_not_fit():
    head = ContrastiveHead(4, 6)
    for texts in (None, torch.zeros(6), torch.zeros(3, 5)):
        with pytest.raises(ValueError, match=r"text_emb is .*expected \(L, 6\)"):
            head(torch.zeros(2, 4), texts)
    for texts in (torch.zeros(1, 6), torch.zeros(7, 6)):  # one text is not all of them
        with pytest.raises(ValueError, match=r"5 vectors, one for each label, and \d texts"):
            head(torch.zeros(2, 5, 4), texts)
    with pytest.raises(ValueError, match=r"expected \(B, 3, 4\)"):
        PerLabelHead(4, 3)(torch.zeros(2, 1, 4))
    with pytest.raises(ValueError, match=r"expected \(B, 3\)"):
        OwnOpinion(3)(torch.zeros(2, 1))
    with pytest.raises(ValueError, match="unknown fusion 'glue'; known ones: concat"):
        label_head("glue", 4, 3)
    with pytest.raises(ValueError, match="text_emb holds no text"):
        head(torch.zeros(2, 4), torch.zeros(0, 6))


def test_the_scale_of_similarities_has_a_ceiling_and_a_bias_begins_at_rare():
    head = ContrastiveHead(4, 6, bias=True)
    assert float(head.bias.sigmoid()) == pytest.approx(0.05)
    head.log_scale.data.fill_(10.0)
    texts = F.normalize(torch.randn(3, 6), dim=-1)
    assert (head(torch.randn(5, 4), texts) - head.bias).abs().max() <= 100.0


@pytest.mark.parametrize("name", sorted(ALIGNMENTS))
def test_a_positive_that_is_not_known_is_none_at_all(name):
    logits = torch.tensor([[1.0, 2.0, -1.0]])
    positives, known = torch.tensor([[True, True, False]]), torch.tensor([[True, False, True]])
    found = ALIGNMENTS[name](logits, positives, known)
    assert torch.equal(found, ALIGNMENTS[name](logits, positives & known, known))
    assert found.isfinite()
    for wrong in (known.float(), known[:, :1]):
        with pytest.raises(ValueError, match=r"known is .*give bool \(1, 3\)"):
            ALIGNMENTS[name](logits, positives, wrong)
