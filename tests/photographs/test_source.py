"""Photographs reach an encoder as prediction will show them, few at a time."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from hybridlab.data.coco import coco_file
from hybridlab.data.images import ImageError, load_image
from hybridlab.data.photos import Annotations, Boxes, PhotoDataset
from hybridlab.data.sample import Vocabulary
from hybridlab.encoders.preprocessing import Preprocessing
from hybridlab.photographs import source as module
from hybridlab.photographs.kept import kept_pictures
from hybridlab.photographs.options import PhotoConfig
from hybridlab.photographs.preparing import prepare
from hybridlab.photographs.source import PhotoSource, shared_look
from hybridlab.training.augmentation import object_boxes
from tests.data.photo_files import annotation, pictures, write

from .files import small_set

SQUASH, CROP = Preprocessing(32), Preprocessing(24, resize_mode="crop")


@pytest.fixture
def source(tmp_path):
    home = small_set(tmp_path / "set", 12)
    found = prepare(PhotoConfig(home / "images", (home / "annotations.json",), shares=(2, 1, 1)))
    return PhotoSource(found.photos, tmp_path / "keep")


def expected(source, split, look):
    photos = source.splits[split]
    return torch.cat([look.squares([load_image(photos.path(row))]) for row in range(len(photos))])


@pytest.mark.parametrize("look", [SQUASH, CROP, Preprocessing(32, interpolation="bilinear")])
def test_pictures_are_what_prediction_shows(source, monkeypatch, look):
    monkeypatch.setattr(module, "CHUNK", 2)
    whole = expected(source, "train", look)
    few = list(source.chunks("train", 1, 4, look))
    assert [len(each) for each in few] == [2, 1]
    assert torch.equal(torch.cat(few).float(), whole[1:4])
    kept = source.pictures("train", [look])
    assert kept.dtype == torch.uint8 and torch.equal(kept.float(), whole)
    # what an encoder makes of it is the same, bit for bit
    assert torch.equal(look(kept), look.normalise(whole.clone()))


def test_padding_is_rounded_to_a_grey_level(source):
    look = Preprocessing(32, (0.4, 0.5, 0.6), resize_mode="pad")
    difference = source.pictures("val", [look]).float() - expected(source, "val", look)
    assert difference.abs().max() <= 0.5


def test_they_are_decoded_once(source, monkeypatch):
    first = source.pictures("train", [SQUASH])
    monkeypatch.setattr(module, "load_image", lambda *_, **__: pytest.fail("decoded again"))
    assert torch.equal(source.pictures("train", [SQUASH]), first)
    # mean and std are no business of the kept pictures
    other = Preprocessing(32, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert torch.equal(source.pictures("train", [other]), first)
    with pytest.raises(pytest.fail.Exception):
        source.pictures("train", [CROP])


def test_other_pictures_are_kept_under_another_name(source):
    source.pictures("train", [SQUASH])
    photos = source.splits["train"]
    load_image(photos.path(1)).save(photos.path(0))  # another file under the same name
    assert torch.equal(source.pictures("train", [SQUASH])[0], source.pictures("train", [SQUASH])[1])
    assert len(list(source.keep.glob("*.pictures"))) == 2


def test_writing_into_them_harms_nobody(source):
    mine = source.pictures("train", [SQUASH])
    mine[0] = 7
    assert not torch.equal(source.pictures("train", [SQUASH])[0], mine[0])


def test_a_file_that_went_bad_is_named_and_nothing_is_kept(source):
    source.splits["val"].path(0).write_bytes(b"gone")
    with pytest.raises(ImageError, match=source.splits["val"].annotations.names[0]):
        source.pictures("val", [SQUASH])
    with pytest.raises(ImageError):
        list(source.chunks("val", 0, 1, SQUASH))
    assert not list(source.keep.glob("*.pictures"))


def test_a_stop_leaves_nothing_half_written(source, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 2)
    calls = []

    def leave():
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        source.pictures("train", [SQUASH], leave)
    assert not [each for each in source.keep.iterdir() if not each.name.endswith(".lock")]
    assert len(source.pictures("train", [SQUASH])) == len(source.splits["train"])


def test_labels_and_facts(source):
    assert source.texts == ("an ant", "a bee", "a cat", "a dog") and not source.scenes
    assert torch.equal(source.targets["val"],
                       torch.from_numpy(source.splits["val"].label_matrix()))
    facts = source.facts()["data"]
    assert facts["test"]["fingerprint"] == source.splits["test"].fingerprint()
    assert json.loads(json.dumps(facts)) == facts
    for nothing in (lambda: source.clutter("train"), lambda: source.label_sets(3)):
        with pytest.raises(ValueError, match=r"--curriculum labels|leave --language-sets out"):
            nothing()


def test_splits_of_other_labels_are_refused(source):
    other = PhotoDataset(source.splits["val"].root, Annotations((), (), ()), Vocabulary(["x"]))
    with pytest.raises(ValueError, match="different labels"):
        PhotoSource({**source.splits, "val": other}, source.keep)


# --- two encoders, one picture ------------------------------------------------------------------


def test_two_encoders_share_the_larger_picture():
    assert shared_look([SQUASH, Preprocessing(48)]).image_size == 48
    assert shared_look([CROP]) is CROP and shared_look([CROP, CROP]) is CROP
    with pytest.raises(ValueError, match=r"squash to 32, crop to 24.*choose a plan in which the "
                                         r"CNN rests"):
        shared_look([SQUASH, CROP])


# --- boxes --------------------------------------------------------------------------------------


def test_boxes_are_those_of_the_samples(tmp_path):
    pictures(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    images = [{"id": at, "file_name": f"{name}.jpg", "width": 40, "height": 30}
              for at, name in enumerate("abc")]
    path = write(tmp_path / "coco.json", {
        "images": images, "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [annotation(1, 0, 1, (1, 2, 10, 7)), annotation(2, 0, 2, (20, 10, 30, 40)),
                        annotation(3, 2, 2, (0, 0, 40, 30))],
    })
    data = coco_file(tmp_path, path)
    source = PhotoSource({split: data for split in ("train", "val", "test")}, tmp_path / "keep")
    found, true = source.boxes("train", [SQUASH]), object_boxes(data.resized(32))
    assert torch.equal(found.labels, true.labels)
    assert torch.allclose(found.boxes, true.boxes)
    assert source.boxes("train", [CROP]) is None  # boxes would be in the wrong place
    nowhere = PhotoSource(dict.fromkeys(("train", "val", "test"), data.without_boxes()), tmp_path)
    assert nowhere.boxes("train", [SQUASH]) is None


def test_boxes_of_pictures_whose_size_is_not_told_are_not_used(tmp_path):
    boxes = Boxes.of(np.array([0, 1]), np.array([0, 1]), np.ones((2, 4)),
                     np.array([[0, 0], [10, 10]]))
    told = Annotations(("a", "b"), ((0,), (1,)), ((), ()), boxes)
    data = PhotoDataset(tmp_path, told, Vocabulary(["x", "y"]))
    source = PhotoSource(dict.fromkeys(("train", "val", "test"), data), tmp_path)
    assert source.boxes("train", [SQUASH]).labels.tolist() == [[-1], [1]]


# --- the file -----------------------------------------------------------------------------------


def test_what_is_kept_must_be_what_was_asked_for(tmp_path):
    path = tmp_path / "a.pictures"
    good = torch.arange(24, dtype=torch.uint8).view(2, 3, 2, 2)
    assert torch.equal(kept_pictures(path, 2, 2, lambda: iter([good[:1], good[1:]])), good)
    assert torch.equal(kept_pictures(path, 2, 2, lambda: pytest.fail("made again")), good)
    path.write_bytes(b"cut off")
    assert torch.equal(kept_pictures(path, 2, 2, lambda: iter([good])), good)
    for bad in (good.float(), good[:, :2], good.view(1, 3, 2, 4)):
        with pytest.raises(ValueError, match="expected uint8 and"):
            kept_pictures(tmp_path / "b.pictures", len(bad), 2, lambda bad=bad: iter([bad]))
    with pytest.raises(ValueError, match="got 2 pictures, expected 3"):
        kept_pictures(tmp_path / "b.pictures", 3, 2, lambda: iter([good]))
    assert not (tmp_path / "b.pictures").exists()
    assert kept_pictures(tmp_path / "c", 0, 2, lambda: iter(())).shape == (0, 3, 2, 2)
