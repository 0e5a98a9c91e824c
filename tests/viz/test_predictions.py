"""The figure of scenes says what was found, missed and wrong, in words that never overlap."""

from __future__ import annotations

import itertools
import os
import sys

import matplotlib
import numpy as np
import pytest
from PIL import Image

from hybridlab.data.sample import Vocabulary
from hybridlab.viz.predictions import (
    COLOURS,
    MOST_LINES,
    in_words,
    prediction_figure,
    save_figure,
)

LABELS = Vocabulary([f"table tennis paddle {letter}" for letter in "abcdefghijkl"])
GREY = np.full((20, 20, 3), 128, np.uint8)


def figure_of(targets, decisions, probs=None, images=None, labels=LABELS, **options):
    targets, decisions = np.atleast_2d(targets), np.atleast_2d(decisions)
    shape = (len(targets), len(labels))
    targets, decisions = (np.resize(part, shape) if part.size == 1 else part
                          for part in (targets, decisions))
    probs = np.full(shape, 0.5) if probs is None else np.atleast_2d(probs)
    images = [GREY] * shape[0] if images is None else images
    return prediction_figure(images, labels, targets, decisions, probs, **options)


def written(figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def rows_of(figure) -> list[str]:
    """Sign, probability and name of each line as one text, in order."""
    texts = written(figure)[1:]
    found = [
        " ".join((texts[at], texts[at + 2], texts[at + 1]))
        for at in range(len(texts)) if texts[at] in "+−×?"
    ]
    return found


def test_each_kind_has_its_sign_its_word_and_its_colour():
    labels = Vocabulary(["cow", "egg", "bus", "owl", "pig"])
    figure = figure_of(
        [1, 1, 0, 0, -1], [1, 0, 1, 0, 1], [0.9, 0.1, 0.7, 0.2, 0.6], labels=labels
    )
    assert rows_of(figure) == [
        "+ cow 0.90", "− egg (missed) 0.10", "× bus (wrong) 0.70", "? pig (not annotated) 0.60"
    ]
    assert "owl" not in " ".join(written(figure))
    colour = {text.get_text(): text.get_color() for text in figure.texts}
    assert colour["cow"] == COLOURS["found"]
    assert colour["egg (missed)"] == COLOURS["missed"]
    assert colour["bus (wrong)"] == COLOURS["wrong"]
    assert len(set(COLOURS.values())) == 4
    assert written(figure)[0] == "1 of 2 labels found, 1 missed, 1 wrongly given"


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_every_colour_is_readable_on_white():
    for colour in COLOURS.values():
        assert 1.05 / (_luminance(colour) + 0.05) >= 4.5  # WCAG AA


def test_labels_of_a_kind_stand_in_order_of_probability():
    labels = Vocabulary(["a", "b", "c"])
    figure = figure_of([1, 1, 1], [1, 1, 1], [0.5, 0.9, 0.5], labels=labels)
    assert rows_of(figure) == ["+ b 0.90", "+ a 0.50", "+ c 0.50"]


@pytest.mark.parametrize("scenes", [1, 2, 4, 5, 12])
@pytest.mark.parametrize("kind", ["missed", "wrong"])
def test_no_text_meets_another_or_leaves_the_figure(scenes, kind):
    targets = np.zeros((scenes, 12))
    targets[:, :6] = kind == "missed"
    decisions = np.zeros((scenes, 12), bool)
    decisions[:, :6] = kind == "wrong"
    decisions[0] = True
    figure = figure_of(targets, decisions, np.full((scenes, 12), 0.88))
    boxes = [text.get_window_extent() for text in figure.texts]
    pictures = [axes.get_window_extent() for axes in figure.axes]
    assert len(pictures) == scenes
    for box in boxes:
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1
    for one, other in itertools.combinations([*boxes, *pictures], 2):
        wide = min(one.x1, other.x1) - max(one.x0, other.x0)
        high = min(one.y1, other.y1) - max(one.y0, other.y0)
        # a line's box holds room for letters above and below: neighbours may share 2 pixels
        assert wide <= 0 or high <= 2, (one, other)


def test_a_full_scene_says_how_many_lines_are_left_out():
    figure = figure_of(np.ones(12), np.ones(12, bool))
    assert len(rows_of(figure)) == MOST_LINES - 1
    assert f"and {12 - MOST_LINES + 1} more" in written(figure)


def test_a_name_too_long_is_cut_and_keeps_its_word():
    labels = Vocabulary(["x" * 200])
    (row,) = rows_of(figure_of([[1]], [[False]], labels=labels))
    assert row.endswith("… (missed) 0.50") and "xxxxx" in row


def test_a_name_is_never_a_formula():
    labels = Vocabulary(["$5 and $\\frac"])
    figure = figure_of([[1]], [[True]], labels=labels)
    assert "$5 and $\\frac" in written(figure)
    figure.canvas.draw()


def test_a_scene_without_labels_says_so():
    assert "no labels, and none given" in written(figure_of(np.zeros(12), np.zeros(12, bool)))


def test_images_of_any_size_keep_their_shape():
    images = [np.zeros((1, 1, 3), np.uint8), np.zeros((4, 40, 3), np.uint8)]
    figure = figure_of(np.ones((2, 12)), np.ones((2, 12), bool), images=images)
    figure.canvas.draw()
    wide = figure.axes[1].get_window_extent()
    assert wide.width / wide.height == pytest.approx(10, rel=0.02)


@pytest.mark.parametrize("name", ["targets", "decisions", "probs"])
def test_shapes_that_disagree_are_named(name):
    parts = {key: np.zeros((2, 12)) for key in ("targets", "decisions", "probs")}
    parts[name] = np.zeros((2, 11))
    with pytest.raises(ValueError, match=rf"{name} has shape \(2, 11\), expected \(2, 12\)"):
        prediction_figure([GREY, GREY], LABELS, **parts)


def test_no_scene_and_no_image_are_refused():
    with pytest.raises(ValueError, match="no scene"):
        prediction_figure([], LABELS, *[np.zeros((0, 12))] * 3)
    with pytest.raises(ValueError, match="image 0 must be"):
        figure_of(np.ones(12), np.ones(12), images=[GREY / 255])


def test_nothing_global_is_changed():
    before = dict(matplotlib.rcParams)
    pyplot_was_there = "matplotlib.pyplot" in sys.modules
    figure_of(np.ones(12), np.ones(12, bool)).canvas.draw()
    assert dict(matplotlib.rcParams) == before
    assert ("matplotlib.pyplot" in sys.modules) == pyplot_was_there


def test_the_file_carries_its_description(tmp_path):
    figure = figure_of(np.ones(12), np.ones(12, bool))
    alt = "One scene, twelve labels – all found"
    path = save_figure(figure, tmp_path / "scenes.png", alt=alt)
    with Image.open(path) as image:
        assert image.info["Description"] == alt
        assert image.size == tuple(int(side * 100) for side in figure.get_size_inches())
    save_figure(figure, tmp_path / "scenes.svg", alt=alt)
    assert alt in (tmp_path / "scenes.svg").read_text("utf-8")


def test_files_are_whole_and_kept(tmp_path):
    figure = figure_of(np.ones(12), np.ones(12, bool))
    save_figure(figure, tmp_path / "a.png", alt="x")
    first = (tmp_path / "a.png").read_bytes()
    with pytest.raises(FileExistsError):
        save_figure(figure, tmp_path / "a.png", alt="y")
    assert (tmp_path / "a.png").read_bytes() == first
    save_figure(figure, tmp_path / "a.png", alt="y", overwrite=True)
    assert (tmp_path / "a.png").read_bytes() != first
    for name, alt in (("b.png", " "), ("b.jpg", "x"), ("b", "x")):
        with pytest.raises(ValueError):
            save_figure(figure, tmp_path / name, alt=alt)
    assert os.listdir(tmp_path) == ["a.png"]


def test_in_words_says_what_the_figure_shows():
    words = in_words(
        Vocabulary(("cow", "egg", "bus", "owl")),
        [[1, 1, 0, -1], [0, 0, 0, 0]],
        [[True, False, True, True], [False] * 4],
    )
    assert words == (
        "Scene 1: found cow; missed egg; wrong bus; not annotated owl. "
        "Scene 2: no labels, and none given."
    )
