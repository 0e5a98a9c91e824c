"""Scenes as files: what the seed's commands ask for is there, and says what the scenes say."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from hybridlab.data.folder import folder_photos
from hybridlab.data.layouts import read_labels
from hybridlab.data.sample_files import write_sample
from hybridlab.data.scenes import SceneDataset, label_matrix
from hybridlab.data.world import LABEL_NAMES, SceneConfig
from hybridlab.files import NotEnoughDiskError

SMALL = SceneConfig(image_size=64)


def test_it_holds_what_the_commands_of_seed_002_ask_for(tmp_path):
    folder = write_sample(tmp_path / "set", SMALL, count=5, test=2)
    assert sorted(each.name for each in folder.iterdir()) == [
        "annotations.json", "images", "labels.txt", "test_annotations.json", "test_image.jpg",
        "test_images"]
    told = json.loads((folder / "annotations.json").read_text())
    assert sorted(told) == sorted(each.name for each in (folder / "images").iterdir())
    for entry in told.values():  # what the seed's own loader reads
        assert [LABEL_NAMES[at] for at in entry["labels"]] == entry["label_names"]
        assert entry.keys() == {"labels", "label_names"}
    assert len(read_labels(folder / "labels.txt")) == 80
    assert Image.open(folder / "test_image.jpg").size == (64, 64)


@pytest.mark.parametrize("config", [SMALL, SceneConfig(image_size=64, missing=0.3, seed=5)])
def test_pictures_and_labels_are_those_of_the_scenes(tmp_path, config):
    folder = write_sample(tmp_path / "set", config, count=6, test=3)
    for split, images, file in (("train", "images", "annotations.json"),
                                ("test", "test_images", "test_annotations.json")):
        data = folder_photos(folder / images, folder / file, num_classes=80)
        scenes = SceneDataset(len(data), split, config)
        assert np.array_equal(data.label_matrix(), label_matrix(scenes))
        for row, scene in enumerate(scenes):
            lossy = np.abs(data[row].image.astype(int) - scene.image)
            assert lossy.mean() < 5, "JPEG of quality 95"


def test_all_or_nothing_and_nothing_is_replaced(tmp_path, monkeypatch):
    target = tmp_path / "set"
    target.mkdir()
    write_sample(target, SMALL, count=1, test=1)  # an empty folder may be filled
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(FileExistsError, match="exists and is kept"):
        write_sample(target, SMALL)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FileExistsError):
        write_sample(tmp_path / "file", SMALL)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        write_sample(tmp_path / "a" / "b", SMALL)
    with pytest.raises(NotEnoughDiskError):
        write_sample(tmp_path / "c", SMALL, count=10**13)
    for options in ({"count": 0}, {"test": 0}):
        with pytest.raises(ValueError, match="give 1 scene or more"):
            write_sample(tmp_path / "d", SMALL, **options)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hybridlab.data.sample_files.write_seed_json", stop)
    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path / "e", SMALL, count=2, test=1)
    assert sorted(tmp_path.rglob("*")) == sorted([*before, tmp_path / "file"])
