"""The figure of moved maps: every error is drawn, multiples of the stride are filled."""

from __future__ import annotations

import pytest

from hybridlab.viz.equivariance import equivariance_figure, equivariance_words
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
    with pytest.raises(ValueError, match="for 4 shifts; give 1 to 4 stages"):
        equivariance_figure(SHIFTS, {"one": [1, 2]}, STRIDES)
