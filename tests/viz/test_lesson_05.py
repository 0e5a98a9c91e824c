"""Figures of fusions draw what they are given, and say it in words."""

from __future__ import annotations

import numpy as np
import pytest

from hybridlab.course import recorded
from hybridlab.viz.blend import blend_figure, blend_words
from hybridlab.viz.cost_gain import Earned, cost_gain_figure, cost_gain_words, earned_of
from hybridlab.viz.gate import gate_figure, gate_words
from hybridlab.viz.notebook import show
from hybridlab.viz.reading import reading_figure, reading_words

IMAGE = np.full((40, 40, 3), 200, np.uint8)
EARNED = [
    Earned("concat", 1e5, 5.0, 4.0, 6.0, True), Earned("gate", 1.2e5, 5.1, 4.1, 6.2, True),
    Earned("compact", 3e6, -1.0, -2.5, 0.4, False),
]


def weights(steps: int) -> tuple[np.ndarray, np.ndarray]:
    reads = np.full((steps, 4, 4), 0.01)
    read_by = np.full((steps, 4, 4), 1 / steps)
    for at in range(steps):
        reads[at, 0, at % 4] = 0.85
    return reads, read_by


def test_each_step_is_lit_where_it_reads():
    reads, read_by = weights(3)
    figure = reading_figure(IMAGE, ("cow", "$egg$", "STOP"), reads, read_by)
    assert len(figure.axes) == 6
    for at in range(3):
        light = np.asarray(figure.axes[at].images[0].get_array(), float).mean(axis=2)
        assert light[0:10, 10 * at : 10 * at + 10].mean() > 1.5 * light[20:].mean()
        even = np.asarray(figure.axes[3 + at].images[0].get_array())
        assert even.min() == even.max() == 200  # every patch reads all steps alike
        assert figure.axes[3 + at].get_xlabel() == "33 % of all"
    words = reading_words(("cow", "egg", "STOP"), reads, read_by)
    assert "cow: reads the top left most (85 % of its weight on one patch)" in words
    assert "with 33 % of that patch's weight" in words
    show(figure, words)


def test_long_sequences_are_cut_and_a_step_that_reads_nothing_is_dark():
    reads, read_by = weights(9)
    assert len(reading_figure(IMAGE, list("abcdefghi"), reads, read_by).axes) == 14
    dark = reading_figure(IMAGE, ["a"], np.zeros((1, 4, 4)), np.zeros((1, 4, 4)))
    assert np.asarray(dark.axes[0].images[0].get_array()).max() < 60


@pytest.mark.parametrize(("steps", "shape", "other"), [
    ([], (0, 4, 4), (0, 4, 4)), (["a"], (2, 4, 4), (2, 4, 4)), (["a"], (1, 4, 4), (1, 4, 3)),
    (["a"], (4, 4), (4, 4)),
])
def test_shapes_that_do_not_fit_are_named(steps, shape, other):
    with pytest.raises(ValueError, match=r"give two of \(T, h, w\)"):
        reading_figure(IMAGE, steps, np.zeros(shape), np.zeros(other))


def test_marks_stand_at_cost_and_gain_and_names_do_not_lie_on_each_other():
    figure = cost_gain_figure(EARNED, "parameters", "mAP gained")
    axes = figure.axes[0]
    marks = [line for line in axes.lines if line.get_marker() == "o"]
    assert [(m.get_xdata()[0], m.get_ydata()[0]) for m in marks] == [
        (each.cost, each.gain) for each in EARNED]
    assert [m.get_markerfacecolor() == "white" for m in marks] == [False, False, True]
    assert axes.get_xscale() == "log"
    texts = {text.get_text(): text.xyann for text in axes.texts}
    assert texts["2"][1] - texts["1"][1] > 8 and texts["3"][1] == 0
    key = figure.axes[1].texts[0].get_text().split("\n")
    assert [line.split() for line in key] == [["1", "concat"], ["2", "gate"], ["3", "compact"]]
    words = cost_gain_words(EARNED, "parameters", "mAP gained")
    assert "compact: -1.0 [-2.5, +0.4] for 3,000,000 (not shown)" in words
    show(figure, words)


