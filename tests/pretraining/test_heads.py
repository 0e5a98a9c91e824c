"""The two heads that are no captioners: CLIP's towers and the bag of words."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from hybridlab.contrastive.sigmoid import siglip_loss
from hybridlab.contrastive.softmax import clip_loss
from hybridlab.pretraining.bow import BagOfWords, content_words
from hybridlab.pretraining.dual import DualEncoder
from hybridlab.pretraining.pairs import Pairs
from hybridlab.pretraining.text import CausalText, TextSize, TextTower
from hybridlab.pretraining.words import PAD, WordVocabulary
from hybridlab.training.held import seeded

from .helpers import CAPTIONS, CHANNELS, WORDS, seen

SIZE = TextSize(width=16, layers=2, heads=2)
SAME = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=torch.bool)
IMAGES = torch.zeros(3, 3, 1, 1, dtype=torch.uint8)


def pairs(same=SAME):
    return Pairs(IMAGES, tuple(CAPTIONS), ((), (), ()), same)


def dual(loss="clip"):
    return seeded(1, lambda: DualEncoder(CHANNELS, WORDS, loss, dim=8, size=SIZE)).eval()


@torch.no_grad()
def test_a_text_is_the_state_at_its_end_token():
    tower = seeded(0, lambda: TextTower(WORDS, SIZE)).eval()
    tokens = WORDS.encode(CAPTIONS)
    found = tower(tokens)
    states = tower.text(tower.embed(tokens))
    for row, length in enumerate([4, 9, 3]):
        assert torch.equal(found[row], states[row, length - 1])
    more = F.pad(tokens, (0, 0, 0, 0), value=PAD)
    assert torch.allclose(tower(WORDS.encode(CAPTIONS[2:])), found[2:], atol=1e-5)
    assert torch.equal(tower(more), found)
    reordered = tower(WORDS.encode(["cow a"]))
    assert (reordered - found[0]).abs().max() > 1e-3


def test_layers_of_a_stack_begin_with_weights_of_their_own():
    stack = seeded(0, lambda: CausalText(SIZE)).layers.layers
    assert not torch.equal(stack[0].linear1.weight, stack[1].linear1.weight)


@torch.no_grad()
def test_towers_give_unit_vectors_and_the_losses_of_the_course():
    head, pictures = dual(), seen(3)
    images, texts = head.image_emb(pictures), head.text_emb(CAPTIONS)
    assert images.shape == texts.shape == (3, 8)
    for emb in (images, texts):
        assert torch.allclose(emb.norm(dim=1), torch.ones(3), atol=1e-6)
    assert torch.allclose(head.caption_scores(pictures, CAPTIONS), images @ texts.T)
    wanted = clip_loss(images, texts, 1 / 0.07, positives=SAME)
    assert float(head.loss(pictures, pairs())) == pytest.approx(float(wanted), abs=1e-5)
    plain = head.loss(pictures, pairs(torch.eye(3, dtype=torch.bool)))
    assert float(plain) > float(wanted)  # a true caption counted as wrong costs more
    other = dual("siglip")
    wanted = siglip_loss(
        other.image_emb(pictures), other.text_emb(CAPTIONS), 10.0, -10.0, positives=SAME
    )
    assert float(other.loss(pictures, pairs())) == pytest.approx(float(wanted), abs=1e-4)


def test_the_scale_is_kept_in_its_bounds():
    head = dual()
    with torch.no_grad():
        head.scale.log_scale.fill_(9.0)
    head.after_step()
    assert float(head.scale.log_scale.detach()) == pytest.approx(math.log(100))
    dual("siglip").after_step()
    with pytest.raises(ValueError, match="loss is 'magic'; choose one of clip, siglip"):
        DualEncoder(CHANNELS, WORDS, "magic")


@torch.no_grad()
def test_the_bag_s_loss_is_summed_over_words_and_averaged_over_captions():
    head = seeded(1, lambda: BagOfWords(CHANNELS, WORDS))
    pictures = seen(3)
    total = 0.0
    for row, caption in enumerate(CAPTIONS):
        for column, word in enumerate(WORDS):
            p = float(torch.sigmoid(head(pictures)[row, column]))
            total -= math.log(p if word in caption.split() else 1 - p)
    assert float(head.loss(pictures, pairs())) == pytest.approx(total / 3, rel=1e-5)


@torch.no_grad()
def test_a_caption_scores_the_mean_log_odds_of_its_content_words():
    head, pictures = seeded(1, lambda: BagOfWords(CHANNELS, WORDS)), seen(2)
    logits = head(pictures)
    found = head.caption_scores(
        pictures, ["a picture of an egg", "a picture of a cow of milk", "picture of a dog egg"]
    )
    column = {word: at for at, word in enumerate(WORDS)}
    assert torch.allclose(found[:, 0], logits[:, column["egg"]], atol=1e-6)
    both = (logits[:, column["cow"]] + logits[:, column["milk"]]) / 2
    assert torch.allclose(found[:, 1], both, atol=1e-6)
    assert torch.allclose(found[:, 2], found[:, 0])  # "dog" is not known: the rest speaks
    with pytest.raises(ValueError, match="no word of 'a dog' is in the vocabulary"):
        head.caption_scores(pictures, ["an egg", "a dog"])


def test_content_words():
    assert content_words("a picture of a glass of milk") == ["glass", "milk"]
    assert content_words("a small airplane") == ["airplane"]
    assert content_words("a picture") == ["a", "picture"]  # nothing else is left
    assert content_words("an emoji of a man's shoe") == ["man's", "shoe"]


@torch.no_grad()
def test_an_untrained_bag_expects_few_words():
    many = WordVocabulary([f"w{at}" for at in range(800)])
    head = seeded(0, lambda: BagOfWords(CHANNELS, many))
    assert float(torch.sigmoid(head.linear.bias).sum()) == pytest.approx(8, rel=1e-4)
