"""Methods by name: one trunk, one way to ask, and each of them learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybridlab.data.captioned import CaptionedPictures
from hybridlab.encoders.base import weights_hash
from hybridlab.encoders.cnn import build_cnn
from hybridlab.evaluation.metrics import mean_ap
from hybridlab.pretraining.methods import METHODS, PROMPT, build_method, to_pixels
from hybridlab.pretraining.pairs import draw_pairs
from hybridlab.pretraining.words import caption_vocabulary

EMOJI = 12
VOCABULARY = caption_vocabulary(EMOJI)
LABELS = ["cow", "glass of milk", "ear of corn"]
PICTURES = CaptionedPictures(64, seed=1, emoji=EMOJI)
PAIRS = draw_pairs(PICTURES, 0, 6)


@pytest.fixture(scope="module")
def built():
    return {name: build_method(name, VOCABULARY, seed=2).eval() for name in METHODS}


def test_all_have_the_same_trunk_with_imagenet_weights(built):
    wanted = weights_hash(build_cnn("efficientnet_lite0").trunk)
    assert {weights_hash(method.trunk.trunk) for method in built.values()} == {wanted}
    # as they are made: BatchNorm in training, as the tiny CLIP is trained
    fresh = build_method("bow", VOCABULARY)
    assert fresh.training and fresh.trunk.trunk.head[1].training


@pytest.mark.parametrize("name", METHODS)
def test_the_loss_of_a_fixed_batch_falls(name):
    method = build_method(name, VOCABULARY, seed=2)
    optimiser = torch.optim.AdamW(method.parameters(), lr=1e-3)
    pixels, losses = to_pixels(PAIRS.images), []
    for _ in range(6):
        loss = method.loss(pixels, PAIRS)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        method.after_step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.75 * losses[0], losses
    assert all(each.grad is not None for each in method.trunk.parameters())


@pytest.mark.parametrize("name", METHODS)
@torch.no_grad()
def test_scores_are_those_of_a_slow_loop(name, built, monkeypatch):
    from hybridlab.pretraining import captioner, methods

    method, pixels = built[name], to_pixels(PAIRS.images)
    monkeypatch.setattr(methods, "CHUNK", 4)
    monkeypatch.setattr(captioner, "ROWS", 7)
    found = method.label_scores(pixels, LABELS)
    assert found.shape == (6, 3) and found.is_floating_point()
    for row in range(6):
        seen = method.trunk(pixels[row : row + 1])
        for column, label in enumerate(["a cow", "a glass of milk", "an ear of corn"]):
            slow = method.head.caption_scores(seen, [PROMPT.format(label)])
            assert float(found[row, column]) == pytest.approx(float(slow), abs=2e-4)


def test_labels_may_bring_their_article_and_no_picture_gives_no_row(built):
    method, pixels = built["clip"], to_pixels(PAIRS.images)
    bare, spoken = (method.label_scores(pixels, [name]) for name in ("cow", "a cow"))
    assert torch.equal(bare, spoken)
    assert method.label_scores(pixels[:0], LABELS).shape == (0, 3)


def test_scoring_neither_learns_nor_leaves_eval_behind(built):
    method = build_method("bow", VOCABULARY, seed=2)
    before = weights_hash(method)
    scores = method.label_scores(to_pixels(PAIRS.images), LABELS)
    assert method.training and weights_hash(method) == before and not scores.requires_grad
    assert torch.allclose(scores, built["bow"].label_scores(to_pixels(PAIRS.images), LABELS))


def test_a_prior_moves_labels_against_each_other_and_no_ap(built):
    method, pixels = built["prefix"], to_pixels(PAIRS.images)
    reference = to_pixels(draw_pairs(PICTURES, 9, 3).images)
    prior = method.label_prior(reference, LABELS)
    assert torch.allclose(prior, method.label_scores(reference, LABELS).mean(dim=0))
    plain, less = (method.label_scores(pixels, LABELS, each) for each in (None, prior))
    assert torch.allclose(less, plain - prior, atol=1e-6)
    targets = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1], [0, 1, 0], [1, 0, 0]])
    assert mean_ap(less, targets).value == pytest.approx(mean_ap(plain, targets).value)
    assert not torch.equal(plain.argsort(dim=1), less.argsort(dim=1))


def test_captioners_give_sums_and_counts(built):
    pixels, captions = to_pixels(PAIRS.images), ["a cow", "a glass of milk"]
    sums, counts = built["cross"].log_probs(pixels, captions)
    assert sums.shape == (6, 2) and counts.tolist() == [3, 5]
    with pytest.raises(TypeError, match="'clip' is no captioner"):
        built["clip"].log_probs(pixels, captions)


def test_seeds_make_heads(built):
    hashes = [weights_hash(build_method("cross", VOCABULARY, seed).head) for seed in (2, 3)]
    assert hashes[0] == weights_hash(built["cross"].head) != hashes[1]


def test_mistakes_are_named(built):
    pixels = to_pixels(PAIRS.images)
    with pytest.raises(ValueError, match="no method 'magic'; choose one of clip, siglip, bow"):
        build_method("magic", VOCABULARY)
    with pytest.raises(ValueError, match="labels is empty"):
        built["bow"].label_scores(pixels, [])
    with pytest.raises(TypeError, match="the one string 'cow'"):
        built["clip"].label_scores(pixels, "cow")
    for name in METHODS:  # words that no caption held
        with pytest.raises(ValueError, match="no word of 'xqzy' is in the vocabulary"):
            built[name].label_scores(pixels, ["cow", "xqzy"])
    for labels, words in (
        ([""], "has no words"), (["cow", "a cow"], "read alike"),
        (["cow xqzy", "cow blorp"], "differ in words that are not in the vocabulary"),
    ):
        with pytest.raises(ValueError, match=words):
            built["prefix"].label_scores(pixels, labels)
    with pytest.raises(ValueError, match=r"prior has shape \(2,\); expected .* 3 labels"):
        built["bow"].label_scores(pixels, LABELS, torch.zeros(2))
    with pytest.raises(ValueError, match="no reference pictures"):
        built["bow"].label_prior(pixels[:0], LABELS)
