"""Pictures show what the verdicts say, and no text is cut off or covers another."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from hybridlab.ablation.drawing import COLOURS, QUIET, middle_cut, short
from hybridlab.ablation.findings import Analysis, Cell, Effect
from hybridlab.ablation.plots import (
    cost_plot,
    cost_words,
    forest_plot,
    forest_words,
    interaction_plot,
    interaction_words,
)
from hybridlab.viz.notebook import has_title

from .test_tables import analysis, comparison, row

LONG = "a variant with a name of many words that goes on for longer than anybody would like, tuned"
HOSTILE = r"$\frac{1}{2}_x^ <b>&amp; 50%"


@pytest.fixture
def several() -> Analysis:
    return analysis(
        row("plain"),
        row("good", 0.66, comparison(0.05, 0.03, 0.07, "better", per_seed=(0.04, 0.06)),
            parameters=5000),
        row(LONG, 0.60, comparison(-0.01, -0.03, 0.01, "no difference shown"), parameters=0),
        row("bad", 0.55, comparison(-0.06, -0.08, -0.04, "worse"), parameters=9_000_000),
        row(HOSTILE, 0.66, comparison(0.05, 0.02, 0.08, "better"), parameters=5000),
        row("x" * 120, 0.66, comparison(0.05, 0.02, 0.08, "better"), parameters=5001),
        row("never run", math.nan, seeds=(), values=(), parameters=None, seconds=math.nan),
    )


@pytest.fixture
def grid(several) -> Analysis:
    levels = {"fusion": ["late", LONG], "$lr$": ["0.1", "0.01", "0.001"]}
    cells = tuple(
        Cell(("fusion", "$lr$"), (a, b), 0.5 + 0.1 * i, 0.45 + 0.1 * i, 0.56 + 0.1 * i)
        for i, (a, b) in enumerate(itertools.product(*levels.values()))
    )
    return replace(several, cells=cells, factors=levels)


def texts_of(figure):
    """Every text that is drawn, and its box."""
    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    unseen = set()
    for axis in figure.findobj(Axis):
        low, high = sorted(axis.get_view_interval())
        for tick in axis.get_major_ticks():
            if not low <= tick.get_loc() <= high:  # kept, but not drawn
                unseen |= {tick.label1, tick.label2}
    found = {}
    for text in figure.findobj(Text):
        if text.get_text().strip() and text.get_visible() and text not in unseen:
            box = Text.get_window_extent(text)  # of the letters, without an annotation's line
            found[tuple(box.extents)] = (text.get_text(), box)
    return list(found.values())


@pytest.mark.parametrize(
    "draw",
    [forest_plot, cost_plot, lambda a: cost_plot(a, "parameters"),
     lambda a: cost_plot(a, "seconds"), interaction_plot,
     lambda a: interaction_plot(a, ("$lr$", "fusion"))],
)
@pytest.mark.parametrize("metric", ["mean_ap", "coverage", "macro_f1@12:prob>=0.5"])
def test_no_text_is_cut_off_or_covers_another(grid, draw, metric):
    figure = draw(replace(grid, metric=metric))
    assert has_title(figure) or any(has_title(part) for part in figure.subfigs)
    width, height = figure.bbox.size
    boxes = texts_of(figure)
    assert len(boxes) > 8
    for text, box in boxes:
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, text
    for (one, a), (two, b) in itertools.combinations(boxes, 2):
        wide, high = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(wide, high) < 2, f"{one!r} covers {two!r}"


def test_the_forest_has_a_mark_by_verdict_and_a_tick_for_each_seed(several):
    figure = forest_plot(several)
    axes = figure.axes[0]
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert len(labels) == 5 and labels[0] == "good" and labels[1] == short(LONG)
    marks = [line for line in axes.lines if line.get_marker() in "os" and line.get_marker()]
    shown = [(line.get_marker(), line.get_color(), line.get_markerfacecolor()) for line in marks]
    assert shown[0] == ("o", COLOURS["better"], COLOURS["better"])
    assert shown[1] == ("o", QUIET, "white")
    assert shown[2] == ("s", COLOURS["worse"], COLOURS["worse"])
    assert [line.get_xdata()[0] for line in marks] == pytest.approx([5, -1, -6, 5, 5])
    seeds = [line for line in axes.lines if line.get_marker() == "|"]
    assert list(seeds[0].get_xdata()) == pytest.approx([4, 6])
    assert any(list(line.get_xdata()) == [0, 0] for line in axes.lines)  # the line at 0
    assert figure.get_suptitle() == "4 of 5 variants differ from “plain” in mAP"


def test_titles_follow_the_verdicts(several, grid):
    nothing = replace(several, rows=several.rows[:1] + several.rows[2:3])
    assert forest_plot(nothing).get_suptitle() == "No difference to “plain” in mAP is shown"
    assert "One seed" in forest_plot(replace(several, seeds=(0,))).get_suptitle()
    assert interaction_plot(grid).get_suptitle().startswith("No interaction of “fusion”")
    effect = Effect(("fusion", "$lr$"), ("late", "0.1"), ("x", "0.01"),
                    comparison(0.1, 0.05, 0.15, "better"))
    told = interaction_plot(replace(grid, interactions=(effect,))).get_suptitle()
    assert "depends on each other" in told


def test_cost_points_stand_at_their_cost_and_difference(several):
    figure = cost_plot(several)
    for axes, costs in zip(figure.subfigs[0].axes, ([1234, 5000, 0, 9e6, 5000, 5001], [75] * 6),
                           strict=True):
        marks = [line for line in axes.lines if line.get_marker() in ("o", "s", "D")]
        assert [float(line.get_xdata()[0]) for line in marks] == pytest.approx(costs)
        heights = [float(line.get_ydata()[0]) for line in marks]
        assert heights == pytest.approx([0, 5, -1, -6, 5, 5])
        assert [text.get_text() for text in axes.texts] == list("123456")
    key = [text.get_text().strip() for text in figure.subfigs[1].texts]
    assert key[0] == "1  plain" and key[4] == f"5  {HOSTILE}" and len(key) == 7


def test_costs_that_differ_by_noise_have_no_axis_that_blows_them_up(several):
    rows = tuple(replace(row, seconds=75 + 0.01 * at, parameters=100_000 + at)
                 for at, row in enumerate(several.rows))
    figure = cost_plot(replace(several, rows=rows))
    for axes, least in zip(figure.subfigs[0].axes, (10_000, 10), strict=True):
        low, high = axes.get_xlim()
        assert high - low >= least
    apart = tuple(replace(row, seconds=75 + at) for at, row in enumerate(several.rows))
    low, high = cost_plot(replace(several, rows=apart), "seconds").subfigs[0].axes[0].get_xlim()
    assert high - low < 8


def test_interaction_lines_join_the_means(grid):
    axes = interaction_plot(grid).axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["late", short(LONG, 35)]
    lines = [bars.lines[0] for bars in axes.containers]
    assert [list(np.round(line.get_ydata())) for line in lines] == [[50, 80], [60, 90], [70, 100]]
    styles = {(line.get_marker(), line.get_linestyle()) for line in lines}
    assert len(styles) == 3  # told apart without colour


def test_words_tell_what_the_pictures_show(several, grid):
    assert f"{LONG}: -1.00 points" in forest_words(several)
    assert "bad: 9.00 M trainable parameters, 1.2 min, -6.00 points" in cost_words(several)
    assert "never run" not in cost_words(several)
    assert "fusion=late, $lr$=0.1: 50.0 [45.0, 56.0]" in interaction_words(grid)


def test_what_cannot_be_drawn_is_refused(several):
    alone = replace(several, rows=several.rows[:1])
    for draw in (forest_plot, cost_plot):
        with pytest.raises(ValueError, match="no variant can be compared with 'plain'"):
            draw(alone)
    with pytest.raises(ValueError, match="cost is 'money'"):
        cost_plot(several, "money")
    with pytest.raises(ValueError, match="no two factors"):
        interaction_plot(several)


def test_an_unknown_pair_of_factors_is_refused(grid):
    with pytest.raises(ValueError, match="choose one of"):
        interaction_plot(grid, ("fusion", "colour"))


def test_names_are_cut_in_lines_or_in_the_middle():
    assert short("one two three four", 9) == "one two\nthree\nfour"
    assert short("x" * 100, 10).splitlines() == ["x" * 10, "x" * 10, "x" * 9 + "…"]
    assert middle_cut("fusion=gate, lr=0.001", 13) == "fusion…=0.001"
    assert middle_cut("short", 13) == "short"
    assert len(middle_cut("y" * 50, 20)) == 20
