"""Figures of lesson 07 draw what they are given, and say it in words."""

from __future__ import annotations

import numpy as np
import pytest

from hybridlab.evaluation.ensembles import simplex_grid
from hybridlab.evaluation.thresholds import best_f1_threshold
from hybridlab.viz.flattery import (
    Flattery,
    flattery_figure,
    flattery_of,
    flattery_table,
    flattery_words,
)
from hybridlab.viz.half import half_figure, half_words
from hybridlab.viz.notebook import show
from hybridlab.viz.simplex import simplex_figure, simplex_words
from hybridlab.viz.trade_off import Column, trade_off_figure, trade_off_words

SEEN = Column([0.9, 0.8, 0.6, 0.4, 0.2, 0.7], [1, 0, 1, 1, 0, -1])
NEW = Column([0.9, 0.5, 0.5, 0.1], [1, 1, 0, 0])


def test_the_trade_off_is_that_of_the_threshold():
    cut = best_f1_threshold(*SEEN)
    figure = trade_off_figure(SEEN, NEW, cut, "cow")
    left, right = figure.axes
    assert figure.get_suptitle() == (
        "“cow” from 0.30 up: F1 0.86 on the scenes that choose, 0.80 on new ones"
    )
    marks = [(line.get_xdata()[0], line.get_ydata()[0]) for line in left.lines
             if line.get_marker() in "so"]
    assert np.array(marks) == pytest.approx(np.array([[1, 3 / 4], [1, 2 / 3]]))
    curve = next(line for line in right.lines if line.get_label() == "scenes that choose")
    assert max(curve.get_ydata()) == pytest.approx(6 / 7)
    assert list(curve.get_xdata()) == [0.2, 0.4, 0.6, 0.8, 0.9]  # the unannotated one is out
    words = trade_off_words(SEEN, NEW, cut, "cow")
    assert "on the scenes that choose (3 with it) precision is 0.75, recall 1.00 and F1" in words
    assert "the best F1 there would be 0.80, at 0.50" in words
    show(figure, words)


def test_a_threshold_that_nothing_reaches_has_an_f1_of_0():
    words = trade_off_words(SEEN, NEW, 0.95, "cow")
    assert words.count("precision is 0.00, recall 0.00 and F1 0.00") == 2
    trade_off_figure(SEEN, NEW, 0.95, "cow")


@pytest.mark.parametrize(("split", "words"), [
    (Column([0.1, 0.2], [0, -1]), "cow is in none of the scenes"),
    (Column([0.1, 1.2], [1, 0]), "apply a sigmoid first"),
    (Column([0.1, float("nan")], [1, 0]), "apply a sigmoid first"),
    (Column([0.1], [1, 0]), r"scores of shape \(1,\) and targets of shape \(2,\)"),
    (Column([[0.1]], [[1]]), "give one column"),
])
def test_a_column_that_cannot_be_drawn_is_told(split, words):
    for draw in (trade_off_figure, trade_off_words):
        with pytest.raises(ValueError, match=words):
            draw(SEEN, split, 0.5, "cow")


def record(*fitted: float) -> dict:
    runs = [{"fitted_on": 100, "labels_below_5": 1, "fitted_of1": value, "elsewhere_of1": 0.5,
             "crossed_of1": 0.52} for value in fitted]
    tuned = [{name: value for name, value in each.items() if name != "crossed_of1"}
             for each in runs]
    return {"extra": {"one": runs, "tuned": tuned}}


def test_flattery_is_what_is_lost_elsewhere():
    found = flattery_of({5: record(0.7, 0.8), 20: record(0.6, 0.6)}, ["tuned", "one"])
    assert [(each.rule, each.positives) for each in found] == [
        ("tuned", 5), ("tuned", 20), ("one", 5), ("one", 20)]
    assert found[2].optimism == pytest.approx((0.2, 0.3)) and found[2].crossed == (0.52, 0.52)
    assert found[0].crossed == ()
    figure = flattery_figure(found, "of1", "Who flatters itself")
    left, right = figure.axes
    means = [line.get_ydata() for line in right.lines if line.get_label() in ("tuned", "one")]
    assert means[1] == pytest.approx([25, 10])
    assert left.get_ylabel() == "OF1 on other scenes (%)"
    assert [tick.get_text() for tick in left.get_xticklabels()] == ["5", "20"]
    words = flattery_words(found, "of1")
    assert "one, 5 positives: 50.0 %, flatters itself by 25.0" in words
    table = flattery_table(found).splitlines()
    assert table[1].split() == ["tuned", "5", "75.0", "–", "50.0"]
    assert table[3].split() == ["one", "5", "75.0", "52.0", "50.0"]
    assert len({len(line) for line in table}) == 1
    show(figure, words)


