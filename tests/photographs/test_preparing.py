"""A data set is looked into once, before anything is trained on it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from hybridlab.data.folder import NoAnnotationsError
from hybridlab.data.problems import AnnotationError
from hybridlab.data.readable import TooManyUnreadableError
from hybridlab.photographs.options import PhotoConfig
from hybridlab.photographs.preparing import limited, prepare
from hybridlab.photographs.running import photos_of
from tests.data.photo_files import write

from .files import LABELS, rewrite, small_coco, small_set, small_voc


@pytest.fixture
def home(tmp_path):
    return small_set(tmp_path / "set")


def config(home, **changes):
    return PhotoConfig(**{"image_dir": home / "images",
                          "annotation_file": (home / "annotations.json",), **changes})


def sizes(prepared):
    return {name: len(data) for name, data in prepared.photos.items()}


def test_one_file_is_dealt_out(home):
    found = prepare(config(home))
    assert sum(sizes(found).values()) == 30 and not found.left_out and not found.notes
    assert all(2 <= sizes(found)[name] <= 6 for name in ("val", "test"))
    names = [name for data in found.photos.values() for name in data.annotations.names]
    assert len(set(names)) == 30
    assert found.photos["train"].vocabulary.names == LABELS
    assert (found.photos["train"].label_matrix() == -1).any()
    again = prepare(config(home))
    assert {n: d.annotations.names for n, d in found.photos.items()} == {
        n: d.annotations.names for n, d in again.photos.items()}
    other = prepare(config(home, split_seed=1))
    assert other.photos["val"].annotations.names != found.photos["val"].annotations.names
    assert sizes(prepare(config(home, shares=(1, 1, 1))))["val"] >= 8


def test_given_splits_stay_as_they_are(home):
    train = write(home / "train.json", {f"{row:03d}.png": {"label_names": [LABELS[row % 4]]}
                                        for row in range(20)})
    test = write(home / "test.json", {f"{row:03d}.png": {"label_names": [LABELS[row % 4]]}
                                      for row in range(20, 30)})
    found = prepare(config(home, annotation_file=(train, test)))
    assert found.photos["test"].annotations.names == tuple(f"{r:03d}.png" for r in range(20, 30))
    assert sizes(found)["train"] + sizes(found)["val"] == 20 and sizes(found)["val"] >= 1


def test_bad_files_are_named_and_left_out_up_to_a_share(home):
    (home / "images" / "003.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    (home / "images" / "007.png").unlink()
    found = prepare(config(home, unreadable=0.1))
    assert sum(sizes(found).values()) == 28
    assert sorted(each.path.name for each in found.left_out) == ["003.png", "007.png"]
    assert "there is no such file" in str(found.left_out[0])
    with pytest.raises(TooManyUnreadableError, match=r"2 pictures are missing or cannot be read.*"
                                                     r"the first: .*007.png"):
        prepare(config(home))
    with pytest.raises(TooManyUnreadableError, match="1 pictures are missing"):
        prepare(config(home, unreadable=0.0))


def test_files_of_one_content_stay_together(home):
    for row in range(10):
        shutil.copyfile(home / "images" / f"{row:03d}.png", home / "images" / f"copy{row}.png")
    rewrite(home, lambda told: told.update(
        {f"copy{row}.png": told[f"{row:03d}.png"] for row in range(10)}))
    found = prepare(config(home))
    where = {name: split for split, data in found.photos.items()
             for name in data.annotations.names}
    assert len(where) == 40
    assert all(where[f"copy{row}.png"] == where[f"{row:03d}.png"] for row in range(10))
    assert not found.notes
    # given splits are not ours to change: it is said
    train = write(home / "train.json", {"000.png": {"labels": [0]}, "001.png": {"labels": [1]}})
    val = write(home / "val.json", {"copy0.png": {"labels": [0]}})
    test = write(home / "test.json", {"005.png": {"labels": [1]}})
    given = prepare(config(home, annotation_file=(train, val, test)))
    assert any("2 pictures have the content of one in another split" in note
               for note in given.notes)


def test_what_is_worth_knowing_is_said(home):
    rewrite(home, lambda told: [entry.pop("label_names") for entry in told.values()])
    found = prepare(config(home, num_classes=6))
    assert found.photos["val"].vocabulary.names[-1] == "class 5"
    assert "6 of 6 labels have no name" in found.notes[0]
    assert "2 labels have no positive in the train split" in found.notes[1]
    named = prepare(config(home, labels=write(home / "labels.txt", "\n".join(LABELS))))
    assert named.photos["val"].vocabulary.names == LABELS and not named.notes


def test_a_quick_look_takes_few_of_each(home):
    found = limited(prepare(config(home)), {"train": 8, "val": 2, "test": 100})
    assert sizes(found)["train"] == 8 and sizes(found)["val"] == 2
    whole = prepare(config(home))
    assert sizes(found)["test"] == sizes(whole)["test"]
    kept = set(whole.photos["train"].annotations.names)
    assert set(found.photos["train"].annotations.names) < kept
    assert sum(map(len, found.unused.values())) + 10 + sizes(found)["test"] == 30
    digests = dict(zip(whole.photos["train"].annotations.names, whole.splits["train"].digests,
                       strict=True))
    assert [digests[name] for name in found.photos["train"].annotations.names] == list(
        found.splits["train"].digests)
    truth = found.photos["train"].label_matrix()
    assert (np.sum(truth == 1, axis=0) > 0).all()


@pytest.mark.parametrize(("changes", "error", "words"), [
    ({"annotation_file": ()}, NoAnnotationsError, "hybridlab data label"),
    ({"num_classes": 3}, AnnotationError, "unknown label 3; labels are 0 to 2"),
    ({"image_dir": "gone"}, FileNotFoundError, "does not exist"),
    ({"test_split": "exam"}, ValueError, "test_split is 'exam'"),
])
def test_what_cannot_be_trained_on_is_refused(home, changes, error, words):
    with pytest.raises(error, match=words):
        prepare(config(home, **changes))


def test_voc_and_coco_as_they_unpack(tmp_path):
    voc = small_voc(tmp_path / "voc", {"trainval": range(12), "test": range(12, 16)})
    found = prepare(PhotoConfig(voc))
    assert sizes(found)["test"] == 4 and sizes(found)["train"] + sizes(found)["val"] == 12
    assert found.photos["val"].annotations.boxes is not None
    difficult = found.photos["train"].vocabulary.column("car")
    assert set(found.photos["train"].label_matrix()[:, difficult]) == {0.0, -1.0}
    coco = small_coco(tmp_path / "coco", {"train2017": range(10), "val2017": range(10, 14)})
    found = prepare(PhotoConfig(coco, test_split="val2017"))
    assert sizes(found)["test"] == 4 and found.splits["val"].origin == "train2017"
    assert found.photos["val"].root != found.photos["test"].root
    usual = prepare(PhotoConfig(coco))
    assert usual.splits["val"].origin == "val2017" and usual.splits["test"].origin == "train2017"
    with pytest.raises(ValueError, match=r"num_classes is 3, but the annotations have 2 labels"):
        prepare(PhotoConfig(coco, num_classes=3))


def test_a_split_without_a_positive_is_refused(home):
    train = write(home / "train.json", {"000.png": {"labels": [0]}, "001.png": {"labels": [1]}})
    nothing = write(home / "val.json", {"002.png": {"labels": []}})
    test = write(home / "test.json", {"003.png": {"labels": [0]}})
    with pytest.raises(ValueError, match="in the val split no picture has a label"):
        prepare(config(home, annotation_file=(train, nothing, test)))
    with pytest.raises(ValueError, match="in the test split there is no picture"):
        rewrite(home, lambda told: [told.pop(name) for name in sorted(told)[2:]])
        prepare(config(home))


def test_a_name_that_no_bundle_can_hold_is_refused_now(home):
    def change(told):
        for entry in told.values():
            entry["label_names"] = [name.replace("ant", "a\u2028nt")
                                    for name in entry["label_names"]]

    rewrite(home, change)
    with pytest.raises(ValueError, match="names hold printable text only"):
        prepare(config(home))


@pytest.mark.parametrize(("options", "words"), [
    ({"annotation_file": ("a.json",)}, "--annotation-file is about pictures"),
    ({"num_classes": 3}, "--num-classes is about pictures"),
    ({"image_dir": "x", "num_classes": 0}, "num_classes is 0"),
    ({"image_dir": "x", "shares": (1, 0, 1)}, "give three numbers above 0"),
    ({"image_dir": "x", "shares": (1, 1)}, "give three numbers above 0"),
    ({"image_dir": "x", "unreadable": float("nan")}, "unreadable is nan"),
    ({"image_dir": "x", "split_seed": -1}, "split_seed is -1"),
])
def test_options_that_make_no_sense(options, words):
    with pytest.raises(ValueError, match=words):
        PhotoConfig(**options)


def test_options_are_written_and_read(home, monkeypatch):
    monkeypatch.chdir(home)
    given = PhotoConfig(Path("images"), (Path("annotations.json"),), 4, shares=(2, 1, 1)).resolved()
    assert given.image_dir == home / "images"
    assert PhotoConfig.from_dict(given.to_dict()) == given


def test_of_many_files_that_are_left_out_some_are_told(home):
    rewrite(home, lambda told: told.update(
        {f"gone{row}.png": {"labels": [0]} for row in range(25)}))
    lines = []
    found = photos_of(config(home, unreadable=0.5), None, None, lines.append)
    assert len(found.left_out) == 25 and len(lines) == 21
    assert "gone0.png" in lines[0] and lines[-1] == (
        "left out: 5 more; the run's pictures.json names all")
    quick = photos_of(config(home, unreadable=0.5), None, {"train": 5, "val": 1, "test": 1})
    assert [len(data) for data in quick.photos.values()] == [5, 1, 1]
