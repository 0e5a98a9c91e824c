"""Pictures with words for pretraining: held-out labels stay out, captions tell the truth."""

from __future__ import annotations

import numpy as np

from hybridlab.data.captioned import TEMPLATES, CaptionedPictures, catalogue
from hybridlab.data.scenes import stream
from hybridlab.data.world import HELD_OUT, LABEL_NAMES, with_article


def test_the_catalogue_starts_with_the_world_and_names_each_emoji():
    emoji = catalogue()
    assert len(emoji) > 900 and len(set(emoji.symbols)) == len(emoji)
    assert [names[0] for names in emoji.names[:80]] == [with_article(n) for n in LABEL_NAMES]
    assert {LABEL_NAMES[which] for which in emoji.held_out} == set(HELD_OUT)
    said = [name for names in emoji.names for name in names]
    assert all(name and ":" not in name and "_" not in name for name in said)


def test_held_out_labels_are_seen_alone_or_not_at_all():
    pictures = CaptionedPictures(image_size=64)
    held_out = catalogue().held_out
    shown = [pictures[index].shown for index in range(2500)]
    together = [which for one in shown if len(one) > 1 for which in one]
    assert not held_out & set(together)
    assert held_out & {which for one in shown if len(one) == 1 for which in one}
    assert {len(one) for one in shown} == {1, 2, 3, 4}


def test_composites_never_hold_held_out_labels_even_alone():
    pictures = CaptionedPictures(image_size=64, singles=0.0)
    held_out = catalogue().held_out
    assert not held_out & {which for index in range(1200) for which in pictures[index].shown}


def test_pictures_depend_on_seed_and_index_alone():
    a, b = CaptionedPictures(64, seed=3), CaptionedPictures(64, seed=3)
    b[5]
    assert np.array_equal(a[9].image, b[9].image) and a[9].shown == b[9].shown
    assert not np.array_equal(a[9].image, CaptionedPictures(64, seed=4)[9].image)
    assert a[9].image.shape == (64, 64, 3) and a[9].image.dtype == np.uint8


def test_captions_name_all_that_is_shown_and_nothing_else():
    pictures = CaptionedPictures(64)
    names = catalogue().names
    draw = stream(0, 1)
    for index in range(60):
        shown = pictures[index].shown
        caption = pictures.caption(shown, draw)
        for which in shown:
            assert any(name in caption for name in names[which])
        assert caption.count(",") + caption.count(" and ") >= len(shown) - 1
    assert {pictures.words(0, draw) for _ in range(200)} == {t.format("a cow") for t in TEMPLATES}