def test_what_was_not_recorded_is_told():
    with pytest.raises(ValueError, match="no 'luck' was recorded; there are one, tuned"):
        flattery_of({5: record(0.7)}, ["luck"])
    with pytest.raises(ValueError, match="no 'cf1' was recorded; there are of1"):
        flattery_of({5: record(0.7)}, ["one"], "cf1")
    with pytest.raises(ValueError, match="is empty"):
        flattery_of({}, ["one"])
    with pytest.raises(ValueError, match="there are 0 rules"):
        flattery_figure([], "of1", "")
    with pytest.raises(ValueError, match="there are 6 rules"):
        flattery_figure([Flattery(str(at), 5, (0.1,), (), (0.1,)) for at in range(6)], "of1", "")
    with pytest.raises(ValueError, match="found is empty"):
        flattery_table([])


def test_taking_pays_above_half_of_the_best_f1():
    """The exercise's own example: .6667 is the best F1 that can be expected."""
    figure = half_figure([0.1, 0.8, 0.3, 0.4], "Half of the best F1")
    axes = figure.axes[0]
    assert [bar.get_height() for bar in axes.patches] == [0.8, 0.4, 0.3, 0.1]
    assert len({bar.get_facecolor() for bar in axes.patches[:2]}) == 1
    assert axes.patches[1].get_facecolor() != axes.patches[2].get_facecolor()
    assert axes.lines[0].get_ydata() == pytest.approx([0.6154, 0.6667, 0.6522, 0.5714], abs=1e-4)
    assert axes.lines[2].get_ydata()[0] == pytest.approx(1 / 3)
    words = half_words([0.1, 0.8, 0.3, 0.4])
    assert "the 2 highest are worth taking: the expected F1 rises to 0.67" in words
    assert "The last that is taken is 0.40, the next 0.30" in words
    show(figure, words)
    assert "the next none" in half_words([0.1] * 50)  # who knows nothing takes all
    assert len(half_figure([0.1] * 50, "All pay").axes[0].patches) == 30


@pytest.mark.parametrize("probs", [[], [0.0, 0.0], [0.5, 1.5], [float("nan")], [[0.5]]])
def test_half_of_nothing_is_refused(probs):
    for draw in (lambda given: half_figure(given, "title"), half_words):
        with pytest.raises(ValueError, match="give one label's probabilities"):
            draw(probs)


def test_three_models_are_the_corners_of_a_triangle():
    weights = np.array([point / 4 for point in simplex_grid(3, 4)])
    values = 0.5 + 0.1 * weights[:, 0] - 0.2 * weights[:, 1]
    marked = {"fitted": [0.5, 0.25, 0.25]}
    figure = simplex_figure(weights, values, ("CNN-RNN", "CLIP", "hybrid"), marked, "Weights")
    axes = figure.axes[0]
    spots = np.asarray(axes.collections[0].get_offsets())
    assert len(spots) == 15 and len({tuple(np.round(spot, 6)) for spot in spots}) == 15
    corners = {name: spots[int(np.flatnonzero(weights[:, at] == 1)[0])]
               for at, name in enumerate("abc")}
    sides = [np.linalg.norm(corners[a] - corners[b]) for a, b in ("ab", "bc", "ca")]
    assert sides == pytest.approx([1, 1, 1])
    assert axes.collections[0].get_array().max() == pytest.approx(60)
    assert axes.lines[0].get_xdata()[0] == pytest.approx(0.25 + 0.125)
    words = simplex_words(weights, values, ("CNN-RNN", "CLIP", "hybrid"), marked)
    assert words == (
        "mAP (%) of weighted averages. alone CNN-RNN 60.0, CLIP 30.0, hybrid 50.0; best 60.0 at "
        "CNN-RNN 1.00, CLIP 0.00, hybrid 0.00; fitted: CNN-RNN 0.50, CLIP 0.25, hybrid 0.25."
    )
    show(figure, words)


@pytest.mark.parametrize(("weights", "values", "names", "chosen", "words"), [
    ([[1, 0]], [0.5], "abc", {}, r"weights are \(1, 2\)"),
    ([[1, 0, 0]], [0.5, 0.6], "abc", {}, r"values \(2,\)"),
    ([[1, 0, 0]], [0.5], "ab", {}, "three names"),
    ([[1, 0.5, 0]], [0.5], "abc", {}, "add up to 1"),
    ([[1, 0, 0]], [0.5], "abc", {"best": [2, -1, 0]}, "must not be negative"),
    ([[1, 0, 0]], [0.5], "abc", {str(at): [1, 0, 0] for at in range(5)}, "4 at most"),
])
def test_weights_that_are_none_are_refused(weights, values, names, chosen, words):
    for draw in (lambda *given: simplex_figure(*given, "title"), simplex_words):
        with pytest.raises(ValueError, match=words):
            draw(weights, values, names, chosen)
