"""A run goes on with the pictures that it was begun with, or not at all."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace

import pytest

from hybridlab.photographs.options import PhotoConfig
from hybridlab.photographs.preparing import limited, prepare
from hybridlab.photographs.record import recorded, write_record
from hybridlab.training.resuming import ResumeError
from tests.data.photo_files import picture

from .files import rewrite, small_set


@pytest.fixture
def home(tmp_path):
    return small_set(tmp_path / "set")


@pytest.fixture
def config(home):
    return PhotoConfig(home / "images", (home / "annotations.json",), unreadable=0.2)


@pytest.fixture
def run(tmp_path, config):
    folder = tmp_path / "run"
    folder.mkdir()
    write_record(folder, prepare(config))
    return folder


def told(data):
    return data.annotations, data.vocabulary.names


def test_the_same_pictures_in_the_same_splits(run, config):
    before, after = prepare(config), recorded(run, config)
    for split in ("train", "val", "test"):
        assert told(before.photos[split]) == told(after.photos[split])
        assert before.splits[split].digests == after.splits[split].digests
    # however they would be dealt out now
    assert told(recorded(run, replace(config, split_seed=9)).photos["val"]) == told(
        before.photos["val"])


def test_a_set_that_was_copied_is_the_same(run, config, home, tmp_path):
    shutil.copytree(home, tmp_path / "moved", copy_function=shutil.copyfile)
    os.utime(tmp_path / "moved" / "images" / "000.png", (1, 1))
    shutil.rmtree(home)
    moved = replace(config, image_dir=tmp_path / "moved" / "images",
                    annotation_file=(tmp_path / "moved" / "annotations.json",))
    assert len(recorded(run, moved).photos["train"]) > 20


def test_what_was_left_out_stays_out(tmp_path, home, config):
    (home / "images" / "003.png").write_bytes(b"broken")
    (home / "images" / "004.png").unlink()
    folder = tmp_path / "other"
    folder.mkdir()
    write_record(folder, limited(prepare(config), {"train": 9, "val": 9, "test": 9}))
    found = recorded(folder, config)
    assert len(found.photos["train"]) == 9 and len(found.left_out) == 2
    picture(home / "images" / "004.png")  # it has come back
    with pytest.raises(ResumeError, match=r"other pictures: 004.png is new\. Give them"):
        recorded(folder, config)


def test_every_difference_is_listed(run, config, home):
    same = (home / "images" / "000.png").stat()
    data = bytearray((home / "images" / "000.png").read_bytes())
    data[-20] ^= 1
    (home / "images" / "000.png").write_bytes(bytes(data))
    assert (home / "images" / "000.png").stat().st_size == same.st_size
    picture(home / "images" / "001.png", 99, (10, 10))
    (home / "images" / "new.png").write_bytes(bytes(data))

    def change(entries):
        entries["002.png"] = {"labels": [0, 3], "label_names": ["ant", "dog"]}
        del entries["004.png"]
        entries["new.png"] = entries["005.png"]

    rewrite(home, change)
    with pytest.raises(ResumeError) as caught:
        recorded(run, config)
    line = str(caught.value)
    for words in ("000.png has another content", "001.png had", "bytes and has",
                  "002.png had the labels bee, cat and has ant, dog", "004.png is gone",
                  "new.png is new", "or begin a new run"):
        assert words in line, line


def test_many_differences_are_counted(run, config, home):
    rewrite(home, lambda entries: [entries.pop(name) for name in sorted(entries)[:15]])
    with pytest.raises(ResumeError, match="; and 5 more"):
        recorded(run, config)


def test_other_labels_are_refused(run, config, home):
    rewrite(home, lambda entries: entries["000.png"].update(labels=[4], label_names=["eel"],
                                                            not_annotated=[]))
    with pytest.raises(ResumeError, match="has 4 labels and the annotations now have 5"):
        recorded(run, config)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"form": 9, "splits": {}}', '{"form": 1}'])
def test_a_record_that_cannot_be_read(run, config, text):
    (run / "pictures.json").write_text(text)
    with pytest.raises(ResumeError, match=r"the pictures of the run in .* cannot be told"):
        recorded(run, config)


def test_the_record_is_plain(run):
    found = json.loads((run / "pictures.json").read_text())
    assert found["labels"] == ["ant", "bee", "cat", "dog"] and found["unused"] == {
        "annotations": []}
    name, size, time, digest, present, unknown = found["splits"]["train"]["pictures"][0]
    assert name.endswith(".png") and size > 0 and time > 0 and len(digest) == 32
    assert set(present).isdisjoint(unknown)
