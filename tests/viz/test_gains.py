"""Gains across studies: what is drawn is what was recorded."""

from __future__ import annotations

import pytest

from hybridlab.course import recorded
from hybridlab.viz.gains import gain_figure, gain_table, gain_words, gains_of
from hybridlab.viz.notebook import show

# two recorded studies with the same variants
PLACES = {"words": recorded("within"), "pictures": recorded("within_pictures")}
VARIANTS = ["30 steps, weight 0.3", "30 steps, weight 1"]


def test_every_gain_is_drawn_with_its_interval():
    gains = gains_of(PLACES, ["mean_ap"])
    assert {each.place for each in gains} == {"words", "pictures"}
    figure = gain_figure(gains, VARIANTS, "measure", "a title", "the reference")
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    ends = {tuple(line.get_ydata()) for line in lines}
    for each in gains:
        assert each.change == pytest.approx(each.value - each.reference, abs=2e-3)
        assert ((100 * each.low, 100 * each.high) in ends) == (each.variant in VARIANTS)
    words = gain_words(gains, VARIANTS, "the reference")
    assert words.count("[") == 4
    show(figure, words)


def test_a_table_has_every_gain_and_brackets_where_none_is_shown():
    gains = gains_of(PLACES, ["mean_ap"])
    head, *rows = gain_table(gains, VARIANTS).splitlines()
    assert head.split() == ["words", "pictures"]
    assert [row.rsplit(",", 1)[0] for row in rows] == VARIANTS
    for row, variant in zip(rows, VARIANTS, strict=True):
        for each in (gain for gain in gains if gain.variant == variant):
            text = f"{100 * each.change:+.1f}"
            assert (f"({text})" in row) != each.shown and text in row
    with pytest.raises(ValueError, match="give some of as shipped"):
        gain_table(gains, ["magic"])


def test_what_cannot_be_drawn_is_named():
    with pytest.raises(ValueError, match="records is empty"):
        gains_of({}, ["mean_ap"])
    with pytest.raises(ValueError, match="was not recorded at words; there are mean_ap"):
        gains_of(PLACES, ["speed"])
    with pytest.raises(ValueError, match="other variants"):
        gains_of({**PLACES, "losses": recorded("losses")}, ["mean_ap"])
    with pytest.raises(ValueError, match="give 1 to 5 of as shipped"):
        gain_figure(gains_of(PLACES, ["mean_ap"]), ["magic"], "x", "t", "r")
