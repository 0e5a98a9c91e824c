"""Heatmaps of words: in the right place, on one scale, and live text boxes that bear any text."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybridlab.encoders.clip import build_tiny_clip
from hybridlab.encoders.preprocessing import Preprocessing
from hybridlab.viz.explore import VIEW, explore_text, told_not_raised
from hybridlab.viz.heatmap import (
    MOST,
    heatmap_figure,
    heatmap_words,
    scene_scored,
    scored_words,
    typed_words,
    word_heat,
)
from hybridlab.viz.notebook import has_title, show
from hybridlab.viz.words import room_for_bars, word_figure, word_scores

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)


def spot(row: int, column: int) -> np.ndarray:
    heat = np.zeros((40, 60))
    heat[row, column] = 0.5
    return heat


def titles(figure):
    found = [axes.title for axes in figure.axes]
    top = [figure._suptitle] if figure._suptitle else []
    return " ".join(text.get_text() for text in [*found, *figure.texts, *top])


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    return build_tiny_clip(pretrained=False)


def test_every_phrase_has_its_own_panel_on_one_scale():
    heat = np.stack([spot(1, 1), 2 * spot(39, 59) - 0.1])
    figure = heatmap_figure(IMAGE, heat, ["a cow", "an owl"])
    assert "“a cow”, at most 0.50" in titles(figure) and "“an owl”, at most 0.90" in titles(figure)
    maps = [axes.images[1] for axes in figure.axes if len(axes.images) == 2]
    assert [tuple(one.get_clim()) for one in maps] == [(-0.1, 0.9)] * 2
    for one, given in zip(maps, heat, strict=True):
        assert np.array_equal(one.get_array(), given)
    grey = next(axes.images[0] for axes in figure.axes if len(axes.images) == 2)
    assert np.allclose(grey.get_array(), IMAGE.mean(axis=2))
    told = heatmap_words(heat, ["a cow", "an owl"])
    assert "“a cow” fits best at the top left, with 0.50" in told and "bottom right" in told
    show(figure, told)


def test_one_phrase_and_what_a_crop_leaves_bare():
    heat = spot(20, 30)
    heat[:, :10] = np.nan
    figure = heatmap_figure(IMAGE, heat, "a cow")
    shown = figure.axes[1].images[1].get_array()
    assert np.ma.getmaskarray(shown)[:, :10].all() and not np.ma.getmaskarray(shown)[:, 10:].any()
    assert "middle centre" in heatmap_words(heat, "a cow") and has_title(figure)


@pytest.mark.parametrize(
    ("heat", "words", "told"),
    [
        (np.zeros((40, 60)), ["a", "b"], "for 2 phrases"),
        (np.zeros((1, 40, 59)), ["a"], r"shape \(1, 40, 59\)"),
        (np.zeros((0, 40, 60)), [], "for 0 phrases"),
        (np.zeros((9, 40, 60)), ["a"] * 9, f"give 1 to {MOST} phrases"),
        (np.full((40, 60), np.nan), "a", "heat of 'a' is NaN"),
    ],
)
def test_heat_that_does_not_fit_is_refused(heat, words, told):
    with pytest.raises(ValueError, match=told):
        heatmap_figure(IMAGE, heat, words)


def test_bars_are_the_scores_and_the_heat_is_of_the_best():
    heat = np.stack([spot(1, 1), spot(2, 2), spot(3, 3)])
    scores = [0.1, 0.4, -0.2]
    figure = scene_scored(IMAGE, ["a", "b", "c"], scores, heat)
    bars = figure.axes[2].patches
    assert [bar.get_width() for bar in bars] == sorted(scores)
    assert "finds “b” the best fit" in titles(figure) and "where: “b”" in titles(figure)
    assert np.array_equal(figure.axes[1].images[1].get_array(), heat[1])
    other = scene_scored(IMAGE, ["a", "b", "c"], scores, heat, at=2)
    assert np.array_equal(other.axes[1].images[1].get_array(), heat[2])
    assert len(scene_scored(IMAGE, ["a"], [0.3]).axes) == 2
    assert scored_words(["a", "b", "c"], scores).endswith("b 0.40, a 0.10, c -0.20.")
    for call, told in (
        (lambda: scene_scored(IMAGE, ["a"], [0.1, 0.2]), r"scores has shape \(2,\)"),
        (lambda: scene_scored(IMAGE, [], []), "give 1 to"),
        (lambda: scene_scored(IMAGE, ["a"], [0.1], at=1), "at is 1"),
        (lambda: scene_scored(IMAGE, ["a"], [0.1], heat), "for 1 phrases"),
    ):
        with pytest.raises(ValueError, match=told):
            call()


def test_typed_words_are_parted_at_commas():
    assert typed_words(" a cow,, an owl , A COW") == ("a cow", "an owl")
    for text in ("", " , ", ",".join("abcdefghi")):
        with pytest.raises(ValueError, match="with commas between them"):
            typed_words(text)


@pytest.mark.parametrize("mode", ["squash", "crop", "pad"])
def test_heat_comes_from_the_encoders_own_patches(tiny, mode):
    tiny.preprocessing = Preprocessing(image_size=96, resize_mode=mode)
    scores, heat = word_heat(tiny, IMAGE, ["a cow", "an owl"])
    assert heat.shape == (2, 40, 60) and scores.shape == (2,)
    assert np.allclose(scores, word_scores(tiny, IMAGE, ["a cow", "an owl"]), atol=1e-6)
    assert np.isnan(heat).any() == (mode == "crop")
    assert (np.nanmax(heat, axis=(1, 2)) <= scores + 1e-6).all()
    _, finer = word_heat(tiny, IMAGE, ["a cow"], image_size=192)
    assert finer.shape == (1, 40, 60) and not np.allclose(finer, heat[:1], equal_nan=True)
    with pytest.raises(ValueError, match="labels is empty"):
        word_heat(tiny, IMAGE, [])


def test_what_someone_typed_is_read_whole_or_told(tiny):
    with pytest.raises(TypeError, match="one string 'cow'"):
        word_heat(tiny, IMAGE, "cow")
    with pytest.raises(ValueError, match="very cow' is cut off"):
        word_heat(tiny, IMAGE, ["very " * 100 + "cow"])


def test_a_dollar_begins_no_formula(tmp_path):
    words, heat = [r"a $\foo$ bill", "a cow"], np.random.default_rng(0).random((2, 40, 60))
    scene_scored(IMAGE, words, [0.2, 0.1], heat).savefig(tmp_path / "scored.png")
    heatmap_figure(IMAGE, heat, words).savefig(tmp_path / "heat.png")
    word_figure(IMAGE, words, np.array([0.2, 0.1])).savefig(tmp_path / "words.png")
    assert len(list(tmp_path.iterdir())) == 3


def test_a_reader_without_a_kernel_finds_the_first_words_scored(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *a, **k: shown.append((a, k)))
    asked = []

    def draw(text):
        words = typed_words(text)
        asked.append(words)
        return show(scene_scored(IMAGE, words, [0.1] * len(words)), scored_words(words, [0.1]))

    explore_text(draw, text="a cow")
    (data,), options = shown[-1]
    assert asked[0] == ("a cow",) and options["raw"] and VIEW in data
    assert data["image/png"] and "a cow 0.10" in options["metadata"]["image/png"]["alt"]
    assert "text boxes for text" in data["text/plain"]
    # what a reader types next may be refused, and is told in the picture's place
    live = told_not_raised(draw)
    assert "with commas between them" in str(live(text=" , ").data)
    assert live(text="a cow").alt
    with pytest.raises(ZeroDivisionError):  # a fault of the code is no refusal
        told_not_raised(lambda text: 1 / 0)(text="")
    with pytest.raises(ValueError, match="with commas"):  # nor may the first text be refused
        explore_text(draw, text=",")


@pytest.mark.parametrize("texts", [{}, {"text": " "}])
def test_text_boxes_begin_with_a_text(texts):
    with pytest.raises(ValueError, match="a first text"):
        explore_text(lambda **now: None, **texts)


def test_numbers_of_bars_have_room_on_either_side():
    assert room_for_bars(np.array([0.2, 0.6])) == pytest.approx((0.0, 0.71))
    low, high = room_for_bars(np.array([-0.02, 0.6]))
    assert low < -0.1 and high > 0.7
