"""A folder with an annotation file: the seed's JSON and Kaggle's CSV, whole, wrong and huge."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from hybridlab.data.folder import (
    NoAnnotationsError,
    folder_photos,
    folder_splits,
    unlabelled_photos,
)
from hybridlab.data.problems import AnnotationError
from hybridlab.data.sample import Vocabulary
from hybridlab.data.seed_json import write_seed_json

from .photo_files import kinds, memory, pictures, write

SEED = {
    "image1.jpg": {"labels": [0, 5, 12], "label_names": ["person", "car", "building"]},
    "image2.jpg": {"labels": [3, 8], "label_names": ["dog", "cat"]},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path / "images", "image1.jpg", "image2.jpg", "sub/image3.png")


def told(folder, path, **options):
    """Problems with what was read all the same."""
    problems = []
    data = folder_photos(folder, path, tell=problems.append, **options)
    return kinds(problems), data


# --- JSON of seed 002 ---------------------------------------------------------------------------


def test_the_example_of_seed_002(folder, tmp_path):
    data = folder_photos(folder, write(tmp_path / "a.json", SEED), split="train")
    assert len(data) == 2 and len(data.vocabulary) == 13 and data.split == "train"
    assert data.vocabulary.decode(data[0].targets) == ["person", "car", "building"]
    assert data.vocabulary.decode(data[1].targets) == ["dog", "cat"]
    assert data[1].image.shape == (30, 40, 3) and data[1].index == 1
    assert data.path(1) == folder / "image2.jpg"
    wide = folder_photos(folder, tmp_path / "a.json", num_classes=80)
    assert wide.label_matrix().shape == (2, 80) and wide.label_matrix().sum() == 5


@pytest.mark.parametrize("entry", [
    {"labels": [1, 2]}, {"label_names": ["dog", "owl"]}, {"labels": ["dog", "owl"]},
    {"label_names": ["owl", "dog"], "labels": [2, 1]}, {"labels": [1, 2, 1]},
])
def test_indices_names_or_both_say_the_same(folder, tmp_path, entry):
    path = write(tmp_path / "a.json", {"image1.jpg": entry})
    data = folder_photos(folder, path, vocabulary=Vocabulary(("cat", "dog", "owl")))
    assert data.label_matrix().tolist() == [[0, 1, 1]]


def test_no_label_and_labels_not_annotated(folder, tmp_path):
    path = write(tmp_path / "a.json", {
        "image1.jpg": {"labels": [], "label_names": []},
        "image2.jpg": {"labels": [0], "label_names": ["cat"], "not_annotated": [2, "dog"]},
        "sub/image3.png": {"labels": [1, 2], "label_names": ["dog", "owl"]},
    })
    data = folder_photos(folder, path)
    assert data.label_matrix().tolist() == [[0, 0, 0], [1, -1, -1], [0, 1, 1]]


def test_splits_share_their_columns(folder, tmp_path):
    """Names alone are put in order over all files, not in each by itself."""
    train = write(tmp_path / "train.json", {"image1.jpg": {"label_names": ["owl", "bee"]}})
    val = write(tmp_path / "val.json", {"image2.jpg": {"label_names": ["cat"]}})
    splits = folder_splits(folder, {"train": train, "val": val})
    assert splits["train"].vocabulary == splits["val"].vocabulary == Vocabulary(
        ("bee", "cat", "owl"))
    assert splits["val"].label_matrix().tolist() == [[0, 1, 0]]


@pytest.mark.parametrize(
    ("name", "entry", "kind", "words"),
    [
        ("image1.jpg", {"labels": [3], "label_names": ["cow"]}, "contradictory labels",
         "label 3 is 'cow' here and 'dog' elsewhere"),
        ("image1.jpg", {"labels": [4], "label_names": ["dog"]}, "contradictory labels",
         "'dog' is label 4 here and 3 elsewhere"),
        ("image1.jpg", {"labels": [3], "label_names": []}, "contradictory labels",
         "1 labels and 0 label_names"),
        ("image1.jpg", {"labels": [3], "not_annotated": [3]}, "contradictory labels",
         "also said to be not annotated"),
        ("image1.jpg", {"labels": [99]}, "unknown label", "unknown label 99"),
        ("image1.jpg", {"labels": [-1]}, "unknown label", "unknown label -1"),
        ("image1.jpg", {"labels": [1.5]}, "contradictory labels", "give a whole number"),
        ("image1.jpg", {"labels": [float("nan")]}, "contradictory labels", "give a whole number"),
        ("image1.jpg", {"labels": "3"}, "wrong type", "labels is \"3\"; expected a list"),
        ("image1.jpg", {"labels": None}, "wrong type", "labels is null"),
        ("image1.jpg", [3], "wrong type", "is [3]; expected"),
        ("image1.jpg", {"label": [3]}, "wrong type", "has the keys"),
        ("image1.jpg", {}, "wrong type", "has the keys []"),
        ("image9.jpg", {"labels": [3]}, "missing file", "no such file in the folder"),
        ("IMAGE1.jpg", {"labels": [3]}, "missing file", "there is 'image1.jpg'"),
        ("../image1.jpg", {"labels": [3]}, "unsafe path", "leads out of the folder"),
        ("/etc/hosts", {"labels": [3]}, "unsafe path", "absolute path"),
        ("a\0.jpg", {"labels": [3]}, "unsafe path", "NUL"),
        ("./image2.jpg", {"labels": [3]}, "repeated picture", "stands twice"),
    ],
)
def test_a_line_that_cannot_be_used(folder, tmp_path, name, entry, kind, words):
    path = write(tmp_path / "a.json", {"image2.jpg": SEED["image2.jpg"], name: entry})
    with pytest.raises(AnnotationError) as caught:
        folder_photos(folder, path, num_classes=13)
    assert words in str(caught.value) and caught.value.problem.kind == kind
    # the rest may be used, without that line
    problems, data = told(folder, path, num_classes=13)
    assert [each for each, _ in problems] == [kind]
    assert data.annotations.names == ("image2.jpg",)


def test_a_link_that_leaves_the_folder_is_refused(folder, tmp_path):
    pictures(tmp_path / "out", "secret.jpg")
    (folder / "link.jpg").symlink_to(tmp_path / "out" / "secret.jpg")
    path = write(tmp_path / "a.json", {"link.jpg": {"label_names": ["cat"]}})
    with pytest.raises(AnnotationError, match="link that leaves the folder"):
        folder_photos(folder, path)


def test_a_picture_or_a_key_twice(folder, tmp_path):
    entry = '"image1.jpg": {"labels": [0]}'
    problems, data = told(folder, write(tmp_path / "a.json", f"{{{entry}, {entry}}}"))
    assert problems == [("repeated picture", "image1.jpg")] and len(data) == 1
    text = '{"image1.jpg": {"labels": [0], "labels": [1]}, "image2.jpg": {"labels": [1]}}'
    problems, data = told(folder, write(tmp_path / "b.json", text))
    assert problems == [("repeated key", "image1.jpg")]
    assert data.annotations.names == ("image2.jpg",)
    # by another name: without its ending, or as Windows writes it
    text = "filename,tags\nimage1,cat\nimage1.jpg,cat\nsub/image3,cat\nsub\\image3.png,cat\n"
    problems, data = told(folder, write(tmp_path / "d.csv", text))
    assert problems == [("repeated picture", "image1"), ("repeated picture", "sub\\image3.png")]
    assert data.annotations.names == ("image1.jpg", "sub/image3.png")
    # a label twice has one meaning; it is told, and costs nothing
    path = write(tmp_path / "c.json", {"image1.jpg": {"labels": [1, 1]}})
    assert told(folder, path)[0] == [("repeated label", "image1.jpg")]
    assert folder_photos(folder, path).label_matrix().tolist() == [[0, 1]]


def test_a_file_that_is_cut_off_and_files_of_another_kind(folder, tmp_path):
    text = json.dumps(SEED)
    path = write(tmp_path / "a.json", text[:-20])
    with pytest.raises(AnnotationError, match="it is cut off"):
        folder_photos(folder, path)
    problems, data = told(folder, path)
    assert problems == [("annotation file", str(path))] and len(data) == 1
    for other, words in (("[]", "an object in braces"), ("", "empty"), ("a.jpg,cat", "no JSON")):
        with pytest.raises(AnnotationError, match=words):
            folder_photos(folder, write(tmp_path / "b.json", other))
    with pytest.raises(AnnotationError, match=r"is no .json and no .csv"):
        folder_photos(folder, write(tmp_path / "b.yaml", "a: 1"))
    with pytest.raises(AnnotationError, match=r"cannot be read .No such file"):
        folder_photos(folder, tmp_path / "gone.json")
    with pytest.raises(ValueError, match="labels no picture"):
        folder_photos(folder, write(tmp_path / "c.json", {}))


def test_what_is_written_is_read_again(folder, tmp_path):
    (folder / os.fsdecode(b"caf\xe9.jpg")).write_bytes((folder / "image1.jpg").read_bytes())
    told = SEED | {"caf\udce9.jpg": {"labels": [1], "not_annotated": [0]},
                   "sub/image3.png": {"labels": []}}
    data = folder_photos(folder, write(tmp_path / "a.json", told))
    write_seed_json(tmp_path / "b.json", data.annotations, data.vocabulary)
    again = folder_photos(folder, tmp_path / "b.json")
    assert again.annotations == data.annotations and again.vocabulary == data.vocabulary
    assert len(again[2].image) == 30  # the file whose name is not UTF-8
    with pytest.raises(FileExistsError):
        write_seed_json(tmp_path / "b.json", data.annotations, data.vocabulary)
    nothing = data.subset([])
    write_seed_json(tmp_path / "c.json", nothing.annotations, nothing.vocabulary)
    assert json.loads((tmp_path / "c.json").read_text()) == {}


# --- CSV ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "image_name,tags\nimage1,dog owl\nimage2,\nsub/image3,cat\n",
        "Image,Labels\r\nimage1.jpg,owl|dog\r\nimage2.jpg,\r\nsub/image3.png,cat\r\n",
        'Id,Target\nimage1,"dog, owl"\n\nimage2,""\nsub/image3,cat\n',
        "filename,cat,dog,owl\nimage1.jpg,0,1,1\nimage2.jpg,0,0,0\nsub/image3.png,1,0,0\n",
        "\ufefffilename,cat,dog,owl\nimage1.jpg,0.0,1.0,1\nimage2.jpg,0,0,0\nsub\\image3.png,1,0,0",
    ],
)
def test_the_forms_of_csv(folder, tmp_path, text):
    data = folder_photos(folder, write(tmp_path / "a.csv", text))
    assert data.vocabulary.names == ("cat", "dog", "owl")
    assert data.annotations.names == ("image1.jpg", "image2.jpg", "sub/image3.png")
    assert data.label_matrix().tolist() == [[0, 1, 1], [0, 0, 0], [1, 0, 0]]


def test_indices_in_csv_and_entries_not_annotated(folder, tmp_path):
    data = folder_photos(folder, write(tmp_path / "a.csv", "Id,Target\nimage1,16 0\n"))
    assert np.flatnonzero(data[0].targets).tolist() == [0, 16]
    text = "filename,owl,cat\nimage1.jpg,1,\nimage2.jpg,-1,0\n"
    data = folder_photos(folder, write(tmp_path / "b.csv", text))
    assert data.vocabulary.names == ("owl", "cat")  # in the order of the file
    assert data.label_matrix().tolist() == [[1, -1], [-1, 0]]
    given = folder_photos(folder, tmp_path / "b.csv", vocabulary=Vocabulary(("cat", "dog", "owl")))
    assert given.label_matrix().tolist() == [[-1, 0, 1], [0, 0, -1]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "begins with []"), ("filename\na.jpg\n", "expected a header"),
        ("filename,cat,cat\n", "column 'cat' twice"), ("filename,cat,\n", "expected a header"),
        ("filename,cat,dog\nimage1.jpg,1\n", "line 2 has 2 fields, the header 3"),
        ("filename,cat,dog\nimage1.jpg,1,yes\n", "line 2: dog is 'yes'; expected 1, 0"),
        ("filename,cat,dog\nimage1.jpg,1,0\nimage1.jpg,1,0\n", "stands twice"),
        ('filename,cat,dog\n"image1.jpg,1,0\n', "no CSV that can be used"),
        ("filename,tags\n../x,cat\n", "leads out of the folder"),
        ("filename,tags\nimage1,cat\nimage7,cat\n", "no such file in the folder"),
        ("filename,tags\nimage\0,cat\n", "NUL"),
        (f"filename,tags\nimage1,{'x' * 200_000}\n", "field larger than field limit"),
    ],
)
def test_csv_that_cannot_be_used(folder, tmp_path, text, words):
    with pytest.raises((AnnotationError, ValueError)) as caught:
        folder_photos(folder, write(tmp_path / "a.csv", text))
    assert words in str(caught.value)


def test_csv_of_another_encoding_and_cut_off(folder, tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("filename,tags\nimage1,Kühe\n".encode("latin-1"))
    with pytest.raises(AnnotationError, match="is not UTF-8"):
        folder_photos(folder, path)
    problems, data = told(folder, write(tmp_path / "b.csv", "filename,tags\nimage1,haze prim"))
    assert problems == [("annotation file", str(tmp_path / "b.csv"))] and len(data) == 1
    with pytest.raises(AnnotationError, match="unknown label 'bee'"):
        folder_photos(folder, write(tmp_path / "c.csv", "filename,tags\nimage1,bee\n"),
                      vocabulary=Vocabulary(("cat",)))


# --- no annotations -----------------------------------------------------------------------------


def test_without_an_annotation_file_no_label_is_invented(folder):
    with pytest.raises(NoAnnotationsError) as caught:
        folder_photos(folder)
    for words in ("no labels are invented", "seed 002", "departs", "zero-shot"):
        assert words in str(caught.value)


def test_pictures_without_labels_have_none_annotated(folder, tmp_path):
    pictures(tmp_path / "out", "secret.jpg")
    (folder / "link.jpg").symlink_to(tmp_path / "out" / "secret.jpg")
    data = unlabelled_photos(folder, Vocabulary(("cat", "dog")), image_size=16)
    assert data.annotations.names == ("image1.jpg", "image2.jpg", "sub/image3.png")
    assert (data.label_matrix() == -1).all() and data[2].image.shape == (16, 16, 3)


def test_an_empty_folder_and_one_without_pictures(tmp_path):
    write(tmp_path / "a.json", SEED)
    (tmp_path / "empty").mkdir()
    for call in (lambda folder: folder_photos(folder, tmp_path / "a.json"),
                 lambda folder: unlabelled_photos(folder, Vocabulary(("cat",)))):
        with pytest.raises(ValueError, match=r"holds no file, so no .jpg, .jpeg or .png"):
            call(tmp_path / "empty")
        with pytest.raises(ValueError, match=r"holds 1 files, none of them .jpg"):
            call(tmp_path)
        with pytest.raises(FileNotFoundError):
            call(tmp_path / "gone")


# --- size ---------------------------------------------------------------------------------------


def test_a_hundred_thousand_pictures_are_opened_fast(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    names = [f"{number:06d}.jpg" for number in range(100_000)]
    for name in names:
        os.close(os.open(folder / name, os.O_CREAT, 0o600))
    path = write(tmp_path / "a.json", {name: {"labels": [at % 80, 80]}
                                       for at, name in enumerate(names)})
    began = time.process_time()
    data = folder_photos(folder, path)
    matrix = data.label_matrix()
    assert time.process_time() - began < 10, "it takes 2 s of a core"
    assert matrix.shape == (100_000, 81) and matrix.sum() == 200_000


def test_an_annotation_file_of_50_mb_is_read_within_300_mb(tmp_path):
    folder = pictures(tmp_path / "images", "🦉000000.jpg")
    path = tmp_path / "a.json"
    # characters beyond the first plane: as one text, Python would need four bytes for each
    with open(path, "w", encoding="utf-8") as file:
        file.write("{")
        for number in range(400_000):
            labels = [number % 77, 77, 78, 79]
            entry = {"labels": labels, "label_names": [f"🐄 {each} 🐄🐄" for each in labels]}
            file.write(("," if number else "")
                       + json.dumps({f"🦉{number:06d}.jpg": entry}, ensure_ascii=False)[1:-1])
        file.write("}")
    labels, problems, most = memory(folder, path, "seed")
    assert labels == 80 and problems == 399_999  # all but one are not there, and each is told
    assert most < 300
