"""COCO's format: held against pycocotools, and what a file gets wrong is told."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from hybridlab.data.coco import coco_file, coco_photos
from hybridlab.data.problems import AnnotationError
from hybridlab.data.sample import Vocabulary

from .photo_files import CATEGORIES, annotation, content, kinds, memory, pictures, write


def changed(coco, **changes):
    """Problems, and what was read all the same."""
    problems = []
    write(coco / "annotations" / "instances_val2017.json", content(**changes))
    return kinds(problems), problems, coco_photos(coco, tell=problems.append)


@pytest.mark.parametrize("order", [1, -1])
def test_labels_and_boxes_are_those_of_pycocotools(coco, capsys, order):
    path = coco / "annotations" / "instances_val2017.json"
    path.write_text(json.dumps(dict(list(content().items())[::order]), indent=order + 1))
    ours, theirs = coco_photos(coco), COCO(path)
    capsys.readouterr()
    categories = theirs.loadCats(sorted(theirs.getCatIds()))
    assert ours.vocabulary.names == tuple(each["name"] for each in categories)
    assert ours.vocabulary.names == ("person", "car", "toothbrush")  # ids 1, 3, 90
    for row, picture in enumerate(theirs.loadImgs(theirs.getImgIds())):
        assert ours.annotations.names[row] == picture["file_name"]
        found = theirs.loadAnns(theirs.getAnnIds(imgIds=picture["id"]))
        labels = {theirs.cats[each["category_id"]]["name"] for each in found}
        assert set(ours.vocabulary.decode(ours[row].targets)) == labels
        assert [each.box for each in ours[row].objects] == [
            (left, top, left + width, top + height)
            for left, top, width, height in (each["bbox"] for each in found)
        ]
    assert ours.split == "val2017" and ours.label_matrix().tolist() == [
        [1, 0, 1], [0, 0, 0], [1, 1, 0]]


@pytest.mark.parametrize("seed", range(3))
def test_random_files_as_pycocotools_reads_them(tmp_path, capsys, seed):
    rng = np.random.default_rng(seed)
    ids = rng.choice(2**40, 12, replace=False).tolist()
    categories = rng.choice(200, 7, replace=False).tolist()
    images = [{"id": id_, "file_name": f"{id_}.png", "width": 40, "height": 30} for id_ in ids]
    pictures(tmp_path / "p", *(each["file_name"] for each in images))
    told = [annotation(number, int(rng.choice(ids)), int(rng.choice(categories)),
                       rng.uniform(1, 9, 4).tolist()) for number in range(40)]
    path = write(tmp_path / "a.json", content(
        images=images, annotations=told,
        categories=[{"id": id_, "name": f"c{id_}"} for id_ in categories]))
    ours, theirs = coco_file(tmp_path / "p", path), COCO(path)
    capsys.readouterr()
    columns = {id_: at for at, id_ in enumerate(sorted(categories))}
    for row, id_ in enumerate(ids):
        found = theirs.imgToAnns[id_]
        expected = {columns[each["category_id"]] for each in found}
        assert set(np.flatnonzero(ours[row].targets).tolist()) == expected
        boxes = [(*each["bbox"][:2], each["bbox"][0] + each["bbox"][2],
                  each["bbox"][1] + each["bbox"][3]) for each in found]
        assert [each.label for each in ours[row].objects] == [
            columns[each["category_id"]] for each in found]
        assert np.allclose(np.array([each.box for each in ours[row].objects]).reshape(-1, 4),
                           np.array(boxes).reshape(-1, 4), rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"annotations": [annotation(1, 9, 1, (1, 2, float("nan"), 3))]}, "bad box",
         "annotations[0]: the box is [1, 2, nan, 3]; expected four finite"),
        ({"annotations": [annotation(1, 9, 1, (1, 2, 1e300, 3))]}, "bad box", "four finite"),
        ({"annotations": [annotation(1, 9, 1, (1, 2, 3))]}, "bad box", "four finite"),
        ({"annotations": [annotation(1, 9, 1, ("1", 2, 3, 4))]}, "bad box", "four finite"),
        ({"annotations": [annotation(1, 9, 1) | {"bbox": None}]}, "bad box", "four finite"),
        ({"annotations": [annotation(1, 9, 2)]}, "unknown label", "annotates category 2"),
        ({"annotations": [annotation(1, 8, 1)]}, "unknown picture", "annotates image 8"),
        ({"annotations": [annotation(1, "9", 1)]}, "wrong type", "image_id is '9'"),
        ({"annotations": [annotation(1, 2**80, 1)]}, "wrong type", "expected a whole number"),
        ({"annotations": [{"id": 1, "image_id": 9}]}, "wrong type", "has no 'category_id'"),
        ({"annotations": [[1]]}, "wrong type", "annotations[0] is a list"),
        ({"annotations": [annotation(1, 9, 1), annotation(1, 9, 3)]}, "repeated annotation",
         "has 1 ids of annotations twice, 1 among them"),
        ({"categories": [*CATEGORIES, {"id": 3, "name": "bus"}]}, "contradictory labels",
         "category 3, 'bus', is there already"),
        ({"categories": [*CATEGORIES, {"id": 4, "name": "car"}]}, "contradictory labels",
         "category 4, 'car', is there already"),
        ({"images": content()["images"] + [{"id": 9, "file_name": "x.jpg"}]}, "repeated picture",
         "has the id 9"),
        ({"images": content()["images"] + [{"id": 10, "file_name": "000000000009.jpg"}]},
         "repeated picture", "is the file of two ids"),
        ({"images": content()["images"] + [{"id": 10, "file_name": "gone.jpg"}]}, "missing file",
         "no such file"),
        ({"images": content()["images"] + [{"id": 10, "file_name": "../../x.jpg"}]},
         "unsafe path", "leads out"),
        ({"images": content()["images"] + [{"id": 10, "file_name": 7}]}, "wrong type",
         "file_name is '7'; expected text"),
    ],
)
def test_what_is_wrong_is_told(coco, changes, kind, words):
    _, problems, data = changed(coco, **changes)
    assert [each.kind for each in problems] == [kind] and words in str(problems[0])
    assert len(data) == 3, "the rest may be used"
    with pytest.raises(AnnotationError) as caught:
        coco_photos(coco)
    assert caught.value.problem == problems[0]


def test_boxes_without_an_area_and_labels_without_a_box(coco):
    bare = annotation(2, 25, 3)
    del bare["bbox"]
    _, problems, data = changed(coco, annotations=[annotation(1, 9, 1, (5, 5, 0, 3)), bare])
    assert [(each.kind, each.fatal) for each in problems] == [("empty box", False)]
    assert data.label_matrix().tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert data[0].objects == () and len(coco_photos(coco)) == 3


def test_files_of_another_kind(coco):
    path = coco / "annotations" / "instances_val2017.json"
    for text, words in (
        (json.dumps(content())[:-30], "it is cut off"), ("{}", "has no images, annotations, cat"),
        (json.dumps(content(annotations={})), "expected a list"), ("[]", "an object in braces"),
        ('{"images": [], "annotations": [], "categories": []}', "names no category"),
    ):
        path.write_text(text)
        with pytest.raises(AnnotationError, match=words):
            coco_photos(coco)
    twice = json.dumps(content())[:-1] + ', "categories": []}'
    path.write_text(twice)
    with pytest.raises(AnnotationError, match="has 'categories' twice"):
        coco_photos(coco)
    path.write_text(json.dumps(content()).replace('"id": 9,', '"id": 9, "id": 8,'))
    with pytest.raises(AnnotationError, match=r"images\[0\]: the key 'id' is given twice"):
        coco_photos(coco)
    with pytest.raises(FileNotFoundError):
        coco_photos(coco, "train2017")


def test_splits_must_have_the_same_categories(coco):
    labels = coco_photos(coco).vocabulary
    path = coco / "annotations" / "instances_val2017.json"
    assert len(coco_file(coco / "val2017", path, vocabulary=labels)) == 3
    with pytest.raises(ValueError, match=r"has the categories person, car.*expected cat"):
        coco_file(coco / "val2017", path, vocabulary=Vocabulary(("cat",)))


def test_a_file_of_50_mb_is_read_within_300_mb(coco):
    path = coco / "big.json"
    with open(path, "w") as file:
        text = json.dumps(content(annotations=[]))
        begin, end = text.split('"annotations": []')
        file.write(f'{begin}"annotations": [')
        for number in range(500_000):
            one = annotation(number, 9, 1, (number % 20 + 0.25, 2.5, 10.75, 7.5))
            del one["segmentation"]
            file.write(("," if number else "") + json.dumps(one))
        file.write(f"]{end}")
    labels, problems, most = memory(coco / "val2017", path, "coco")
    assert (labels, problems) == (3, 0) and most < 300
