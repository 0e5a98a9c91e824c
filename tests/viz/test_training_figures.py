"""Figures of lesson 06 draw what they are given."""

from __future__ import annotations

import numpy as np
import pytest

from hybridlab.course import recorded
from hybridlab.data.scenes import SceneDataset
from hybridlab.training.augmentation import AUGMENTATIONS, Augmentation
from hybridlab.training.reports import EpochReport
from hybridlab.viz.augmented import augmented_figure, augmented_words
from hybridlab.viz.curves import curves_figure, curves_words
from hybridlab.viz.forgetting import forgetting_figure, forgetting_words, kept_of
from hybridlab.viz.rates import rates_figure, rates_words


def test_a_lost_label_is_told_above_the_picture():
    scenes = SceneDataset(6)
    names, sample = scenes.vocabulary.names, max(scenes, key=lambda each: len(each.objects))
    tiny = Augmentation(scale=(0.05, 0.08), inside=0.9)
    changes = [("crop", tiny), ("colour", AUGMENTATIONS["colour"])]
    figure = augmented_figure(sample, names, changes, draws=3)
    assert len(figure.axes) == 8
    assert len(figure.axes[0].patches) == len(sample.objects)
    lost = [axes.get_title() for axes in figure.axes[1:4]]
    assert all(title.startswith("lost: ") for title in lost)
    assert not any(axes.get_title() for axes in figure.axes[5:])
    shown = np.asarray(figure.axes[5].images[0].get_array())
    assert shown.shape == sample.image.shape and not np.array_equal(shown, sample.image)
    words = augmented_words(sample, names, changes, draws=3)
    assert "colour: 0 labels lost in 3 pictures" in words and "crop: " in words
    with pytest.raises(ValueError, match="0 augmentations"):
        augmented_figure(sample, names, [])


def test_curves_have_a_line_where_a_stage_begins():
    runs = {
        "gently": [EpochReport("one", 0, 5, 0.2, True), EpochReport("one", 1, 10, 0.4, True),
                   EpochReport("two", 0, 15, 0.6, True)],
        "frozen": [EpochReport("one", 0, 5, 0.2, True)],
    }
    figure = curves_figure(runs, "Two ways")
    axes = figure.axes[0]
    assert axes.lines[0].get_ydata().tolist() == pytest.approx([20, 40, 60])
    assert [line.get_xdata()[0] for line in axes.lines[2:]] == [10]
    assert "gently: 40.0 after one, 60.0 after two; frozen: 20.0 after one" in curves_words(runs)
    with pytest.raises(ValueError, match="with an epoch or more"):
        curves_figure({"none": []}, "")


NAMED = {
    "concat": [{"naming_before": 0.5, "naming_after": 0.4},
               {"naming_before": 0.5, "naming_after": 0.44}],
    "gate": [{"naming_before": 0.5, "naming_after": 0.02},
             {"naming_before": 0.5, "naming_after": 0.04}],
}


def test_what_is_kept_stands_beside_what_was_gained():
    record = {**recorded("fusions"), "extra": NAMED}
    kept = kept_of(record, ["gate", "concat"])
    assert kept[0].naming == (0.02, 0.04) and kept[1].before == 0.5
    assert 0.5 < kept[1].mean_ap < 1
    figure = forgetting_figure(kept, "What is kept")
    left, right = figure.axes
    assert [bar.get_width() for bar in right.patches] == pytest.approx([3, 42])
    assert [label.get_text() for label in left.get_yticklabels()] == ["gate", "concat"]
    assert right.lines[0].get_xdata().tolist() == pytest.approx([2, 4])
    words = forgetting_words(kept)
    assert words.startswith("Before tuning the tower names 50 %")
    assert "names 3 % afterwards" in words
    with pytest.raises(ValueError, match=r"no naming was recorded of \['late'\]"):
        kept_of(record, ["late"])
    with pytest.raises(ValueError, match="kept is empty"):
        forgetting_figure([], "")


def test_a_schedule_is_a_line():
    shares = {"falls": [1.0, 0.5, 0.0], "rises": [0.1, 0.9]}
    figure = rates_figure(shares, "Two schedules")
    assert [list(line.get_ydata()) for line in figure.axes[0].lines] == list(shares.values())
    assert "falls: begins at 1.00, is highest at step 0, ends at 0.00" in rates_words(shares)
    with pytest.raises(ValueError, match="shares is empty"):
        rates_figure({"none": []}, "")
