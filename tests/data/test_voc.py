"""VOC from its own files: lists and XML say the same, difficult objects are a choice."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest

from hybridlab.data.problems import AnnotationError
from hybridlab.data.sample import Vocabulary
from hybridlab.data.voc import VOC_LABELS, download_voc, voc_folder, voc_photos

from .photo_files import kinds, voc_xml, write


def names(data, mark):
    return [[data.vocabulary.names[at] for at in np.flatnonzero(row == mark)]
            for row in data.label_matrix()]


@pytest.mark.parametrize("source", ["xml", "main"])
def test_difficult_objects_are_a_choice(voc, source):
    data = voc_photos(voc, source=source)
    assert data.annotations.names == ("000001.jpg", "000002.jpg", "000003.jpg")
    assert data.split == "trainval" and data.vocabulary == VOC_LABELS and len(VOC_LABELS) == 20
    assert names(data, 1) == [["cat"], ["dog", "person"], []]
    assert names(data, -1) == [["person"], [], []]
    data = voc_photos(voc, source=source, difficult="present")
    assert names(data, 1) == [["cat", "person"], ["dog", "person"], []]
    assert names(data, -1) == [[], [], []]
    data = voc_photos(voc, source=source, difficult="absent")
    assert names(data, 1) == [["cat"], ["dog", "person"], []] and names(data, -1) == [[]] * 3


def test_boxes_come_from_xml_and_count_from_zero(voc):
    data = voc_photos(voc, "train")
    cat, person = data[0].objects
    assert VOC_LABELS.names[cat.label] == "cat" and cat.box == (0, 0, 40, 30)
    assert person.box == (4, 5, 10, 12)
    assert len(data[1].objects) == 2, "a dog without a box is a label all the same"
    assert voc_photos(voc, "train", image_size=20)[0].objects[0].box == (0, 0, 20, 20)
    assert voc_photos(voc, "train", source="main")[0].objects == ()
    assert data.annotations.boxes.sizes.tolist() == [[40, 30], [40, 30]]


@pytest.mark.parametrize("below", ["", "VOCdevkit", "VOCdevkit/VOC2007"])
def test_the_folder_is_found_from_above(voc, below):
    assert voc_folder(voc / below) == voc / "VOCdevkit" / "VOC2007"
    assert len(voc_photos(voc / below, "test")) == 1


def test_what_is_not_there_and_unknown_choices(voc):
    with pytest.raises(FileNotFoundError, match=r"there is no VOC2012 in .*download_voc"):
        voc_photos(voc, year="2012")
    with pytest.raises(FileNotFoundError, match=r"no image set 'tset' .* test, train, "):
        voc_photos(voc, "tset")
    with pytest.raises(ValueError, match="source is 'json'; choose one of xml, main"):
        voc_photos(voc, source="json")
    with pytest.raises(ValueError, match="difficult is 'skip'"):
        voc_photos(voc, difficult="skip")


@pytest.mark.parametrize(
    ("xml", "kind", "words"),
    [
        (voc_xml(("unicorn", (1, 1, 5, 5), 0)), "unknown label", "unknown label 'unicorn'"),
        (voc_xml(("cat", ("nan", 1, 5, 5), 0)), "bad box", "expected four finite numbers"),
        (voc_xml(("cat", (1, "inf", 5, 5), 0)), "bad box", "expected four finite numbers"),
        (voc_xml(("cat", (1, 1, "five", 5), 0)), "bad box", "cat has a bad box"),
        (voc_xml(("cat", (1, 1, "", 5), 0)), "bad box", "expected one, with text"),
        (voc_xml(("cat", (1, 1, 5, 5), 2)), "annotation file", "difficult '2'"),
        (voc_xml(size=("wide", 3)), "annotation file", "the size is wide x 3"),
        (voc_xml(("cat", (1, 1, 5, 5), 0)).replace("</name>", "</name><name>dog</name>"),
         "annotation file", "has 2 <name>"),
        ("<html/>", "annotation file", "begins with <html>"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>', "annotation file", "has a DTD"),
        (voc_xml()[:-9], "annotation file", "no XML that can be used"),
    ],
)
def test_an_annotation_that_cannot_be_used(voc, xml, kind, words):
    write(voc / "VOCdevkit/VOC2007/Annotations/000001.xml", xml)
    with pytest.raises(AnnotationError) as caught:
        voc_photos(voc)
    assert caught.value.problem.kind == kind and words in str(caught.value)
    assert "000001.xml" in str(caught.value)
    problems = []
    data = voc_photos(voc, tell=problems.append)
    assert [each for each, _ in kinds(problems)] == [kind]
    assert data.annotations.names == ("000002.jpg", "000003.jpg")
    first = data[0].objects[0]  # boxes stay with their pictures
    assert (VOC_LABELS.names[first.label], first.box) == ("person", (0, 0, 9, 9))
    assert voc_photos(voc, source="main")[0].targets.sum() == 0, "lists ask no XML"


def test_a_box_without_an_area_costs_the_box_and_not_the_label(voc):
    write(voc / "VOCdevkit/VOC2007/Annotations/000001.xml", voc_xml(("cat", (9, 9, 3, 3), 0)))
    problems = []
    data = voc_photos(voc, "train", tell=problems.append)
    assert kinds(problems) == [("empty box", "000001")] and not problems[0].fatal
    assert data[0].objects == () and names(data, 1)[0] == ["cat"]
    assert len(voc_photos(voc, "train")) == 2, "it stops nobody"


def test_missing_files_and_lists_that_do_not_agree(voc):
    home = voc / "VOCdevkit" / "VOC2007"
    (home / "JPEGImages" / "000002.jpg").unlink()
    (home / "Annotations" / "000003.xml").unlink()
    problems = []
    data = voc_photos(voc, tell=problems.append)
    assert kinds(problems) == [("missing file", "000002.jpg"),
                               ("annotation file", str(home / "Annotations" / "000003.xml"))]
    assert data.annotations.names == ("000001.jpg",)
    main = home / "ImageSets" / "Main"
    write(main / "val.txt", "000003\n../../../x\n000003\n")
    problems.clear()
    voc_photos(voc, "val", tell=problems.append)
    assert kinds(problems)[:2] == [("unsafe path", "../../../x"), ("repeated picture", "000003")]
    write(main / "val.txt", "000003\n")
    for text, words in (("000009 1\n", "says nothing of 000003"), ("000003 2\n", "expected each"),
                        ("000003\n", "expected each"), ("000003 1\n000003 1\n", "expected each")):
        write(main / "cat_val.txt", text)
        with pytest.raises(AnnotationError, match=words):
            voc_photos(voc, "val", source="main")
    (main / "cat_val.txt").unlink()
    with pytest.raises(AnnotationError, match="cannot be read"):
        voc_photos(voc, "val", source="main")


def test_other_labels_in_the_format_of_voc(voc):
    write(voc / "VOCdevkit/VOC2007/Annotations/000004.xml", voc_xml(("cow ", (1, 1, 5, 5), 0)))
    data = voc_photos(voc, "test", vocabulary=Vocabulary(("ant", "cow")))
    assert data.label_matrix().tolist() == [[0, 1]]


def test_download_is_torchvisions(voc, monkeypatch):
    asked = []
    module = ModuleType("torchvision.datasets")
    module.VOCDetection = lambda root, **options: asked.append((root, options))
    monkeypatch.setitem(sys.modules, "torchvision.datasets", module)
    assert download_voc(voc, "test") == voc / "VOCdevkit" / "VOC2007"
    assert asked == [(str(voc), {"year": "2007", "image_set": "test", "download": True})]


def test_torchvision_reads_the_same_folder(voc):
    """The small VOC of these tests is laid out as torchvision expects it."""
    from torchvision.datasets import VOCDetection

    theirs = VOCDetection(str(voc), year="2007", image_set="train")
    ours = voc_photos(voc, "train")
    for row, (image, target) in enumerate(theirs):
        assert np.array_equal(np.asarray(image), ours[row].image)
        found = {each["name"] for each in target["annotation"]["object"]}
        ours_found = names(ours, 1)[row] + names(ours, -1)[row]
        assert found == set(ours_found)
