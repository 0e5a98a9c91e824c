"""The annotated picture: the picture untouched, the labels readable, no file replaced."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from hybridlab.prediction import Prediction
from hybridlab.viz.annotate import annotate, save_annotated

NAMES = tuple(f"label number {at}" for at in range(60))
NOISE = np.random.default_rng(0).integers(0, 256, (300, 420, 3), dtype=np.uint8)


def prediction(count: int, source: str = "x.png", names=NAMES) -> Prediction:
    probs = np.linspace(0.99, 0.5, len(names)).astype(np.float32)
    limits = np.where(np.arange(len(names)) < count, 0.1, 1.0)
    return Prediction(source, names, (), probs, limits, ()).decided()


def test_the_picture_itself_is_not_drawn_on():
    sheet = annotate(NOISE, prediction(3))
    assert sheet.mode == "RGB" and sheet.width == 420 and sheet.height > 300
    assert np.array_equal(np.asarray(sheet)[:300], NOISE)


@pytest.mark.parametrize(
    "size", [(1, 1), (2, 90), (240, 240), (1, 4000), (4000, 1), (4000, 1600), (6000, 500)]
)
@pytest.mark.parametrize("count", [0, 60])
def test_letters_fit_the_picture_at_any_size(size, count):
    sheet = annotate(Image.new("RGB", size, "green"), prediction(count))
    assert 200 <= max(sheet.size) <= 8000
    pixels = np.asarray(sheet).astype(int)
    ink = (pixels.sum(axis=2) < 3 * 115) & (np.ptp(pixels, axis=2) < 90)
    rows = np.flatnonzero(ink.any(axis=1))
    columns = np.flatnonzero(ink.any(axis=0))
    shown = min(4000, max(size))
    tall = np.flatnonzero(np.diff(rows) > 1)
    first_line = rows[: tall[0] + 1] if len(tall) else rows
    # letters of a line: at least 8 pixels, and about a fiftieth of the picture's longer side
    assert len(first_line) >= max(8, shown / 60)
    assert columns[0] > 0 and columns[-1] < sheet.width - 1
    assert rows[-1] < sheet.height - 1


def test_a_tiny_picture_is_enlarged_in_whole_steps():
    corner = np.zeros((2, 2, 3), np.uint8)
    corner[0, 0] = 255
    sheet = np.asarray(annotate(corner, prediction(1)))
    assert (sheet[:120, :120] == 255).all()
    left = (sheet.shape[1] - 240) // 2
    assert left == 0 and (sheet[:120, 120:240] == 0).all() and (sheet[120:240, :240] == 0).all()


def test_more_labels_need_more_room_up_to_a_limit():
    heights = [annotate(NOISE, prediction(count)).height for count in (0, 1, 6, 12, 40, 60)]
    assert heights == sorted(heights) and heights[2] > heights[1]
    assert heights[-1] == heights[-2]


def test_a_long_name_is_cut():
    sheet = annotate(NOISE, prediction(1, names=("x" * 500, "y")))
    assert sheet.width == 420


def test_probability_is_drawn_as_a_bar():
    def blue(prob):
        one = Prediction("x", ("cow",), (), np.array([prob], np.float32), np.zeros(1), ()).decided()
        pixels = np.asarray(annotate(np.zeros((300, 300, 3), np.uint8), one))[300:]
        return (pixels == (0x00, 0x72, 0xB2)).all(axis=2).sum(axis=1).max()

    assert blue(0.25) == pytest.approx(blue(1.0) / 4, abs=2) and blue(1.0) > 40


def test_files_get_new_names_and_nothing_is_replaced(tmp_path):
    source = tmp_path / "cow-labels.png"
    Image.fromarray(NOISE).save(source)
    before = source.read_bytes()
    one = prediction(2, str(tmp_path / "cow.png"))
    first = save_annotated(tmp_path, NOISE, one)
    second = save_annotated(tmp_path, NOISE, one)
    assert (first.name, second.name) == ("cow-labels-2.png", "cow-labels-3.png")
    assert source.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == [
        "cow-labels-2.png", "cow-labels-3.png", "cow-labels.png"
    ]
    with Image.open(first) as picture:
        words = "Labels with probabilities: label number 0 0.99, label number 1 0.98"
        assert picture.info["Description"] == words


@pytest.mark.parametrize("source", ["../../etc/passwd", "a\x1b\nb", "..", "", "x" * 300, "image 3"])
def test_odd_sources_give_plain_names_inside_the_folder(tmp_path, source):
    written = save_annotated(tmp_path / "new" / "folder", NOISE, prediction(0, source))
    assert written.parent == tmp_path / "new" / "folder"
    assert written.name.isprintable() and len(written.name) < 100
    assert os.listdir(written.parent) == [written.name]


def test_a_file_is_not_a_folder(tmp_path):
    (tmp_path / "x").write_text("kept")
    with pytest.raises(NotADirectoryError, match="another folder"):
        save_annotated(tmp_path / "x", NOISE, prediction(1))
    assert (tmp_path / "x").read_text() == "kept"
