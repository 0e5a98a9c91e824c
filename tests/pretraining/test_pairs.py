"""A batch is a function of settings, step and size, and tells the truth about its pictures."""

from __future__ import annotations

import pytest
import torch

from hybridlab.data.captioned import CaptionedPictures
from hybridlab.pretraining.pairs import draw_pairs
from hybridlab.pretraining.trunk import to_pixels
from hybridlab.pretraining.words import words_of

PICTURES = CaptionedPictures(64, seed=3, emoji=6)


def test_a_batch_depends_on_seed_and_step_alone():
    draw_pairs(PICTURES, 0, 5)
    one = draw_pairs(PICTURES, 7, 5)
    again = draw_pairs(CaptionedPictures(64, seed=3, emoji=6), 7, 5)
    assert torch.equal(one.images, again.images) and one.captions == again.captions
    assert one.shown == again.shown and len(one) == 5
    for other in (draw_pairs(PICTURES, 8, 5), draw_pairs(CaptionedPictures(64, 4, emoji=6), 7, 5)):
        assert not torch.equal(one.images, other.images) and one.captions != other.captions


def test_pictures_captions_and_matches_belong_together():
    pairs = draw_pairs(PICTURES, 2, 30)
    assert pairs.images.shape == (30, 3, 64, 64) and pairs.images.dtype == torch.uint8
    sample = PICTURES[2 * 30 + 4]
    assert torch.equal(pairs.images[4].permute(1, 2, 0), torch.from_numpy(sample.image))
    names = PICTURES.catalogue.names
    for caption, shown in zip(pairs.captions, pairs.shown, strict=True):
        assert all(any(name in caption for name in names[which]) for which in shown)
        assert words_of(caption)
    sets = [frozenset(each) for each in pairs.shown]
    assert pairs.same.tolist() == [[a == b for b in sets] for a in sets]
    assert len({*sets}) < 30  # with six emoji some pictures show the same


def test_no_step_or_batch_below_the_first():
    for step, size in ((-1, 4), (0, 0)):
        with pytest.raises(ValueError, match=f"step is {step} and batch_size {size}"):
            draw_pairs(PICTURES, step, size)


def test_pixels_are_those_of_the_trunk():
    images = torch.tensor([0, 255, 128], dtype=torch.uint8).view(1, 3, 1, 1).expand(2, 3, 4, 4)
    pixels = to_pixels(images)
    assert pixels.shape == (2, 3, 4, 4) and pixels.is_contiguous(memory_format=torch.channels_last)
    assert pixels[0, :, 1, 2].tolist() == pytest.approx([-1, 1, 2 * 128 / 255 - 1], abs=1e-6)
    with pytest.raises(ValueError, match="4 x 5; resize them to squares"):
        to_pixels(torch.zeros(1, 3, 4, 5, dtype=torch.uint8))
    with pytest.raises(TypeError, match="uint8"):
        to_pixels(torch.zeros(1, 3, 4, 4))
