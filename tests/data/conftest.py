"""Small sets in the formats of VOC, COCO and NUS-WIDE, as their archives unpack."""

from __future__ import annotations

from pathlib import Path

import pytest

from hybridlab.data.voc import VOC_LABELS

from .photo_files import NUS_FILES, NUS_MARKS, VOC_OBJECTS, content, pictures, voc_xml, write


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """A small VOC2007 as its archive unpacks."""
    home = tmp_path / "VOCdevkit" / "VOC2007"
    pictures(home / "JPEGImages", *(f"{id_}.jpg" for id_ in VOC_OBJECTS))
    main = home / "ImageSets" / "Main"
    sets = {"train": ["000001", "000002"], "val": ["000003"], "test": ["000004"]}
    sets["trainval"] = sets["train"] + sets["val"]
    for name, ids in sets.items():
        write(main / f"{name}.txt", "".join(f"{id_}\n" for id_ in ids))
        for label in VOC_LABELS:
            lines = []
            for id_ in ids:
                hard = [difficult for each, _, difficult in VOC_OBJECTS[id_] if each == label]
                mark = -1 if not hard else 0 if all(hard) else 1
                lines.append(f"{id_} {mark:2d}\n")  # VOC has two spaces before a 1
            write(main / f"{label}_{name}.txt", "".join(lines))
    for id_, objects in VOC_OBJECTS.items():
        write(home / "Annotations" / f"{id_}.xml", voc_xml(*objects))
    return tmp_path


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    pictures(tmp_path / "val2017", *(f"{number:012d}.jpg" for number in (9, 25, 30)))
    write(tmp_path / "annotations" / "instances_val2017.json", content())
    return tmp_path


@pytest.fixture
def nus(tmp_path: Path) -> Path:
    pictures(tmp_path / "Flickr", *NUS_FILES)
    write(tmp_path / "ConceptsList" / "Concepts81.txt", "airport\nanimal\nsky\n")
    for image_set, rows in (("Train", [0, 1]), ("Test", [2]), ("", [0, 1, 2])):
        write(tmp_path / "ImageList" / f"{image_set}Imagelist.txt",
              "".join(NUS_FILES[row].replace("/", "\\") + "\n" for row in rows))
        for concept, marks in NUS_MARKS.items():
            name = (f"TrainTestLabels/Labels_{concept}_{image_set}.txt" if image_set
                    else f"AllLabels/Labels_{concept}.txt")
            write(tmp_path / "Groundtruth" / name, "".join(f"{marks[row]}\n" for row in rows))
    return tmp_path
