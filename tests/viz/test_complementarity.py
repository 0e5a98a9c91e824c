"""The figure of who finds what: every share is drawn where it belongs."""

from __future__ import annotations

import pytest

from hybridlab.evaluation.complementarity import Found
from hybridlab.viz.complementarity import complementarity_figure, complementarity_words
from hybridlab.viz.notebook import show

FOUND = [Found("small", 200, 0.25, 0.05, 0.3, 0.4), Found("none", 0, *[float("nan")] * 4),
         Found("large", 100, 0.7, 0.1, 0.15, 0.05)]


def test_every_share_of_every_group_with_labels_is_drawn_and_told():
    figure = complementarity_figure(FOUND, "CNN-RNN", "CLIP")
    axes = figure.axes[0]
    widths = [round(bar.get_width(), 6) for bar in axes.patches]
    assert widths == [25, 5, 30, 40, 70, 10, 15, 5]
    starts = [round(bar.get_x(), 6) for bar in axes.patches]
    assert starts == [0, 25, 30, 60, 0, 70, 80, 95]
    assert [text.get_text() for text in axes.texts] == ["25", "30", "40", "70", "10", "15"]
    assert [each.get_text() for each in axes.get_yticklabels()] == ["small (200)", "large (100)"]
    words = complementarity_words(FOUND, "CNN-RNN", "CLIP")
    assert "small: both 25 %, CNN-RNN alone 5 %, CLIP alone 30 %, neither 40 %" in words
    assert "none" not in words
    show(figure, words)


def test_nothing_to_draw_is_named():
    with pytest.raises(ValueError, match="no group holds a label"):
        complementarity_figure(FOUND[1:2], "a", "b")
