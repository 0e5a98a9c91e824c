"""Both captioners: causal, looking at the picture, blind to padding, and a proper distribution."""

from __future__ import annotations

import pytest
import torch

from hybridlab.pretraining.cross import CrossCaptioner
from hybridlab.pretraining.likelihood import next_word_loss, token_log_probs
from hybridlab.pretraining.pairs import Pairs
from hybridlab.pretraining.prefix import PrefixCaptioner
from hybridlab.pretraining.text import TextSize
from hybridlab.pretraining.words import END, PAD, START
from hybridlab.training.held import seeded

from .helpers import CAPTIONS, CHANNELS, WORDS, only, seen

SIZE = TextSize(width=16, layers=2, heads=2)


@pytest.fixture(params=[PrefixCaptioner, CrossCaptioner])
def captioner(request):
    return seeded(1, lambda: request.param(CHANNELS, WORDS, SIZE)).eval()


@torch.no_grad()
def test_a_later_word_moves_no_earlier_logits(captioner):
    memory = captioner.read(seen(2))
    tokens = WORDS.encode(["a cow egg milk", "a cow egg milk"])
    before = captioner.logits(memory, tokens)
    assert before.shape == (2, 5, WORDS.tokens)
    for place in range(1, 5):
        changed = tokens.clone()
        changed[:, place] = 4 + (tokens[:, place] - 3) % len(WORDS)
        assert (changed != tokens).sum() == 2
        after = captioner.logits(memory, changed)
        # logits[:, i] are of token i + 1: those up to `place` have not read it
        assert torch.allclose(before[:, :place], after[:, :place], atol=1e-5)
        assert (before[:, place:] - after[:, place:]).abs().amax(dim=2).min() > 1e-4


@torch.no_grad()
def test_the_picture_matters_to_every_word(captioner):
    tokens = WORDS.encode(["a cow egg"])
    one, other = (captioner.logits(captioner.read(seen(1, seed=seed)), tokens) for seed in (0, 1))
    assert (one - other).abs().amax(dim=2).min() > 1e-3


@torch.no_grad()
def test_places_matter_to_the_one_that_looks_at_them(captioner):
    usual = seen(1)
    turned = type(usual)(
        usual.feature_map.transpose(2, 3),
        usual.feature_map.transpose(2, 3).flatten(2).transpose(1, 2), usual.pooled,
    )
    tokens = WORDS.encode(["a cow egg"])
    moved = captioner.logits(captioner.read(usual), tokens) - captioner.logits(
        captioner.read(turned), tokens
    )
    if isinstance(captioner, PrefixCaptioner):  # it reads the mean over places
        assert moved.abs().max() == 0
    else:
        assert moved.abs().max() > 1e-4


@torch.no_grad()
def test_padding_changes_nothing(captioner):
    pictures = seen(2)
    sums, counts = captioner.log_probs(pictures, CAPTIONS)
    assert counts.tolist() == [3, 8, 2]
    for at, caption in enumerate(CAPTIONS):  # alone there is no padding
        alone, count = captioner.log_probs(pictures, [caption])
        assert torch.allclose(sums[:, at : at + 1], alone, atol=1e-5) and count == counts[at]
    tokens = WORDS.encode(CAPTIONS)
    logits = captioner.logits(captioner.read(seen(3)), tokens)
    blurred = logits.clone()
    blurred[tokens[:, 1:] == PAD] = 99.0
    assert float(next_word_loss(logits, tokens)) == float(next_word_loss(blurred, tokens))


@torch.no_grad()
def test_the_loss_is_the_mean_over_words_of_minus_log_p(captioner):
    pictures = seen(3)
    same = torch.eye(3, dtype=torch.bool)
    images = torch.zeros(3, 3, 1, 1, dtype=torch.uint8)
    loss = captioner.loss(pictures, Pairs(images, tuple(CAPTIONS), ((), (), ()), same))
    sums, counts = captioner.log_probs(pictures, CAPTIONS)
    assert float(loss) == pytest.approx(float(-sums.diagonal().sum() / counts.sum()), abs=1e-5)


@torch.no_grad()
def test_log_p_is_what_a_word_by_word_loop_gives(captioner):
    pictures = seen(2)
    sums, counts = captioner.log_probs(pictures, CAPTIONS)
    for row in range(2):
        memory = captioner.read(only(pictures, row))
        for column, caption in enumerate(CAPTIONS):
            tokens = WORDS.encode([caption])
            total = 0.0
            for place in range(1, tokens.shape[1]):
                # what comes after is not known yet: any word stands there
                so_far = torch.cat([tokens[:, :place], torch.tensor([[END]])], dim=1)
                shares = captioner.logits(memory, so_far)[0, -1].softmax(dim=0)
                total += float(shares[tokens[0, place]].log())
            assert float(sums[row, column]) == pytest.approx(total, abs=1e-4)
    scores = captioner.caption_scores(pictures, CAPTIONS)
    assert torch.allclose(scores, sums / counts) and (scores < 0).all()


@torch.no_grad()
def test_all_continuations_of_two_tokens_have_probability_one(captioner):
    memory = captioner.read(seen(1))
    every = range(WORDS.tokens)
    pairs = torch.tensor([[START, a, b] for a in every for b in every])
    logits = captioner.logits(memory.expand(len(pairs), -1, -1), pairs)
    log_p = token_log_probs(logits, pairs)
    assert (log_p[pairs[:, 1:] == PAD] == 0).all()  # padding is passed over in a score, so:
    log_p = logits.log_softmax(dim=2).gather(2, pairs[:, 1:, None])[..., 0]
    assert float(log_p.sum(dim=1).exp().sum()) == pytest.approx(1, abs=1e-5)
    # and captions of one word are these, with the end as the second token
    sums, _ = captioner.log_probs(seen(1), list(WORDS))
    table = log_p.sum(dim=1).view(WORDS.tokens, WORDS.tokens)
    assert torch.allclose(sums[0], table[4:, END], atol=1e-5)


@torch.no_grad()
def test_the_cross_attending_one_takes_grids_of_any_size():
    captioner = seeded(1, lambda: CrossCaptioner(CHANNELS, WORDS, SIZE)).eval()
    assert captioner.read(seen(2, side=3)).shape == (2, 9, 16)
    assert captioner.caption_scores(seen(2, side=3), CAPTIONS).shape == (2, 3)
