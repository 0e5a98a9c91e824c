"""The figure of moved maps: every error is drawn, multiples of the stride are filled."""

from __future__ import annotations

import pytest

from hybridlab.encoders.equivariance import Weights
from hybridlab.viz.equivariance import (
    delay_figure,
    delay_words,
    equivariance_figure,
    equivariance_words,
    sharing_figure,
    sharing_words,
)
from hybridlab.viz.notebook import show

SHIFTS, ERRORS, STRIDES = [0, 1, 2, 4], {"one": [0, 0.3, 0.01, 0.02]}, {"one": 2}


def test_every_error_is_drawn_and_told():
    axes = equivariance_figure(SHIFTS, ERRORS, STRIDES).axes[0]
    marks = [line for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata()) == 1]
    assert {float(line.get_xdata()[0]): float(line.get_ydata()[0]) for line in marks} == {
        0: 0, 1: 30, 2: 1, 4: 2}
    assert [float(line.get_xdata()[0]) for line in marks
            if line.get_markerfacecolor() == "white"] == [1]
    words = equivariance_words(SHIFTS, ERRORS, STRIDES)
    assert "2 % at most at multiples of it and 30 % at most between" in words
    show(equivariance_figure(SHIFTS, ERRORS, STRIDES), words)


def test_an_error_for_each_shift():
    with pytest.raises(ValueError, match="for 4 shifts; give 1 to 4 lines"):
        equivariance_figure(SHIFTS, {"one": [1, 2]}, STRIDES)


def test_both_counts_of_each_layer_are_drawn_and_told():
    layers = {"first": Weights(864, 4_800_000), "second": Weights(288, 2_100_000_000)}
    axes = sharing_figure(layers).axes[0]
    assert sorted(bar.get_width() for bar in axes.patches) == [288, 864, 4_800_000, 2_100_000_000]
    assert {text.get_text() for text in axes.texts} == {"864", "4.8 million", "288", "2.1 billion"}
    assert "first: 864 and 4.8 million; second: 288 and 2.1 billion" in sharing_words(layers)
    with pytest.raises(ValueError, match="no layer"):
        sharing_figure({})


def test_every_delay_is_drawn_and_told():
    delays, moved = [0, 1, 4], {"GRU": [0, 0.3, 0.5], "mean": [0, 0, 0]}
    axes = delay_figure(delays, moved).axes[0]
    assert [list(line.get_ydata()) for line in axes.lines] == [[0, 30, 50], [0, 0, 0]]
    assert "GRU moves by 0, 30, 50 %; mean moves by 0, 0, 0 %" in delay_words(delays, moved)
    with pytest.raises(ValueError, match="each with a value for each"):
        delay_figure(delays, {"GRU": [1]})
