"""A small catalogue for quick training: only the first so many emoji, and no other change."""

from __future__ import annotations

import numpy as np
import pytest

from hybridlab.data.captioned import CaptionedPictures, catalogue

# Noted before the argument `emoji` was there: index -> shown, and the mean of all pixels.
BEFORE = {
    0: ((32, 13, 25, 76), 178.76), 1: ((64, 46, 902), 166.35), 2: ((3,), 175.47),
    5: ((22,), 177.29), 11: ((275, 3, 1159), 208.36), 40: ((4, 53, 0), 224.55),
}


def test_the_pictures_of_all_emoji_are_those_of_before():
    everything = CaptionedPictures(64, seed=3)
    named = CaptionedPictures(64, seed=3, emoji=len(catalogue()))
    for index, (shown, mean) in BEFORE.items():
        assert everything[index].shown == named[index].shown == shown
        assert np.array_equal(everything[index].image, named[index].image)
        assert float(everything[index].image.mean()) == pytest.approx(mean, abs=0.3)


@pytest.mark.parametrize("emoji", [1, 2, 5, 80, 81, 100])
def test_only_the_first_so_many_are_drawn_and_held_out_ones_stay_alone(emoji):
    held_out = catalogue().held_out
    for singles in (0.0, 0.5, 1.0):
        pictures = CaptionedPictures(64, emoji=emoji, singles=singles)
        shown = [pictures[index].shown for index in range(150)]
        assert {which for each in shown for which in each} <= set(range(emoji))
        together = [each for each in shown if len(each) > 1]
        assert not held_out & {which for each in together for which in each}
        assert all(len(set(each)) == len(each) for each in shown)
        if singles == 0.0:
            assert not held_out & {which for each in shown for which in each}
            assert max(map(len, shown)) == min(4, emoji - len(held_out & set(range(emoji))))


def test_a_small_catalogue_uses_all_it_has():
    singles = CaptionedPictures(64, emoji=90, singles=1.0)
    assert len({singles[index].shown for index in range(900)}) > 85
    assert singles.emoji == 90 and len(singles.catalogue) == len(catalogue())


@pytest.mark.parametrize("emoji", [0, -1, 5000])
def test_a_number_that_cannot_be_is_refused(emoji):
    with pytest.raises(ValueError, match=f"emoji is {emoji}; give 1 to"):
        CaptionedPictures(64, emoji=emoji)
