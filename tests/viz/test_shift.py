"""Figures of a change of style: what they say is what was given, and whose art they show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hybridlab.ablation.findings import Analysis, Comparison, Row
from hybridlab.data.scenes import SceneDataset
from hybridlab.data.world import LABEL_NAMES, STYLES, SceneConfig
from hybridlab.viz.notebook import has_title
from hybridlab.viz.shift import Shift, shift_figure, shift_words, shifts_of, style_sheet

SHIFTS = [
    Shift("CNN", "grey", 0.50, 0.40, -0.10, -0.12, -0.08, True),
    Shift("CNN", "openmoji", 0.50, 0.10, -0.40, -0.45, -0.35, True),
    Shift("CLIP", "grey", 0.60, 0.59, -0.01, -0.03, 0.01, False),
    Shift("CLIP", "openmoji", 0.60, 0.30, -0.30, -0.35, -0.25, True),
]


def words(figure):
    return " ".join(text.get_text() for text in [
        *figure.texts, *(text for axes in figure.axes for text in [axes.title, *axes.texts]),
        *([figure._suptitle] if figure._suptitle else []),
    ])


def test_a_shift_figure_orders_models_by_what_they_keep():
    figure = shift_figure(SHIFTS)
    assert has_title(figure)
    assert "“CLIP” keeps 50 %" in words(figure) and "“CNN” 20 %" in words(figure)
    left, right = figure.axes
    assert [text.get_text() for text in left.get_yticklabels()] == ["CLIP", "CNN"]
    marks = [line for line in right.lines if line.get_marker() not in ("None", "")]
    assert sorted(float(line.get_xdata()[0]) for line in marks) == pytest.approx(
        [-40, -30, -10, -1]
    )
    open_ = [line for line in marks if line.get_markerfacecolor() == "white"]
    assert [float(line.get_xdata()[0]) for line in open_] == pytest.approx([-1])
    spans = [line.get_xdata() for line in right.lines if len(line.get_xdata()) == 2]
    assert [-45, -35] in [pytest.approx(list(span)) for span in spans]
    at = {float(line.get_xdata()[0]) for line in left.lines if len(line.get_xdata()) == 1}
    assert {round(value) for value in at} == {60, 59, 30, 50, 40, 10}


def test_words_hold_every_figure():
    told = shift_words(SHIFTS)
    assert told.index("CLIP") < told.index("CNN")
    for part in ("60.0 in colour", "another artist 30.0 (-30.0, 95 % interval -35.0 to -25.0)",
                 "grey 59.0 (-1.0, 95 % interval -3.0 to +1.0)"):
        assert part in told


@pytest.mark.parametrize(
    ("shifts", "said"),
    [
        ([], "no shift"),
        (SHIFTS[:3], "'CLIP' has not all of the styles"),
        ([SHIFTS[0]._replace(style="oil")], "oil"),
        ([SHIFTS[0]._replace(style="colour")], "colour"),
    ],
)
def test_what_cannot_be_drawn_is_refused(shifts, said):
    with pytest.raises(ValueError, match=said):
        shift_figure(shifts)


def test_one_model_that_knew_nothing_is_drawn():
    figure = shift_figure([SHIFTS[1]._replace(before=0.0, after=0.0)])
    assert "CNN keeps 0 %" in words(figure)


def _recorded():
    """A record as `hybridlab reproduce` writes it, of two models in two styles."""
    def row(model, style, mean, value=None):
        comparison = None if value is None else Comparison(
            value, value - 0.02, value + 0.02, (0, 1), (value, value), 0.01, 0.02, 0, 0, 0, 0,
            float("nan"), 0.01, None, "worse", "words",
        )
        return Row(f"model={model}, style={style}", mean, mean, mean, (0, 1), (mean, mean), 0, 0.0,
                   comparison, 0.0, 0.0, levels={"model": model, "style": style})

    def analysis(model, rows):
        return Analysis("styles", "?", "mean_ap", f"model={model}, style=colour", (0, 1), 0.95,
                        100, 0, 10, rows, None, (), (), (), {}, (), (), {}, {}, "cpu", "", "", "")

    cnn = analysis("CNN", (
        row("CNN", "colour", 0.5), row("CNN", "openmoji", 0.2, -0.3),
        row("CLIP", "colour", 0.6, 0.1), row("CLIP", "openmoji", 0.5, 0.0),
    ))
    clip = analysis("CLIP", (
        row("CNN", "colour", 0.5, -0.1), row("CNN", "openmoji", 0.2, -0.4),
        row("CLIP", "colour", 0.6), row("CLIP", "openmoji", 0.5, -0.1),
    ))
    return {"also": {each.reference: each.to_json() for each in (cnn, clip)}}, cnn


def test_shifts_are_read_from_a_record():
    record, cnn = _recorded()
    found = shifts_of(record)
    assert [(each.model, each.style, each.before, each.after) for each in found] == [
        ("CNN", "openmoji", 0.5, 0.2), ("CLIP", "openmoji", 0.6, 0.5)
    ]
    assert [(each.change, each.shown) for each in found] == [(-0.3, True), (-0.1, True)]
    assert found[0].low == pytest.approx(-0.32) and found[0].high == pytest.approx(-0.28)
    for empty in ({}, {"also": {}}):
        with pytest.raises(ValueError, match="ALSO_AGAINST"):
            shifts_of(empty)
    lost = replace(cnn, rows=(cnn.rows[0], replace(cnn.rows[1], comparison=None)))
    with pytest.raises(ValueError, match="was not compared"):
        shifts_of({"also": {cnn.reference: lost.to_json()}})


def test_a_style_sheet_shows_the_same_scenes_and_says_whose_art_it_is():
    scenes = {
        style: [SceneDataset(2, "test", SceneConfig(style=style))[index] for index in range(2)]
        for style in STYLES
    }
    figure = style_sheet(scenes, LABEL_NAMES)
    told = words(figure)
    assert has_title(figure) and len(figure.axes) == 2 * len(STYLES)
    assert "OpenMoji art: openmoji.org, CC BY-SA 4.0" in told
    assert "Twemoji art" in told and "This figure: CC BY-SA 4.0" in told
    for row, column in ((0, 0), (1, 3)):
        shown = figure.axes[row * len(STYLES) + column].images[0].get_array()
        assert np.array_equal(shown, scenes[STYLES[column]][row].image)
    present = LABEL_NAMES[int(np.flatnonzero(scenes["colour"][0].targets > 0)[0])]
    assert present in told
    plain = words(style_sheet({"colour": scenes["colour"]}, LABEL_NAMES))
    assert "OpenMoji" not in plain and "This figure" not in plain and "Twemoji art" in plain
    with pytest.raises(ValueError, match="not those in 'colour'"):
        style_sheet({"colour": scenes["colour"], "grey": scenes["grey"][::-1]}, LABEL_NAMES)
    with pytest.raises(ValueError, match="not those in 'colour'"):
        style_sheet({"colour": scenes["colour"], "grey": scenes["grey"][:1]}, LABEL_NAMES)
    for empty in ({}, {"colour": []}):
        with pytest.raises(ValueError, match="no scene"):
            style_sheet(empty, LABEL_NAMES)
    with pytest.raises(ValueError, match="unknown styles"):
        style_sheet({"oil": scenes["colour"]}, LABEL_NAMES)
