"""PASCAL VOC 2007 to 2012: labels from ImageSets/Main or from the XML annotations.

An object that annotators found hard to recognise is marked `difficult`. VOC's own evaluation leaves
a picture out of the AP of a label of which it has difficult objects only. Others count them as
present, or as absent; published figures differ by it, so it is a choice here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal
from xml.etree.ElementTree import Element

import numpy as np

from hybridlab.data.box_rows import BoxRows
from hybridlab.data.images import shown
from hybridlab.data.inside import Listing
from hybridlab.data.photos import Annotations, Boxes, Columns, PhotoDataset
from hybridlab.data.problems import AnnotationError, Problem, Tell, must_read, raise_fatal
from hybridlab.data.sample import Vocabulary
from hybridlab.data.strict_xml import read_xml
from hybridlab.files import StrPath

VOC_LABELS = Vocabulary((
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
))
SOURCES = ("xml", "main")
DIFFICULT = ("ignore", "present", "absent")
_MARKS = {"1": "present", "0": "difficult", "-1": "absent"}


def voc_photos(
    root: StrPath, image_set: str = "trainval", *, year: str = "2007",
    source: Literal["xml", "main"] = "xml",
    difficult: Literal["ignore", "present", "absent"] = "ignore",
    vocabulary: Vocabulary = VOC_LABELS, image_size: int | None = None, tell: Tell = raise_fatal,
) -> PhotoDataset:
    """One image set of VOC.

    Args:
        root: the folder VOC2007, or one that holds it, or VOCdevkit/VOC2007.
        image_set: a file of ImageSets/Main: "train", "val", "trainval", "test".
        source: "xml", Annotations/*.xml, with boxes; "main", the list of each label in
            ImageSets/Main, without boxes. Both say the same of labels.
        difficult: what becomes of a label of which a picture has difficult objects only: "ignore",
            not annotated (-1); "present" or "absent".
        vocabulary: other labels, for other data in VOC's format.
        image_size: as `PhotoDataset`.
        tell: as `folder.folder_photos`.

    Raises:
        FileNotFoundError: there is no VOC of that year, or no such image set.
        AnnotationError: a list or an annotation cannot be used.
        ValueError: an unknown source or choice.
    """
    for name, given, known in (("source", source, SOURCES), ("difficult", difficult, DIFFICULT)):
        if given not in known:
            raise ValueError(f"{name} is {given!r}; choose one of {', '.join(known)}")
    home = voc_folder(root, year)
    main = home / "ImageSets" / "Main"
    if not (main / f"{image_set}.txt").is_file():
        found = sorted(each.stem for each in main.glob("*.txt") if "_" not in each.stem)
        raise FileNotFoundError(
            f"there is no image set {image_set!r} in {shown(main)}; it has "
            f"{', '.join(found) or 'none'}"
        )
    listing = Listing(home / "JPEGImages")
    ids = _ids(main / f"{image_set}.txt", listing, tell)
    names = list(ids)
    if source == "main":
        said = _from_lists(main, image_set, names, vocabulary)
        kept, boxes = list(range(len(names))), None
    else:
        reader = _XmlReader(vocabulary, tell)
        read = [reader.read(home / "Annotations" / f"{name}.xml", name) for name in names]
        kept = [at for at, each in enumerate(read) if each is not None]
        said = [each for each in read if each is not None]
        boxes = reader.boxes(kept)
    annotations = Annotations(
        tuple(ids[names[at]] for at in kept),
        tuple(tuple(sorted(sure + hard)) if difficult == "present" else sure
              for sure, hard in said),
        tuple(hard if difficult == "ignore" else () for _, hard in said),
        boxes,
    )
    return PhotoDataset(listing.root, annotations, vocabulary, image_set, image_size)


def voc_folder(root: StrPath, year: str = "2007") -> Path:
    """The folder that holds JPEGImages, Annotations and ImageSets.

    Raises:
        FileNotFoundError: it is neither `root`, nor below it where VOC's archives put it.
    """
    name = f"VOC{year}"
    for place in ("", name, f"VOCdevkit/{name}", f"TrainVal/VOCdevkit/{name}"):
        if (Path(root) / place / "ImageSets" / "Main").is_dir():
            return Path(root) / place
    raise FileNotFoundError(
        f"there is no {name} in {shown(os.fspath(root))} (no ImageSets/Main); give the folder that "
        f"holds VOCdevkit/{name}, or get it with `download_voc`"
    )


def download_voc(root: StrPath, image_set: str = "trainval", *, year: str = "2007") -> Path:
    """Get VOC by torchvision, which checks the archive's MD5; what is there already stays.

    VOC2007 has an archive for "test" and one for the other sets, of 450 MB each; VOC2012's has
    2 GB. Unpacked they need as much again.

    Returns:
        the folder of that year.

    Raises:
        ValueError: torchvision knows no such year or set.
        OSError, RuntimeError: no network, a full disk, or a damaged archive.
    """
    from torchvision.datasets import VOCDetection

    Path(root).mkdir(parents=True, exist_ok=True)
    VOCDetection(os.fspath(root), year=year, image_set=image_set, download=True)
    return voc_folder(root, year)


def _lines(path: Path) -> list[list[str]]:
    """The words of each line that has some."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise must_read(path, error) from error
    return [line.split() for line in text.splitlines() if line.strip()]


def _ids(path: Path, listing: Listing, tell: Tell) -> dict[str, str]:
    """Ids of an image set -> names of their files."""
    ids: dict[str, str] = {}
    for words in _lines(path):
        id_ = words[0]
        if id_ in ids:
            tell(Problem("repeated picture", id_, f"stands twice in {path}; keep one of the two"))
            continue
        try:
            ids[id_] = listing.find(id_, (".jpg", ".JPG", ".jpeg", ".png"))
        except FileNotFoundError as error:
            tell(Problem("missing file", f"{id_}.jpg", str(error)))
        except ValueError as error:
            tell(Problem("unsafe path", id_, str(error)))
    return ids


_Said = tuple[Columns, Columns]  # columns that are there, and of which only difficult ones are


def _from_lists(
    main: Path, image_set: str, ids: list[str], vocabulary: Vocabulary
) -> list[_Said]:
    sure: dict[str, list[int]] = {id_: [] for id_ in ids}
    hard: dict[str, list[int]] = {id_: [] for id_ in ids}
    for column, name in enumerate(vocabulary):
        path = main / f"{name}_{image_set}.txt"
        marks: dict[str, str] = {}
        for words in _lines(path):
            if len(words) != 2 or words[1] not in _MARKS or words[0] in marks:
                raise AnnotationError(Problem(
                    "annotation file", os.fspath(path),
                    f"has the line {' '.join(words)!r}; expected each picture once, with 1 "
                    "(present), 0 (difficult) or -1 (absent)",
                ))
            marks[words[0]] = _MARKS[words[1]]
        for id_ in ids:
            if id_ not in marks:
                raise AnnotationError(Problem(
                    "annotation file", os.fspath(path),
                    f"says nothing of {id_}, which is in {image_set}.txt; copy it again",
                ))
            if marks[id_] != "absent":
                (sure if marks[id_] == "present" else hard)[id_].append(column)
    return [(tuple(sure[id_]), tuple(hard[id_])) for id_ in ids]


class _XmlReader:
    """Reads annotations one after another, and gathers boxes and sizes."""

    def __init__(self, vocabulary: Vocabulary, tell: Tell):
        self.vocabulary, self.tell = vocabulary, tell
        self.rows = BoxRows()
        self.sizes: list[tuple[int, int]] = []

    def boxes(self, kept: list[int]) -> Boxes:
        """The objects of the pictures that are kept."""
        place = np.full(len(self.sizes), -1)
        place[kept] = np.arange(len(kept))
        sizes = np.array(self.sizes, np.int32).reshape(-1, 2)
        return self.rows.boxes(place, np.arange(len(self.vocabulary)), sizes[kept])

    def read(self, path: Path, name: str) -> _Said | None:
        """The labels of the next picture; None where its file cannot be used, which is told."""
        picture = len(self.sizes)
        self.sizes.append((0, 0))
        try:
            root = read_xml(path)
            if root.tag != "annotation":
                raise ValueError(f"begins with <{root.tag[:40]}>; expected <annotation>")
            self.sizes[picture] = _size(root)
            found = [self._object(each, picture, name) for each in root.iterfind("object")]
        except AnnotationError as error:
            self.tell(error.problem)
            return None
        except KeyError as error:
            self.tell(Problem("unknown label", os.fspath(path), str(error.args[0])))
            return None
        except ValueError as error:
            kind = "bad box" if "box" in str(error) else "annotation file"
            self.tell(Problem(kind, os.fspath(path), str(error)))
            return None
        sure = {column for column, hard in found if not hard}
        return tuple(sorted(sure)), tuple(sorted({column for column, _ in found} - sure))

    def _object(self, each: Element, picture: int, of: str) -> tuple[int, bool]:
        name = _one(each, "name")
        column = self.vocabulary.column(name)
        hard = each.findtext("difficult", "0").strip()
        if hard not in ("0", "1"):
            raise ValueError(f"{name} has difficult {hard[:20]!r}; expected 0 or 1")
        box = each.find("bndbox")
        if box is not None:
            try:
                edges = [float(_one(box, edge)) for edge in ("xmin", "ymin", "xmax", "ymax")]
            except ValueError as error:
                raise ValueError(f"{name} has a bad box: {error}") from error
            # pixels are counted from 1, and the last one belongs to the box
            edges[0] -= 1
            edges[1] -= 1
            if not self.rows.add(picture, column, edges):
                self.tell(Problem("empty box", of,
                                  f"{name} has the box {edges} without an area; its label counts, "
                                  "the box is left out", False))
        return column, hard == "1"


def _one(parent: Element, tag: str) -> str:
    found = parent.findall(tag)
    if len(found) != 1 or not (found[0].text or "").strip():
        raise ValueError(f"<{parent.tag}> has {len(found)} <{tag}>; expected one, with text")
    return (found[0].text or "").strip()


def _size(root: Element) -> tuple[int, int]:
    """Width and height that the annotation tells, or 0."""
    size = root.find("size")
    if size is None:
        return (0, 0)
    words = [size.findtext(side, "0").strip() for side in ("width", "height")]
    if not all(word.isdecimal() and len(word) < 7 for word in words):
        raise ValueError(f"the size is {' x '.join(words)[:40]}; expected two numbers of pixels")
    return int(words[0]), int(words[1])
