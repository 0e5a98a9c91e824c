"""Labels that a CLIP is never shown: who is left out, and that nothing else changes."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from hybridlab.data.captioned import CaptionedPictures, catalogue
from hybridlab.data.labels import label_names
from hybridlab.data.never import never_drawn
from hybridlab.data.scenes import stream
from hybridlab.data.world import HELD_OUT, LABEL_NAMES

# of `shown` of pictures 0 to 149 at 64 px, before `never` was there
BEFORE = {0: "c61c92cac6c0fcf4", 3: "d217a235e8502973"}
NEVER = never_drawn(label_names(["held-out"]))


def test_names_are_put_in_order_each_once():
    assert label_names(["held-out"]) == tuple(n for n in LABEL_NAMES if n in HELD_OUT)
    assert label_names(["owl", "cow", "owl"]) == ("cow", "owl")
    assert len(label_names(["held-out", "cow", "crab"])) == 17
    assert label_names([]) == ()
    with pytest.raises(ValueError, match=r"never names 'crap', .*did you mean 'crab'"):
        label_names(["crap"], "never")
    with pytest.raises(TypeError, match="one string"):
        label_names("crab")


def test_the_labels_and_those_who_bear_their_names_are_left_out():
    labels = {LABEL_NAMES.index(name) for name in HELD_OUT}
    names = catalogue().names
    others = {names[which][0] for which in NEVER - labels}
    assert labels < NEVER and others == {"a satellite antenna"}
    said = " ".join(f" {name.lower()} " for which in set(range(len(names))) - NEVER
                    for name in names[which])
    for name in (*HELD_OUT, "scissors", "gloves"):
        assert f" {name} " not in said, name
    assert " tennis " in said  # of the table tennis paddle, a label that stays
    assert never_drawn(()) == frozenset()


@pytest.mark.parametrize("seed", BEFORE)
def test_without_never_every_picture_is_that_of_before(seed):
    pictures = CaptionedPictures(64, seed)
    shown = repr([pictures[index].shown for index in range(150)])
    assert hashlib.sha256(shown.encode()).hexdigest()[:16] == BEFORE[seed]


def test_never_is_never_and_other_pictures_stay():
    plain, without = (
        CaptionedPictures(64, singles=0.8, never=never) for never in (frozenset(), NEVER)
    )
    changed = 0
    for index in range(300):
        a, b = plain[index], without[index]
        assert not NEVER & set(b.shown)
        if NEVER & set(a.shown):
            changed += 1
            assert len(a.shown) == len(b.shown)
        else:
            assert a.shown == b.shown and np.array_equal(a.image, b.image)
    assert 8 < changed < 50  # 19 are expected
    draw = stream(0, 1)
    captions = [without.caption(without[index].shown, draw) for index in range(100)]
    assert not any(name in caption for caption in captions for name in HELD_OUT)


def test_leaving_nothing_out_of_many_is_refused():
    with pytest.raises(ValueError, match="never holds all 64 emoji"):
        CaptionedPictures(never=frozenset(range(80)))
    # all but one is enough
    one = CaptionedPictures(64, singles=0.0, never=frozenset(range(1, 80)))
    labels = {which for index in range(40) for which in one[index].shown if which < 80}
    assert labels == {0}
