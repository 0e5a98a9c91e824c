"""CLIP's and SigLIP's losses against open_clip's, brute force and the edges of their input."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.loss import ClipLoss, SigLipLoss

from hybridlab.contrastive.positives import known_pairs, positives_of
from hybridlab.contrastive.sigmoid import siglip_loss
from hybridlab.contrastive.softmax import clip_loss
from hybridlab.losses import symmetric_contrastive

sizes = st.integers(1, 24)
seeds = st.integers(0, 2**31)
quick = settings(deadline=None, max_examples=40)


def pairs(rows, seed=0, width=7, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    made = torch.randn(2, rows, width, generator=generator, dtype=torch.float64)
    image_emb, text_emb = F.normalize(made, dim=-1).to(dtype)
    return image_emb.clone().requires_grad_(), text_emb.clone().requires_grad_()


def number(value, dtype=torch.float32):
    return torch.tensor(value, dtype=dtype, requires_grad=True)


def assert_same(mine, theirs, inputs, limit=1e-5):
    torch.testing.assert_close(mine, theirs, atol=limit, rtol=limit)
    for own, expected in zip(
        torch.autograd.grad(mine, inputs), torch.autograd.grad(theirs, inputs), strict=True
    ):
        torch.testing.assert_close(own, expected, atol=limit, rtol=limit)


@quick
@given(sizes, st.integers(2, 40), seeds, st.floats(1, 100))
def test_clip_loss_is_open_clip_s(rows, width, seed, scale):
    inputs = (*pairs(rows, seed, width), number(scale))
    assert_same(clip_loss(*inputs), ClipLoss()(*inputs), inputs)


@quick
@given(sizes, st.integers(2, 40), seeds, st.floats(1, 100), st.floats(-15, 5))
def test_siglip_loss_is_open_clip_s(rows, width, seed, scale, bias):
    inputs = (*pairs(rows, seed, width), number(scale), number(bias))
    assert_same(siglip_loss(*inputs), SigLipLoss()(*inputs), inputs)


def test_in_float64_they_agree_to_1e_12():
    for loss, theirs, numbers in ((clip_loss, ClipLoss(), (30.0,)),
                                  (siglip_loss, SigLipLoss(), (10.0, -10.0))):
        inputs = (*pairs(9, 1, dtype=torch.float64), *(number(v, torch.float64) for v in numbers))
        mine = loss(*inputs)
        assert mine.dtype == torch.float64
        assert_same(mine, theirs(*inputs), inputs, limit=1e-12)


@quick
@given(sizes, seeds)
def test_several_positives_are_symmetric_contrastive(rows, seed):
    image_emb, text_emb = pairs(rows, seed)
    keys = [row * 7 % 4 for row in range(rows)]
    positives = positives_of(keys)
    mine = clip_loss(image_emb, text_emb, 20.0, positives=positives)
    theirs = symmetric_contrastive(20.0 * image_emb @ text_emb.T, positives)
    assert_same(mine, theirs, (image_emb, text_emb))
    one_each = clip_loss(image_emb, text_emb, 20.0, positives=torch.eye(rows, dtype=torch.bool))
    assert_same(one_each, clip_loss(image_emb, text_emb, 20.0), (image_emb, text_emb))


def test_one_sided_positives_are_read_images_by_texts():
    """Image 0 has texts 0 and 1; text 1 therefore has images 0 and 1, image 1 one text."""
    image_emb, text_emb = pairs(2, 3)
    logits = (5.0 * image_emb @ text_emb.T).detach().tolist()
    positives = torch.tensor([[True, True], [False, True]])

    def pair(s, negatives):
        return math.log(1 + sum(math.exp(n - s) for n in negatives))

    by_image = (0.0 + pair(logits[1][1], [logits[1][0]])) / 2
    by_text = (pair(logits[0][0], [logits[1][0]]) + 0.0) / 2
    found = clip_loss(image_emb, text_emb, 5.0, positives=positives)
    assert float(found.detach()) == pytest.approx((by_image + by_text) / 2, abs=1e-6)


def test_pairs_not_known_are_left_out_by_brute_force():
    image_emb, text_emb = pairs(5, 2)
    keys = ["cow", "egg", "cow", "bee", "egg"]
    known = known_pairs(keys)
    logits = (12.0 * image_emb @ text_emb.T).detach().double()
    by_hand = 0.0
    for table in (logits, logits.T):
        for row in range(5):
            others = [c for c in range(5) if c == row or keys[c] != keys[row]]
            by_hand += float(torch.logsumexp(table[row, others], 0) - table[row, row]) / 10
    found = clip_loss(image_emb, text_emb, 12.0, known=known)
    assert float(found.detach()) == pytest.approx(by_hand, abs=1e-5)
    pairwise = sum(
        math.log(1 + math.exp(-float(logits[r, c] - 10) * (1 if r == c else -1)))
        for r in range(5) for c in range(5) if r == c or keys[r] != keys[c]
    )
    found = siglip_loss(image_emb, text_emb, 12.0, -10.0, known=known)
    assert float(found.detach()) == pytest.approx(pairwise / 5, abs=1e-5)


def test_one_sided_known_is_read_images_by_texts():
    """Image 0 and text 1 do not compete, image 1 and text 0 do."""
    image_emb, text_emb = pairs(2, 5)
    logits = (5.0 * image_emb @ text_emb.T).detach().tolist()
    known = torch.tensor([[True, False], [True, True]])
    by_hand = sum(  # image 1 against text 0, and text 0 against image 1
        math.log(1 + math.exp(logits[1][0] - logits[own][own])) for own in (0, 1)
    )
    found = clip_loss(image_emb, text_emb, 5.0, known=known)
    assert float(found.detach()) == pytest.approx(by_hand / 4, abs=1e-6)


def test_siglip_positives_by_brute_force():
    image_emb, text_emb = pairs(4, 6)
    positives = positives_of([1, 2, 1, 1])
    logits = (10.0 * image_emb @ text_emb.T).detach() - 10
    by_hand = sum(
        math.log(1 + math.exp(-float(logits[r, c]) * (1 if positives[r, c] else -1)))
        for r in range(4) for c in range(4)
    )
    found = siglip_loss(image_emb, text_emb, 10.0, -10.0, positives=positives)
    assert float(found.detach()) == pytest.approx(by_hand / 4, rel=1e-5)


def test_duplicates_are_false_negatives_until_they_are_called_positives():
    """Two pairs alike: plain CLIP cannot fall below ln 2 on them, the multi-positive form can."""
    one = F.normalize(torch.tensor([[1.0, 0], [1.0, 0], [0.0, 1]]), dim=-1)
    keys = ["cow", "cow", "egg"]
    assert float(clip_loss(one, one, 100.0)) == pytest.approx(2 / 3 * math.log(2), abs=1e-6)
    assert float(clip_loss(one, one, 100.0, positives=positives_of(keys))) < 1e-6
    assert float(clip_loss(one, one, 100.0, known=known_pairs(keys))) < 1e-6


@pytest.mark.parametrize("rows", [0, 1])
@pytest.mark.parametrize("mask", [None, "positives", "known"])
def test_nothing_to_choose_from_gives_0_with_a_gradient_of_0(rows, mask):
    image_emb, text_emb = pairs(rows)
    scale = number(14.0)
    masks = {mask: torch.ones(rows, rows, dtype=torch.bool)} if mask else {}
    losses = [clip_loss(image_emb, text_emb, scale, **masks)]
    if rows == 0:
        losses.append(siglip_loss(image_emb, text_emb, scale, -10.0, **masks))
    for loss in losses:
        assert loss.shape == () and float(loss.detach()) == 0
        for gradient in torch.autograd.grad(loss, (image_emb, text_emb, scale)):
            assert bool((gradient == 0).all())


def test_siglip_of_one_pair_is_its_own_term():
    image_emb, text_emb = pairs(1)
    expected = -F.logsigmoid(10 * (image_emb * text_emb).sum() - 10)
    torch.testing.assert_close(siglip_loss(image_emb, text_emb, 10.0, -10.0), expected)


def test_siglip_is_divided_by_b_and_starts_low():
    """At the start an image's own term weighs the same in a batch of 4 and of 40."""
    for rows in (4, 40):
        emb = torch.eye(64)[:rows]
        own = math.log(1 + math.exp(0.0))  # 10 * 1 - 10
        others = (rows - 1) * math.log(1 + math.exp(-10.0))
        assert float(siglip_loss(emb, emb, 10.0, -10.0)) == pytest.approx(own + others, rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("loss", [clip_loss, lambda *a: siglip_loss(*a, -10.0)])
def test_half_precision_is_computed_in_float32(dtype, loss):
    image_emb, text_emb = (each.detach().to(dtype).requires_grad_() for each in pairs(16, 4))
    found = loss(image_emb, text_emb, 50.0)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, loss(image_emb.float(), text_emb.float(), 50.0))
    gradient = torch.autograd.grad(found, image_emb)[0]
    assert gradient.dtype == dtype and bool(torch.isfinite(gradient).all())


