"""Pictures in files as samples: targets, boxes, sizes, subsets, and files that give no picture."""

from __future__ import annotations

import math
import os
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from hybridlab.data.boxes import label_boxes
from hybridlab.data.images import ImageError
from hybridlab.data.photos import Annotations, Boxes, PhotoDataset
from hybridlab.data.readable import TooManyUnreadableError, readable
from hybridlab.data.sample import Vocabulary, collate

from .photo_files import picture, pictures

LABELS = Vocabulary(("cat", "dog", "owl"))


def dataset(folder, count=3, **options):
    names = [f"{number}.png" for number in range(count)]
    pictures(folder, *names)
    present = ((0, 2), (), (1,)) * (count // 3) or ((0, 2),) * count
    unknown = ((), (0,), ()) * (count // 3) or ((),) * count
    return PhotoDataset(folder, Annotations(tuple(names), present, unknown), LABELS, **options)


def test_samples_are_what_the_files_and_annotations_say(tmp_path):
    data = dataset(tmp_path, split="val")
    assert len(data) == 3 and [sample.index for sample in data] == [0, 1, 2]
    assert np.array_equal(data[0].image, np.asarray(Image.open(tmp_path / "0.png")))
    assert np.stack([sample.targets for sample in data]).tolist() == [
        [1, 0, 1], [-1, 0, 0], [0, 1, 0]]
    assert np.array_equal(data.label_matrix(), np.stack([sample.targets for sample in data]))
    assert data[0].targets.dtype == np.float32 and data[0].objects == ()
    assert np.array_equal(data[-1].image, data[2].image)
    for index in (3, -4):
        with pytest.raises(IndexError, match="the data set has 3"):
            data[index]


def test_at_one_size_they_make_a_batch(tmp_path):
    data = dataset(tmp_path, image_size=16)
    picture(tmp_path / "1.png", size=(50, 20))
    batch = collate(list(data))
    assert batch.images.shape == (3, 3, 16, 16) and batch.targets.shape == (3, 3)
    squashed = Image.open(tmp_path / "1.png").resize((16, 16), Image.Resampling.BICUBIC)
    assert np.array_equal(data[1].image, np.asarray(squashed))
    with pytest.raises(ValueError, match="one size"):
        collate(list(data.resized(None)))


def test_subsets_keep_what_belongs_together(tmp_path):
    data = dataset(tmp_path, 6)
    part = data.subset(np.array([4, 0]), "test")
    assert part.split == "test" and part.annotations.names == ("4.png", "0.png")
    assert np.array_equal(part[1].image, data[0].image)
    assert part.label_matrix().tolist() == data.label_matrix()[[4, 0]].tolist()
    assert len(data.subset([])) == 0 and data.subset([]).label_matrix().shape == (0, 3)
    with pytest.raises(IndexError):
        data.subset([6])


def test_boxes_follow_their_pictures_and_sizes(tmp_path):
    data = dataset(tmp_path)  # 40 x 30 pixels each
    boxes = Boxes.of(
        np.array([2, 0, 0]), np.array([1, 0, 2]),
        np.array([[0, 0, 40, 30], [4, 3, 8, 6], [-5, 10, 60, 20]], np.float32),
        np.zeros((3, 2), np.int32),
    )
    data = PhotoDataset(tmp_path, replace(data.annotations, boxes=boxes), LABELS)
    small, wide = data[0].objects
    assert (small.label, small.box) == (0, (4, 3, 8, 6))
    assert (wide.label, wide.box) == (2, (0, 10, 40, 20)), "clipped to the picture"
    assert math.isnan(small.visible) and small.depth == 0 and data[1].objects == ()
    scaled = data.resized(20)[0].objects[0]
    assert scaled.box == pytest.approx((2, 2, 4, 4))
    last = data.subset([2, 1])
    assert last[0].objects[0].box == (0, 0, 40, 30) and last[1].objects == ()
    found = label_boxes(data.resized(20), 3)
    assert found.areas[2].tolist()[1] == 400 and np.isnan(found.areas[1]).all()
    assert data.without_boxes()[0].objects == ()


def test_a_label_outside_of_the_vocabulary_and_a_size_of_nothing(tmp_path):
    for present, unknown in (((3,), ()), ((), (-1,))):
        with pytest.raises(ValueError, match="outside of the 3 columns"):
            PhotoDataset(tmp_path, Annotations(("a.png",), (present,), (unknown,)), LABELS)
    with pytest.raises(ValueError, match="image_size is 0"):
        dataset(tmp_path, image_size=0)


def test_the_fingerprint_names_the_data(tmp_path):
    data = dataset(tmp_path)
    one = data.fingerprint()
    assert data.fingerprint() == one
    others = {data.resized(8).fingerprint(), data.subset([0, 1]).fingerprint(),
              data.subset([1, 0, 2]).fingerprint()}
    told = data.annotations
    changed = Annotations(told.names, ((0,), (), (1,)), told.unknown)
    others.add(PhotoDataset(tmp_path, changed, LABELS).fingerprint())
    picture(tmp_path / "1.png", seed=77)
    os.utime(tmp_path / "1.png", ns=(1, 1))
    others.add(data.fingerprint())
    assert len(others | {one}) == 6


# --- files that give no picture -----------------------------------------------------------------


def truncate(folder, *names):
    for name in names:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])


def test_a_bad_file_is_named_and_no_other_takes_its_place(tmp_path):
    data = dataset(tmp_path)
    truncate(tmp_path, "1.png")
    with pytest.raises(ImageError, match=r"1.png: is damaged or cut off"):
        data[1]
    with pytest.raises(ImageError):
        list(data)


def test_one_in_a_hundred_of_a_thousand_is_left_out_and_each_is_named(tmp_path):
    data = dataset(tmp_path, 999)
    bad = [f"{number}.png" for number in range(5, 999, 100)]
    truncate(tmp_path, *bad)
    kept, problems = readable(data)
    assert [problem.path.name for problem in problems] == bad and len(bad) == 10
    assert len(kept) == 989 and not set(bad) & set(kept.annotations.names)
    left = [row for row, name in enumerate(data.annotations.names) if name not in bad]
    assert np.array_equal(kept.label_matrix(), data.label_matrix()[left])


def test_above_a_share_it_stops(tmp_path):
    data = dataset(tmp_path, 30)
    truncate(tmp_path, "3.png", "4.png", "29.png")
    with pytest.raises(TooManyUnreadableError, match=r"2 of the first 5 .* all 30") as caught:
        readable(data)
    assert [problem.path.name for problem in caught.value.problems] == ["3.png", "4.png"]
    assert len(readable(data, most=0.1)[1]) == 3
    with pytest.raises(TooManyUnreadableError, match="3 of the first 30"):
        readable(data, most=0.099)
    with pytest.raises(ValueError, match="most is 2"):
        readable(data, most=2)
    whole = data.subset([0, 1])
    assert readable(whole, most=0) == (whole, [])
    assert readable(data.subset([]))[1] == []


def test_a_picture_too_large_is_refused_before_it_is_decoded(tmp_path):
    data = dataset(tmp_path, max_pixels=1199)
    with pytest.raises(ImageError, match=r"40 x 30 = 1,200 pixels"):
        data[0]
    with pytest.raises(TooManyUnreadableError):
        readable(data)