@pytest.mark.parametrize("earned", [[], [Earned("free", 0, 1, 0, 2, True)]])
def test_nothing_to_draw_is_named(earned):
    with pytest.raises(ValueError, match="cost above 0"):
        cost_gain_figure(earned, "parameters", "mAP")


NAMES = ("cow", "egg", "$sun$", "key")
FIRST, SECOND = np.array([0.8, 0.1, 0.3, 0.0]), np.array([0.2, 0.9, 0.3, 0.1])


@pytest.mark.parametrize(("alpha", "first"), [(0.0, "egg"), (1.0, "cow"), (0.5, "cow")])
def test_a_blend_is_drawn_with_both_views_beside_it(alpha, first):
    truth = np.array([1, 0, 0, 1])
    figure = blend_figure(IMAGE, NAMES, FIRST, SECOND, alpha, truth, most=3)
    axes = figure.axes[1]
    said = [label.get_text() for label in axes.get_yticklabels()]
    assert said[0] == first and len(said) == 3
    blend = dict(zip(NAMES, alpha * FIRST + (1 - alpha) * SECOND, strict=True))
    assert [bar.get_width() for bar in axes.patches] == pytest.approx(
        [100 * blend[name] for name in said])
    alone = dict(zip(NAMES, FIRST, strict=True))
    assert axes.lines[0].get_xdata() == pytest.approx([100 * alone[name] for name in said])
    words = blend_words(NAMES, FIRST, SECOND, alpha, truth, most=3)
    assert "cow (there)" in words and "CNN-RNN 80, CLIP 20" in words
    show(figure, words)


@pytest.mark.parametrize(("alpha", "names"), [(1.2, NAMES), (-0.1, NAMES), (0.5, NAMES[:3])])
def test_a_blend_that_makes_no_sense_is_named(alpha, names):
    for draw in (lambda *a: blend_figure(IMAGE, *a), blend_words):
        with pytest.raises(ValueError, match=r"from 0 to 1|give \(L,\)"):
            draw(names, FIRST, SECOND, alpha, np.zeros(4))


def test_a_gate_s_weight_is_counted_scene_by_scene():
    share = np.array([0.02, 0.5, 0.51, 0.97, 0.97])
    axes = gate_figure(share, "CNN-RNN").axes[0]
    heights = [bar.get_height() for bar in axes.patches]
    assert sum(heights) == 5 and heights[0] == 1 and heights[12] == 2 and heights[24] == 2
    words = gate_words(share, "CNN-RNN")
    assert "in 5 scenes: half of them above 51 %" in words
    show(gate_figure(share, "CNN-RNN"), words)
    assert gate_figure(share, "x", what="labels").axes[0].get_ylabel() == "labels"
    assert "in 5 labels" in gate_words(share, "x", "labels")
    assert sum(bar.get_height() for bar in gate_figure([0.0, 1.0], "x").axes[0].patches) == 2


@pytest.mark.parametrize("share", [[], [[0.5]], [1.2], [float("nan")]])
def test_what_is_no_share_is_named(share):
    with pytest.raises(ValueError, match="from 0 to 1 for each, "):
        gate_figure(share, "CNN-RNN")


def test_what_a_study_s_variants_earn_is_what_was_recorded():
    record = recorded("dial_075")
    rows = {row["name"]: row for row in record["metrics"]["mean_ap"]["rows"]}
    costs = {name: [{"cost": 10.0 * at + 1}] for at, name in enumerate(rows)}
    found = earned_of({**record, "extra": costs}, list(rows), "cost")
    for at, each in enumerate(found):
        change = rows[each.name]["comparison"]
        assert each.cost == 10 * at + 1
        assert each.gain == (100 * change["value"] if change else 0)
        assert each.shown == (change is None or change["verdict"] in ("better", "worse"))
    cost_gain_figure(found, "cost", "mAP gained")
    with pytest.raises(ValueError, match="unknown variant 'magic'"):
        earned_of({**record, "extra": costs}, ["magic"], "cost")
    with pytest.raises(ValueError, match="tells no 'weight'; it tells cost"):
        earned_of({**record, "extra": costs}, list(rows), "weight")
    with pytest.raises(ValueError, match="'beauty' was not recorded"):
        earned_of({**record, "extra": costs}, list(rows), "cost", "beauty")
