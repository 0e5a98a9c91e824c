"""Captions as words: token numbers and bags, by hand."""

from __future__ import annotations

import warnings

import pytest
import torch

from hybridlab.data.captioned import TEMPLATES, CaptionedPictures, catalogue
from hybridlab.data.scenes import stream
from hybridlab.data.world import LABEL_NAMES
from hybridlab.pretraining.words import (
    END,
    PAD,
    SPECIALS,
    START,
    UNKNOWN,
    TruncatedCaptionWarning,
    WordVocabulary,
    bow_targets,
    caption_vocabulary,
    words_of,
)

WORDS = WordVocabulary(["a", "cat", "caterpillar", "egg"])


def test_words_are_lower_case_and_without_punctuation():
    assert words_of("A T-Rex, the man’s (old) jack-o-lantern!") == [
        "a", "t-rex", "the", "man's", "old", "jack-o-lantern"
    ]
    assert words_of("piñata 2nd") == ["piñata", "2nd"] and words_of(" - ,") == []


def test_tokens_by_hand():
    tokens = WORDS.encode(["A cat.", "an egg, a caterpillar"])
    assert tokens.dtype == torch.long
    assert tokens.tolist() == [
        [START, 4, 5, END, PAD, PAD], [START, UNKNOWN, 7, 4, 6, END]
    ]
    assert WORDS.tokens == 4 + SPECIALS and len(WORDS) == 4 and "cat" in WORDS


def test_what_does_not_fit_is_told_and_the_end_stays():
    short = WordVocabulary(WORDS.words, context=4)
    with pytest.warns(TruncatedCaptionWarning, match="3 words and 2 fit; lost: egg"):
        tokens = short.encode(["a cat egg"])
    assert tokens.tolist() == [[START, 4, 5, END]]


def test_bags_by_hand():
    found = bow_targets(["A cat and a cat!", "caterpillar, EGG", "", "dog"], WORDS)
    assert found.dtype == torch.float32
    assert found.tolist() == [[1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert bow_targets(["egg a"], ["egg", "a", "cat"]).tolist() == [[1, 1, 0]]  # any list of words
    assert bow_targets([], WORDS).shape == (0, 4)


@pytest.mark.parametrize(
    ("call", "error", "told"),
    [
        (lambda: WordVocabulary([]), ValueError, "got 0 words"),
        (lambda: WordVocabulary(["a", "a"]), ValueError, "got 2 words, 1 of them different"),
        (lambda: WordVocabulary(["Cat"]), ValueError, "'Cat' is no word in its usual form"),
        (lambda: WordVocabulary(["a"], context=2), ValueError, "context is 2"),
        (lambda: WORDS.encode("a cat"), TypeError, r"give a list of texts: \['a cat'\]"),
        (lambda: WORDS.encode([]), ValueError, "no texts"),
        (lambda: WORDS.encode(["a", "?!"]), ValueError, "'\\?!' has no words"),
        (lambda: bow_targets("a cat", WORDS), TypeError, "give a list of texts"),
        (lambda: caption_vocabulary(0), ValueError, "emoji is 0; give a number from 1"),
        (lambda: caption_vocabulary(9999), ValueError, "emoji is 9999"),
    ],
)
def test_mistakes_are_named(call, error, told):
    with pytest.raises(error, match=told):
        call()


@pytest.mark.parametrize("emoji", [None, 100])
def test_the_vocabulary_knows_every_word_of_the_captions_and_cuts_none(emoji):
    vocabulary = caption_vocabulary(emoji)
    assert list(vocabulary.words) == sorted(set(vocabulary.words))
    pictures, draw = CaptionedPictures(64, emoji=emoji), stream(5, 1)
    some = range(len(catalogue().symbols[:emoji]))
    shown = [tuple(some[int(draw() * len(some))] for _ in range(4)) for _ in range(500)]
    by_length = sorted(some, key=lambda at: len(words_of(catalogue().names[at][-1])))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tokens = vocabulary.encode(
            [pictures.caption(each, draw) for each in [*shown, *[tuple(by_length[-4:])] * 20]]
            + [template.format(name) for template in TEMPLATES for name in LABEL_NAMES[:3]]
        )
    assert not (tokens == UNKNOWN).any() and tokens.shape[1] <= vocabulary.context


def test_fewer_emoji_have_fewer_words():
    assert len(caption_vocabulary(100)) < 200 < 1000 < len(caption_vocabulary())
    assert "cow" in caption_vocabulary(1) and "milk" not in caption_vocabulary(1)