@pytest.mark.parametrize("loss", [clip_loss, lambda *a: siglip_loss(*a, -10.0)])
def test_autocast_does_not_make_the_loss_coarse(loss):
    image_emb, text_emb = pairs(16, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss(image_emb, text_emb, 50.0)
    assert torch.equal(found, loss(image_emb, text_emb, 50.0))


def test_nothing_is_changed_and_gathered_alone_is_the_same():
    image_emb, text_emb = pairs(6, 8)
    before = image_emb.detach().clone()
    assert torch.equal(clip_loss(image_emb, text_emb, 9.0, gathered=True),
                       clip_loss(image_emb, text_emb, 9.0))
    assert torch.equal(siglip_loss(image_emb, text_emb, 9.0, -1.0, gathered=True),
                       siglip_loss(image_emb, text_emb, 9.0, -1.0))
    assert torch.equal(image_emb, before)


LOSSES = [clip_loss, lambda image, text, scale, **masks: siglip_loss(image, text, scale, 0.0,
                                                                     **masks)]


@pytest.mark.parametrize("loss", LOSSES)
def test_bad_embeddings_are_named(loss):
    image_emb, text_emb = (each.detach() for each in pairs(4))
    nan, inf = image_emb.clone(), text_emb.clone()
    nan[2, 1], inf[3, 0] = float("nan"), float("inf")
    for bad, message in (
        ((image_emb * 1.02, text_emb), r"image_emb row 0 has length 1.02.*normalize"),
        ((image_emb, text_emb * 0.9), r"text_emb row 0 has length 0.9"),
        ((image_emb, torch.zeros(4, 7)), "text_emb row 0 has length 0,"),
        ((nan, text_emb), "image_emb holds NaN or infinity, first in row 2"),
        ((image_emb, inf), "text_emb holds NaN or infinity, first in row 3"),
        ((image_emb, text_emb[:3]), r"\(4, 7\) and text_emb \(3, 7\) must both be \(B, D\)"),
        ((image_emb[0], text_emb[0]), r"image_emb \(7,\)"),
        ((image_emb.long(), text_emb), "dtype torch.int64"),
        ((image_emb.to("meta"), text_emb), "image_emb is on meta"),
    ):
        with pytest.raises(ValueError, match=message):
            loss(*bad, 10.0)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_length_within_the_tolerance_is_let_through(loss):
    image_emb, text_emb = (each.detach() for each in pairs(4))
    assert bool(torch.isfinite(loss(image_emb * 1.008, text_emb, 10.0)))
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        with pytest.raises(ValueError, match=r"expected 1 \(\+-0.01\)"):
            loss((image_emb * 1.03).to(dtype), text_emb, 10.0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_vector_normalised_in_half_precision_is_a_unit_vector(dtype):
    made = torch.randn(2000, 5, generator=torch.Generator().manual_seed(1)).to(dtype)
    made = made / made.norm(dim=-1, keepdim=True)
    for same in (made, made.float()):  # none of the 2,000 is refused
        assert torch.isfinite(clip_loss(same, same, 10.0))


@pytest.mark.parametrize("loss", LOSSES)
def test_bad_scales_and_masks_are_named(loss):
    image_emb, text_emb = (each.detach() for each in pairs(3))
    for scale in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"logit_scale is .*not its logarithm"):
            loss(image_emb, text_emb, scale)
    with pytest.raises(ValueError, match=r"logit_scale has shape \(3,\)"):
        loss(image_emb, text_emb, torch.ones(3))
    for name in ("positives", "known"):
        with pytest.raises(ValueError, match=rf"{name} is torch.bool \(2, 2\).*\(3, 3\)"):
            loss(image_emb, text_emb, 1.0, **{name: torch.eye(2).bool()})
        with pytest.raises(ValueError, match=rf"{name} is torch.float32"):
            loss(image_emb, text_emb, 1.0, **{name: torch.eye(3)})


def test_a_model_without_a_bias_is_sent_to_clip_loss():
    image_emb, text_emb = pairs(3)
    with pytest.raises(ValueError, match=r"CLIP's checkpoints have no logit_bias.*clip_loss"):
        siglip_loss(image_emb, text_emb, 1.0, None)
    with pytest.raises(ValueError, match="logit_bias is nan; expected a finite number"):
        siglip_loss(image_emb, text_emb, 1.0, float("nan"))


def test_what_is_no_tensor_is_named():
    image_emb, text_emb = pairs(3)
    for call, words in (
        (lambda: clip_loss(image_emb.detach().numpy(), text_emb, 10.0), "image_emb is a ndarray"),
        (lambda: clip_loss(image_emb, text_emb, None), "logit_scale is None"),
        (lambda: clip_loss(image_emb, text_emb, "ten"), "logit_scale is 'ten', a str"),
        (lambda: clip_loss(image_emb, text_emb, 10.0, positives=[[True]]), "positives is a list"),
        (lambda: siglip_loss(image_emb, text_emb, 10.0, None), "score and train them with clip"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    with pytest.raises(ValueError) as caught:
        clip_loss(image_emb, text_emb, None)
    assert "logit_bias" not in str(caught.value)
