"""The figure of score against compute: it draws what it is given, and says it in words."""

from __future__ import annotations

import numpy as np
import pytest

from hybridlab.viz.compute import (
    SPOKEN,
    ComputePoint,
    compute_figure,
    compute_points,
    compute_words,
)
from hybridlab.viz.notebook import has_title

POINTS = [
    ComputePoint(method, budget, mean, mean - 0.02, mean + 0.03)
    for method, means in {"clip": (0.1, 0.2), "bow": (0.15, 0.19), "prefix": (0.05, 0.19)}.items()
    for budget, mean in zip((2.0, 4.0), means, strict=True)
]


def test_lines_and_intervals_are_those_of_the_points():
    axes = compute_figure(POINTS[::-1]).axes[0]
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["2", "4"]
    drawn = [line.get_ydata() for line in axes.lines]
    wanted = [[5, 19], [15, 19], [10, 20]]  # in the order given
    assert all(np.allclose(a, b) for a, b in zip(drawn, wanted, strict=True))
    for line in axes.lines:  # beside the budget by little, so that intervals stay apart
        assert np.allclose(line.get_xdata(), [2, 4], rtol=0.05)
    ends = [segment[:, 1] for each in axes.collections for segment in each.get_segments()]
    assert any(np.allclose(end, [18, 23]) for end in ends) and len(ends) == 6
    assert len({line.get_color() for line in axes.lines}) == 3
    assert len({str(line.get_linestyle()) + line.get_marker() for line in axes.lines}) == 3


def test_names_stand_at_the_ends_and_apart():
    figure = compute_figure(POINTS)
    assert has_title(figure) and "4 TFLOP buy most with contrastive (CLIP)" in (
        figure.axes[0].get_title())
    named = {text.get_text(): text.xy[1] for text in figure.axes[0].texts}
    assert set(named) == {SPOKEN[name] for name in ("clip", "bow", "prefix")}
    heights = sorted(named.values())
    low, high = figure.axes[0].get_ylim()
    assert np.diff(heights).min() > (high - low) / 17
    assert named[SPOKEN["clip"]] == max(heights)


def test_chance_is_drawn_where_it_is_given():
    plain, marked = compute_figure(POINTS), compute_figure(POINTS, chance=0.04)
    assert len(marked.axes[0].lines) == len(plain.axes[0].lines) + 1
    assert any(np.allclose(line.get_ydata(), 4) for line in marked.axes[0].lines)
    assert "by chance" in [text.get_text() for text in marked.axes[0].texts]


def test_words_tell_every_point():
    told = compute_words(POINTS)
    for each in POINTS:
        ends = f"[{100 * each.low:.1f}, {100 * each.high:.1f}]"
        assert f"{100 * each.mean:.1f} % {ends} at {each.tflop:g}" in told


def test_points_are_read_from_a_record():
    rows = [
        {"name": "a", "mean": 0.2, "low": 0.1, "high": 0.3, "changes": {}},
        {"name": "b", "mean": 0.1, "low": 0.0, "high": 0.2, "changes": {"method": "bow",
                                                                        "budget": 2}},
        {"name": "c", "mean": 0.4, "low": 0.3, "high": 0.5, "changes": {"prior": True}},
    ]
    recipe = {"method": "clip", "budget": 8, "prior": False}
    recorded = {"metrics": {"mean_ap": {"recipe": recipe, "rows": rows}}}
    assert compute_points(recorded) == [
        ComputePoint("clip", 8.0, 0.2, 0.1, 0.3), ComputePoint("bow", 2.0, 0.1, 0.0, 0.2)
    ]
    with pytest.raises(KeyError, match="recorded are mean_ap"):
        compute_points(recorded, "of1")


@pytest.mark.parametrize(
    ("points", "told"),
    [
        ([], "got 0 methods"),
        ([ComputePoint(str(at), 1.0, 0.1, 0.0, 0.2) for at in range(6)], "got 6 methods"),
        ([ComputePoint("clip", 0.0, 0.1, 0.0, 0.2)], "compute above 0"),
        ([ComputePoint("clip", 1.0, float("nan"), 0.0, 0.2)], "finite scores"),
        ([POINTS[0], POINTS[0]], "'clip' has two points at one budget"),
    ],
)
def test_what_cannot_be_drawn_is_refused(points, told):
    with pytest.raises(ValueError, match=told):
        compute_figure(points)
