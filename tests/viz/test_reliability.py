"""The reliability diagram draws what was measured, and says it in words."""

from __future__ import annotations

import numpy as np
import pytest

from hybridlab.evaluation.calibration import reliability
from hybridlab.viz.notebook import show
from hybridlab.viz.reliability import reliability_figure, reliability_words


def test_points_are_the_bins():
    draw = np.random.default_rng(0)
    probs = draw.random(500)
    honest = reliability(probs, draw.random(500) < probs, 5)
    sure = reliability(np.where(probs > 0.5, 0.99, 0.01), draw.random(500) < probs, 5)
    found = {"honest": honest, "too sure": sure}
    figure = reliability_figure(found, "Too sure is far from the diagonal")
    above, below = figure.axes
    assert above.lines[1].get_ydata() == pytest.approx(honest.frequency)
    assert len(above.lines[2].get_xdata()) == 2 and below.get_yscale() == "log"
    words = reliability_words(found)
    assert "too sure: expected calibration error 2" in words
    assert "1 % are forecast and 27 % come true" in words
    show(figure, words)


def test_nothing_to_draw_is_told():
    with pytest.raises(ValueError, match="give one reliability or more"):
        reliability_figure({}, "")
    with pytest.raises(ValueError, match="give one reliability or more"):
        reliability_figure({"none": reliability([], [])}, "")
