"""What a check finds, and what it lets pass."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from hybridlab.data.check import check_photos
from hybridlab.data.check_text import as_text, problem_lines
from hybridlab.data.contents import contents
from hybridlab.data.photos import Annotations, Boxes, PhotoDataset
from hybridlab.data.problems import Problem
from hybridlab.data.sample import Vocabulary
from hybridlab.files import write_json

from .photo_files import picture, pictures

LABELS = Vocabulary(("cat", "dog"))


def dataset(folder: Path, rows: dict[str, tuple[int, ...]], unknown=None, boxes=None, **options):
    """Pictures by name with their labels; those that are there already stay."""
    for seed, name in enumerate(rows):
        if not (folder / name).exists():
            picture(folder / name, seed)
    hidden = tuple((unknown or {}).get(name, ()) for name in rows)
    return PhotoDataset(folder, Annotations(tuple(rows), tuple(rows.values()), hidden, boxes),
                        LABELS, **options)


def found(report, *, balance=False):
    return [(each.kind, each.where, each.fatal) for each in report.problems
            if balance or each.kind != "imbalance"]


def even(folder: Path, count=24):
    """As many cats as dogs."""
    return dataset(folder, {f"{number}.png": (number % 2,) for number in range(count)})


def test_a_set_without_a_flaw(tmp_path):
    report = check_photos({"train": even(tmp_path)})
    assert report.fit and report.problems == () and report.sizes == {"train": 24}
    text = as_text(report)
    assert text.startswith("train: 24 pictures, 2 labels, 1.00 present in a picture")
    assert text.endswith("Nothing stands against using this data.")


def test_files_that_give_no_picture_are_all_named(tmp_path):
    data = even(tmp_path)
    for name in ("3.png", "7.png"):
        half = (tmp_path / name).read_bytes()[: 500 + int(name[0])]
        (tmp_path / name).write_bytes(half)
    for name in ("9.png", "10.png"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "11.png").unlink()
    report = check_photos({"": data})
    assert not report.fit
    # and the two empty ones are no copies of each other
    assert found(report) == [("unreadable file", name, True)
                             for name in ("3.png", "7.png", "9.png", "10.png", "11.png")]
    messages = {each.where: each.message for each in report.problems}
    assert "cut off" in messages["3.png"] and "is empty" in messages["9.png"]
    assert "does not exist" in messages["11.png"]
    # without decoding: only what is seen from outside
    report = check_photos({"": data}, pixels=False)
    assert found(report) == [("unreadable file", name, True)
                             for name in ("9.png", "10.png", "11.png")]


def test_a_picture_too_large_is_not_decoded(tmp_path):
    data = dataset(tmp_path, {"a.png": (0,)}, max_pixels=100)
    assert "40 x 30 = 1,200 pixels" in str(check_photos({"": data}).problems[0])


def test_copies_within_a_split_and_between_two(tmp_path):
    train = even(tmp_path / "train")
    os.link(tmp_path / "train" / "0.png", tmp_path / "train" / "same.png")
    os.link(tmp_path / "train" / "1.png", tmp_path / "train" / "other.png")
    names = train.annotations.names
    rows = dict(zip(names, train.annotations.present, strict=True))
    train = dataset(tmp_path / "train", rows | {"same.png": (0,), "other.png": (0,)})
    report = check_photos({"train": train})
    assert found(report) == [("contradictory labels", "other.png", True),
                             ("duplicate", "same.png", False)]
    # in another split, under another name
    (tmp_path / "test").mkdir()
    os.link(tmp_path / "train" / "4.png", tmp_path / "test" / "new.png")
    os.link(tmp_path / "train" / "5.png", tmp_path / "test" / "wrong.png")
    clean = dataset(tmp_path / "train", rows)
    (tmp_path / "train" / "same.png").unlink()
    (tmp_path / "train" / "other.png").unlink()
    test = dataset(tmp_path / "test", {"new.png": (0,), "wrong.png": (0,)})
    report = check_photos({"train": clean, "test": test})
    assert found(report) == [("leakage", "new.png", True), ("leakage", "wrong.png", True),
                             ("contradictory labels", "wrong.png", True)]
    assert "of test has the content of 4.png, which is in train" in report.problems[0].message


def test_the_same_file_in_two_splits_is_leakage(tmp_path):
    data = even(tmp_path)
    splits = {"train": data.subset(range(20)), "val": data.subset(range(19, 24))}
    assert [each for each in found(check_photos(splits)) if each[2]] == [
        ("leakage", "19.png", True)]


def test_what_is_not_annotated_contradicts_nothing(tmp_path):
    picture(tmp_path / "a.png")
    os.link(tmp_path / "a.png", tmp_path / "b.png")
    data = dataset(tmp_path, {"a.png": (0,), "b.png": (0,)}, unknown={"b.png": (1,)})
    assert found(check_photos({"": data})) == [("duplicate", "b.png", False)]
    data = dataset(tmp_path, {"a.png": (0, 1), "b.png": (0,)})
    assert found(check_photos({"": data})) == [("contradictory labels", "b.png", True)]


def test_pictures_without_annotation_and_of_another_size(tmp_path):
    pictures(tmp_path, "x.png", "y.jpg")
    boxes = Boxes.of(np.array([0, 1, 2]), np.array([0, 0, 0]), np.ones((3, 4), np.float32),
                     np.array([[40, 30], [30, 40], [0, 0]], np.int32))
    rows = {"a.png": (0,), "b.png": (0,), "c.png": (0,)}
    for number, name in enumerate(rows):
        picture(tmp_path / name, 7 + number)
    report = check_photos({"": dataset(tmp_path, rows, boxes=boxes)})
    assert found(report) == [("other size", "b.png", False),
                             ("without annotation", str(tmp_path), False)]
    assert "30 x 40 pixels and has 40 x 30" in report.problems[0].message
    assert "2 pictures have none, 'x.png' the first" in report.problems[1].message


def test_imbalance(tmp_path):
    rows = {f"{number}.png": (0,) for number in range(12)}
    one = check_photos({"train": dataset(tmp_path, rows)})
    said = [each.message for each in one.problems]
    assert one.fit and len(said) == 2
    assert "1 labels (dog) are never present" in said[0]
    assert "1 labels (cat) are present wherever annotated" in said[1]
    few = check_photos({"": dataset(tmp_path, rows | {"0.png": (1,)})})
    assert "1 labels (dog) have fewer than 10 positives" in few.problems[0].message
    # a cat in all that are annotated
    most = {f"{number}.png": (0,) if number else () for number in range(12)}
    hidden = check_photos({"": dataset(tmp_path, most, unknown={"0.png": (0,)})})
    assert any("present wherever annotated" in each.message for each in hidden.problems)
    assert hidden.counts[""].present.tolist() == [11, 0]
    assert hidden.counts[""].annotated.tolist() == [11, 12]


def test_a_label_a_hundred_times_as_frequent(tmp_path):
    data = dataset(tmp_path, {f"{number}.png": (0,) if number else (1,) for number in range(103)})
    report = check_photos({"": data}, pixels=False)
    assert "cat is 102 times as frequent" in report.problems[-1].message


def test_what_was_told_while_reading_and_the_whole_report(tmp_path):
    data = even(tmp_path)
    told = [Problem("missing file", f"{at}.jpg", "is gone; look for it") for at in range(12)]
    told.insert(0, Problem("empty box", "x.xml", "has none; it is left out", False))
    report = check_photos({"train": data}, told)
    assert not report.fit and report.problems[-1].kind == "empty box"
    lines = as_text(report, show=3).splitlines()
    assert "FAIL  missing file: 12" in lines and "note  empty box: 1" in lines
    assert "      2.jpg: is gone; look for it" in lines and "      3.jpg" not in "".join(lines)
    assert any("and 9 more; --out FILE" in line for line in lines)
    assert lines[-1] == "12 problems to mend before this data is used."
    assert problem_lines(told, 0)[1] == "FAIL  missing file: 12"
    write_json(tmp_path / "report.json", report.to_dict())
    written = report.to_dict()
    assert not written["fit"] and len(written["problems"]) == 13
    assert written["splits"]["train"]["labels"]["dog"] == {"present": 12, "annotated": 24}


def test_names_that_would_drive_a_terminal_are_escaped():
    text = str(Problem("missing file", "a\x1b[2J.jpg", "is gone; look for it"))
    assert "\x1b" not in text and "\\x1b" in text


def test_splits_with_other_labels_and_none(tmp_path):
    one = even(tmp_path)
    other = PhotoDataset(tmp_path, one.annotations, Vocabulary(("dog", "cat")))
    with pytest.raises(ValueError, match="train, val have different labels"):
        check_photos({"train": one, "val": other})
    with pytest.raises(ValueError, match="no split to check"):
        check_photos({})
    nothing = check_photos({"": one.subset([])})
    assert nothing.fit and as_text(nothing).startswith("pictures: 0 pictures, 2 labels\n")


def test_contents_come_in_order_and_pipes_are_not_waited_for(tmp_path):
    pictures(tmp_path, "a.png", "b.png")
    os.mkfifo(tmp_path / "pipe.png")
    os.link(tmp_path / "a.png", tmp_path / "c.png")
    steps = []
    names = ("a.png", "pipe.png", "b.png", "c.png", "gone.png")
    a, pipe, b, c, gone = contents([tmp_path / name for name in names],
                                   step=lambda: steps.append(1))
    assert a.digest == c.digest != b.digest and a.size == (40, 30) and len(steps) == 5
    assert "pipe" in pipe.trouble and not pipe.digest and "does not exist" in gone.trouble
    blind = list(contents([tmp_path / name for name in names], pixels=False))
    assert [each.digest for each in blind] == [each.digest for each in (a, pipe, b, c, gone)]
    assert "no regular file" in blind[1].trouble
