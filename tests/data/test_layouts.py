"""Which format a set has is told by its files."""

from __future__ import annotations

import pytest

from hybridlab.data.folder import NoAnnotationsError
from hybridlab.data.layouts import is_coco, read_labels, read_splits
from hybridlab.data.problems import AnnotationError
from hybridlab.data.sample_files import write_sample
from hybridlab.data.world import WORLD, SceneConfig

from .photo_files import content, pictures, write


def sizes(splits):
    return {split: len(data) for split, data in splits.items()}


def test_sets_as_their_archives_unpack(voc, tmp_path):
    splits = read_splits(voc)
    assert sizes(splits) == {"train": 2, "val": 1, "test": 1}, "trainval is train and val"
    main = voc / "VOCdevkit/VOC2007/ImageSets/Main"
    (main / "train.txt").unlink()
    (main / "val.txt").unlink()
    assert sizes(read_splits(voc)) == {"trainval": 3, "test": 1}


def test_nus_wide_and_coco(nus, coco):
    # both fixtures unpack into the same folder
    assert sizes(read_splits(nus)) == {"train": 2, "test": 1}
    assert sizes(read_splits(coco, layout="coco")) == {"val2017": 3}
    for path in (nus / "Groundtruth").rglob("*.txt"):
        path.unlink()
    (nus / "Groundtruth" / "TrainTestLabels").rmdir()
    (nus / "Groundtruth" / "AllLabels").rmdir()
    (nus / "Groundtruth").rmdir()
    assert sizes(read_splits(coco)) == {"val2017": 3}


def test_annotation_files_are_splits(tmp_path):
    folder = pictures(tmp_path / "images", "a.jpg", "b.jpg")
    train = write(tmp_path / "train.json", {"a.jpg": {"label_names": ["owl"]}})
    val = write(tmp_path / "val.csv", "filename,tags\nb.jpg,ant\n")
    splits = read_splits(folder, [train, val])
    assert sizes(splits) == {"train": 1, "val": 1}
    assert splits["val"].vocabulary.names == ("ant", "owl") and splits["val"].split == "val"
    with pytest.raises(ValueError, match="give each split another name"):
        read_splits(folder, [train, write(tmp_path / "x" / "train.json", {})])


def test_cocos_json_is_told_from_the_seeds(coco):
    for data, expected in (
        (content(), True), ({"images": []}, True), ({"info": {"a": 1}, "annotations": []}, True),
        ({"a.jpg": {"labels": [1]}}, False), ({"images": {"labels": [1]}}, False), ([], False),
        ({}, False), ("not json", False), ({"info": 3}, False),
    ):
        assert is_coco(write(coco / "x.json", data)) is expected, data
    assert not is_coco(coco / "gone.json")
    path = coco / "annotations" / "instances_val2017.json"
    assert sizes(read_splits(coco / "val2017", [path])) == {"instances_val2017": 3}
    with pytest.raises(FileNotFoundError, match=r"no annotations/instances_NAME.json"):
        read_splits(coco / "annotations", layout="coco")


def test_a_sample_is_read_with_all_its_labels(tmp_path):
    folder = write_sample(tmp_path / "set", SceneConfig(image_size=64), count=3, test=1)
    splits = read_splits(folder)
    assert sizes(splits) == {"": 3} and splits[""].vocabulary == WORLD
    with pytest.raises(NoAnnotationsError, match="no labels are invented"):
        read_splits(folder / "images")


def test_lists_of_labels(tmp_path):
    assert read_labels(write(tmp_path / "l.txt", "\ufeffcat\n\n dog \r\n")).names == ("cat", "dog")
    (tmp_path / "latin.txt").write_bytes(b"K\xfche\n")
    for path, words in ((write(tmp_path / "twice.txt", "cat\ncat\n"), "given twice"),
                        (write(tmp_path / "empty.txt", ""), "at least one label"),
                        (tmp_path / "latin.txt", "cannot be read"), (tmp_path / "gone", "cannot")):
        with pytest.raises(AnnotationError, match=words):
            read_labels(path)
