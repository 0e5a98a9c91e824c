"""Probabilities of labels from words alone: each label by itself, by the model's own numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hybridlab.encoders.clip import ImageFeatures
from hybridlab.encoders.preprocessing import Preprocessing
from hybridlab.zeroshot.labelling import OWN, SHARE, backgrounds_for, word_labeller
from hybridlab.zeroshot.prompts import BACKGROUNDS


class Colours:
    """A CLIP of three colours: a picture's vector is its mean colour, a text's the colour it names;
    what names none stands for grey."""

    def __init__(self, bias: float | None = None, name: str = "colours"):
        self.name, self.bias = name, bias
        self.preprocessing = Preprocessing(8)
        self.logit_scale = torch.tensor(10.0)

    @property
    def logit_bias(self):
        return None if self.bias is None else torch.tensor(self.bias)

    @staticmethod
    def tokenizer(texts):
        ids = torch.zeros(len(texts), 24, dtype=torch.long)
        for row, text in enumerate(texts):
            for at, mark in enumerate(text.split()):
                ids[row, at] = 1 + sum(ord(each) * 31**place for place, each in enumerate(mark))
        return ids

    def encode_text(self, texts):
        names = ("red", "green", "blue")
        rows = [[float(name in text) for name in names] for text in texts]
        vectors = torch.tensor([row if any(row) else [1.0, 1.0, 1.0] for row in rows])
        return F.normalize(vectors, dim=-1)

    def encode_image(self, pixels):
        colours = (pixels / 2 + 0.5).clamp(1e-3)
        tokens = F.avg_pool2d(colours, 4).flatten(2).transpose(1, 2)  # (B, 4, 3)
        return ImageFeatures(F.normalize(tokens.mean(dim=1), dim=-1), tokens, (2, 2))

    def weights_hash(self):
        return f"colours of bias {self.bias}"


def pixels(*corners):
    """An 8 x 8 picture of four colours, as the encoder reads it: (1, 3, 8, 8)."""
    image = np.zeros((8, 8, 3), np.uint8)
    for at, colour in enumerate(corners):
        row, column = divmod(at, 2)
        image[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = colour
    return Preprocessing(8)([image])


RED, BLUE, GREY = (255, 0, 0), (0, 0, 255), (90, 90, 90)
PICTURE = pixels(RED, GREY, GREY, BLUE)
LABELS = ("red", "green", "blue")


def test_a_label_has_its_share_against_the_background_texts():
    words = word_labeller(Colours(), LABELS, ["a {name} thing"])
    assert (words.kind, words.view, words.background) == (SHARE, "whole", BACKGROUNDS)
    odds = words.log_odds(PICTURE).numpy()
    image = Colours().encode_image(PICTURE).image_emb[0].double().numpy()
    grey = np.full(3, 3**-0.5)
    for column in range(3):
        label = np.exp(10 * image[column])
        behind = len(BACKGROUNDS) * np.exp(10 * image @ grey)
        share = label / (label + behind)
        assert odds[0, column] == pytest.approx(np.log(share / (1 - share)), abs=1e-4)
    assert odds.shape == (1, 3) and odds.dtype == np.float64


def test_the_best_patch_finds_what_the_whole_picture_drowns():
    whole = word_labeller(Colours(), LABELS, ["{name}"], "whole").log_odds(PICTURE)[0]
    patch = word_labeller(Colours(), LABELS, ["{name}"], "patch").log_odds(PICTURE)[0]
    # the red corner is as red as can be: its cosine is 1; the grey corners fit the background best
    expected = 10 * 1.0 - (np.log(len(BACKGROUNDS)) + 10 * 1.0)
    assert patch[0] == pytest.approx(expected, abs=1e-2) and patch[0] == pytest.approx(patch[2])
    assert patch[0] > whole[0] + 2 and patch[0] - patch[1] > whole[0] - whole[1]


def test_labels_do_not_compete():
    alone = word_labeller(Colours(), ["red"], ["{name}"]).log_odds(PICTURE)
    together = word_labeller(Colours(), LABELS, ["{name}"]).log_odds(PICTURE)
    assert alone[0, 0] == together[0, 0]


def test_siglip_brings_its_own_probability_for_whole_pictures():
    words = word_labeller(Colours(bias=-7.0), LABELS, ["{name}"])
    assert words.kind == OWN and words.background == () and words.background_emb.shape == (0, 3)
    cosines = Colours().encode_image(PICTURE).image_emb[0]
    torch.testing.assert_close(words.log_odds(PICTURE)[0], (10 * cosines - 7).double())
    assert word_labeller(Colours(bias=-7.0), LABELS, ["{name}"], "patch").kind == SHARE


def test_the_tiny_clip_is_asked_by_patches():
    assert word_labeller(Colours(name="tiny"), LABELS).view == "patch"
    assert word_labeller(Colours(name="tiny"), LABELS, view="whole").view == "whole"
    with pytest.raises(ValueError, match="view is 'best'; choose one of whole, patch"):
        word_labeller(Colours(), LABELS, view="best")


def test_a_label_is_not_held_against_itself():
    assert backgrounds_for(["cat", "the owl"]) == BACKGROUNDS
    kept = backgrounds_for(["Snow", "the sky", "a wall", "ground", "an_empty scene"])
    assert kept == ("some grass", "some water", "a floor", "a plain background")
    with pytest.raises(ValueError, match="name all background texts"):
        backgrounds_for(BACKGROUNDS)


def test_what_is_no_number_is_told():
    words = word_labeller(Colours(), LABELS)
    with pytest.raises(FloatingPointError, match="colours gave NaN"):
        words.log_odds(torch.full((1, 3, 8, 8), float("nan")))


def test_labels_that_read_alike_are_refused():
    with pytest.raises(ValueError, match="read alike"):
        word_labeller(Colours(), ["red", "Red "])
