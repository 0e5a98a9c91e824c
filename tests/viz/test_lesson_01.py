"""Figures of lesson 01: what they say is what was given."""

from __future__ import annotations

import numpy as np
import pytest

from hybridlab.viz.imbalance import by_frequency_figure, frequency_figure, loss_figure
from hybridlab.viz.notebook import has_title
from hybridlab.viz.scoring import ranking_figure, threshold_figure, threshold_words


def words(figure):
    return " ".join(text.get_text() for text in [*figure.texts, *(
        text for axes in figure.axes for text in [axes.title, *axes.texts]
    ), *([figure._suptitle] if figure._suptitle else [])])


def test_a_ranking_names_its_hits_and_its_ap():
    figure = ranking_figure([0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0])
    assert has_title(figure) and "0.833" in words(figure)
    assert "1/1" in words(figure) and "2/3" in words(figure)
    areas = [bar.get_width() * bar.get_height() for bar in figure.axes[1].patches]
    assert sum(areas) == pytest.approx((1 + 2 / 3) / 2)


@pytest.mark.parametrize(("scores", "targets"), [([0.5], [0]), (np.zeros(31), np.ones(31))])
def test_a_ranking_that_cannot_be_drawn_is_refused(scores, targets):
    with pytest.raises(ValueError, match="at most 30, and a positive"):
        ranking_figure(scores, targets)


def test_a_threshold_is_counted_right():
    scores, targets = [0.9, 0.8, 0.4, 0.3, 0.95], [1, 0, 1, 0, -1]
    assert "1 right, 1 wrong, 1 missed" in words(threshold_figure(scores, targets, 0.5, "cow"))
    told = threshold_words(scores, targets, 0.5, "cow")
    assert "precision is 0.50 and recall 0.50" in told
    assert "precision is nan" in threshold_words(scores, targets, 1.0, "cow")
    for bad in (float("nan"), 1.5):
        with pytest.raises(ValueError, match="apply a sigmoid"):
            threshold_figure([0.5, bad], [1, 0], 0.5, "cow")
    with pytest.raises(ValueError, match="cow is in none"):
        threshold_figure([0.5], [0], 0.5, "cow")


def test_frequencies_and_losses_have_titles_and_lines():
    figure = frequency_figure(["a", "b", "c"], [30, 60, 10], 100)
    assert "6 times as many" in words(figure) and "b: 60" in words(figure)
    grid = np.linspace(0.1, 0.9, 5)
    figure = loss_figure({"one": (grid, grid), "two": (grid, grid)}, grid)
    assert [len(axes.lines) for axes in figure.axes] == [2, 2] and has_title(figure)


def test_groups_of_labels_are_means_that_pass_over_undefined_ones():
    figure = by_frequency_figure(
        [1, 2, 30, 40], {"x": [0.1, np.nan, 0.5, 0.7]}, "AP", "title", groups=2
    )
    assert figure.axes[0].lines[0].get_ydata() == pytest.approx([10, 60])
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["1 to 2", "30 to 40"]
