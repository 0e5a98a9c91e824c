"""Images against images: against slow loops and scikit-learn; the loss against its formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import jaccard_score, roc_auc_score

from hybridlab.contrastive.positives import positives_of
from hybridlab.evaluation.bootstrap import resample_counts
from hybridlab.zeroshot.pairs import jaccard
from hybridlab.zeroshot.within import image_similarity, similarity_by_overlap, within_loss


def units(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=generator, dtype=torch.float64), dim=-1)


EMB = units(12, 6)
KEYS = [0, 1, 2, 0, 1, 2, 0, 1, 2, 3, 3, 4]
SAME = positives_of(KEYS)


def pairs(rows, same, emb):
    """All pairs of a resample that are of two different images: cosines, and whether the same."""
    cosines, kinds = [], []
    for a in range(len(rows)):
        for b in range(a + 1, len(rows)):
            if rows[a] != rows[b]:
                cosines.append(float(emb[rows[a]] @ emb[rows[b]]))
                kinds.append(bool(same[rows[a], rows[b]]))
    return np.array(cosines), np.array(kinds)


def test_means_and_auc_are_those_of_all_pairs():
    found = image_similarity(EMB, SAME, resamples=20)
    cosines, same = pairs(range(12), SAME, EMB)
    assert found.same.value == pytest.approx(cosines[same].mean())
    assert found.other.value == pytest.approx(cosines[~same].mean())
    assert found.auc.value == pytest.approx(roc_auc_score(same, cosines))
    assert (found.same_pairs, found.other_pairs) == (same.sum(), (~same).sum())
    gap = found.same.value - found.other.value
    assert found.difference.value == pytest.approx(gap)


def test_intervals_resample_images_not_pairs():
    found = image_similarity(EMB, SAME, resamples=25, seed=2)
    drawn = []
    for counts in resample_counts(12, 25, 2):
        rows = np.repeat(np.arange(12), counts)
        cosines, same = pairs(rows, SAME, EMB)
        gap = cosines[same].mean() - cosines[~same].mean() if same.any() else np.nan
        drawn.append((roc_auc_score(same, cosines) if same.any() else np.nan, gap))
    for interval, values in zip((found.auc, found.difference), np.array(drawn).T, strict=True):
        expected = np.nanquantile(values, [0.025, 0.975])
        assert (interval.low, interval.high) == pytest.approx(tuple(expected))


def test_ties_count_half_and_equal_pictures_win():
    alike = F.normalize(torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]]), dim=1)
    found = image_similarity(alike, positives_of([0, 0, 1, 1]), resamples=5)
    assert found.auc.value == 1 and found.same.value == 1 and found.other.value == 0
    flat = image_similarity(torch.ones(4, 1), positives_of([0, 0, 1, 1]), resamples=5)
    assert flat.auc.value == 0.5 and flat.difference.value == 0


def test_pairs_can_be_held_against_some_only():
    other = positives_of([0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1]) & ~SAME
    found = image_similarity(EMB, SAME, other, resamples=5)
    upper = np.triu(other.numpy(), 1)
    assert found.other_pairs == upper.sum()
    assert found.other.value == pytest.approx(float((EMB @ EMB.T).numpy()[upper].mean()))


def test_without_pairs_there_is_no_number():
    lonely = image_similarity(EMB[:3], positives_of([0, 1, 2]), resamples=5)
    assert np.isnan([*lonely.same, *lonely.difference, *lonely.auc]).all()
    assert lonely.same_pairs == 0 and lonely.other.value == pytest.approx(
        float((EMB[:3] @ EMB[:3].T).numpy()[np.triu_indices(3, 1)].mean())
    )
    for few in (0, 1):
        nothing = image_similarity(EMB[:few], SAME[:few, :few], resamples=5)
        assert np.isnan([*nothing.same, *nothing.other, *nothing.auc]).all()


def test_jaccard_is_sklearns_and_refuses_what_is_not_known():
    targets = (np.random.default_rng(0).random((9, 5)) < 0.4).astype(int)
    targets[0] = 0
    found = jaccard(targets)
    for a in range(9):
        for b in range(9):
            expected = jaccard_score(targets[a], targets[b], zero_division=0)
            assert found[a, b] == pytest.approx(expected)
    for bad in (targets - 1, targets[0]):
        with pytest.raises(ValueError, match="fully annotated"):
            jaccard(bad)


def test_overlap_classes_part_all_pairs():
    targets = (np.random.default_rng(3).random((12, 4)) < 0.5).astype(int)
    found = similarity_by_overlap(EMB, targets, resamples=5)
    overlap, cosines = jaccard(targets), (EMB @ EMB.T).numpy()
    upper = np.triu(np.ones((12, 12), bool), 1)
    ends = [(one.low, one.high) for one in found]
    assert ends == [(0, 0), (0, 1 / 3), (1 / 3, 2 / 3), (2 / 3, 1)]
    for one in found:
        inside = overlap == 0 if one.high == 0 else (overlap > one.low) & (overlap <= one.high)
        assert one.pairs == (inside & upper).sum()
        if one.pairs:
            assert one.cosine.value == pytest.approx(cosines[inside & upper].mean())
        else:
            assert np.isnan(one.cosine.value)
    assert sum(one.pairs for one in found) == 66
    # 1/3 exactly belongs to the class that ends there
    third = similarity_by_overlap(EMB[:2], [[1, 1, 0], [0, 1, 1]], resamples=2)
    assert [one.pairs for one in third] == [0, 1, 0, 0]
    for bad in ((0.0, 0.5), (0.5, 1.0), (0.0, 0.7, 0.3, 1.0), (0.0,)):
        with pytest.raises(ValueError, match="rising numbers from 0 to 1"):
            similarity_by_overlap(EMB, targets, bad)
    with pytest.raises(ValueError, match="targets has 5 rows"):
        similarity_by_overlap(EMB, targets[:5])


def test_masks_that_make_no_pairs_are_refused():
    for same, other, words in (
        (SAME[:5], None, r"boolean \(12, 12\)"),
        (SAME.int(), None, "same has dtype int32"),
        (torch.ones(12, 12).triu() > 0, None, "same is not symmetric"),
        (SAME, SAME, "both same and other"),
    ):
        with pytest.raises(ValueError, match=words):
            image_similarity(EMB, same, other)
    with pytest.raises(ValueError, match="length 2"):
        image_similarity(2 * EMB, SAME)
    with pytest.raises(ValueError, match="resamples is 0"):
        image_similarity(EMB, SAME, resamples=0)


def slow_loss(emb, same, scale, known=None):
    """Khosla et al. 2020, equation 2, as it is written."""
    total, anchors = 0.0, 0
    n = len(emb)
    for i in range(n):
        others = [a for a in range(n) if a != i and (known is None or known[i, a])]
        partners = [p for p in others if same[i, p]]
        if not partners:
            continue
        bottom = sum(math.exp(scale * float(emb[i] @ emb[a])) for a in others)
        terms = [math.log(math.exp(scale * float(emb[i] @ emb[p])) / bottom) for p in partners]
        total, anchors = total - sum(terms) / len(partners), anchors + 1
    return total / anchors if anchors else 0.0


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_the_loss_is_khoslas(scale):
    assert float(within_loss(EMB, SAME, scale)) == pytest.approx(slow_loss(EMB, SAME, scale))
    no_diagonal = SAME & ~torch.eye(12, dtype=torch.bool)
    assert torch.equal(within_loss(EMB, no_diagonal, scale), within_loss(EMB, SAME, scale))
    known = positives_of([0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1])
    expected = slow_loss(EMB, SAME, scale, known)
    assert float(within_loss(EMB, SAME, scale, known)) == pytest.approx(expected)
    assert expected != pytest.approx(slow_loss(EMB, SAME, scale))


def test_gradients_are_right_and_bring_partners_together():
    emb = units(5, 4, seed=4)
    same = positives_of([0, 0, 1, 1, 2])
    scale = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    free = emb.clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x, t: within_loss(F.normalize(x, dim=1), same, t), (free, scale)
    )
    for _ in range(60):
        free.grad = None
        within_loss(F.normalize(free, dim=1), same, 3.0).backward()
        free = (free - free.grad).detach().requires_grad_()
    now = F.normalize(free.detach(), dim=1)
    assert float(now[0] @ now[1]) > 0.9 > float(now[0] @ now[2])


@pytest.mark.parametrize("keys", [[0, 1, 2], [0], []])
def test_without_partners_the_loss_is_zero_with_gradients_of_zero(keys):
    emb = units(len(keys), 4).float().requires_grad_()
    loss = within_loss(emb, positives_of(keys))
    loss.backward()
    assert float(loss.detach()) == 0 and torch.equal(emb.grad, torch.zeros_like(emb))
    nobody = torch.zeros(len(keys), len(keys), dtype=torch.bool)
    assert float(within_loss(emb.detach(), positives_of(keys), known=nobody)) == 0


def test_what_the_loss_cannot_use_is_named():
    for call, words in (
        (lambda: within_loss(2 * EMB, SAME), "length 2"),
        (lambda: within_loss(EMB * float("nan"), SAME), "is nan at"),
        (lambda: within_loss(EMB, SAME[:3]), r"expected bool \(12, 12\)"),
        (lambda: within_loss(EMB, SAME.float()), "same is torch.float32"),
        (lambda: within_loss(EMB, SAME, known=SAME[:2]), "known is"),
        (lambda: within_loss(EMB, torch.ones(12, 12).triu() > 0), "not symmetric"),
        (lambda: within_loss(EMB, SAME, 0.0), "logit_scale is 0"),
        (lambda: within_loss(EMB, SAME, -1.0), "logit_scale is -1"),
        (lambda: within_loss(EMB, SAME, float("nan")), "logit_scale is nan"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


def test_masks_must_be_tensors():
    emb = torch.nn.functional.normalize(torch.ones(3, 2), dim=1)
    with pytest.raises(TypeError, match="same is a ndarray; expected a bool tensor"):
        within_loss(emb, np.eye(3, dtype=bool))
