"""MS COCO 2014 and 2017, and other data in its format.

COCO's own reader, pycocotools, holds the whole file as objects: 350 MB for a file of 50. Labels and
boxes need a small part of it (60 MB), so that the file is read piece by piece here, and held
against pycocotools in the tests. What a file gets wrong, pycocotools does not tell.
"""

from __future__ import annotations

import os
from array import array
from pathlib import Path
from typing import Any

import numpy as np

from hybridlab.data.box_rows import BoxRows, four_numbers
from hybridlab.data.images import shown
from hybridlab.data.inside import Listing
from hybridlab.data.json_stream import JsonStream, RepeatedKeyError
from hybridlab.data.photos import Annotations, PhotoDataset
from hybridlab.data.problems import AnnotationError, Problem, Tell, must_read, raise_fatal
from hybridlab.data.sample import Vocabulary
from hybridlab.files import StrPath

_LISTS = ("images", "annotations", "categories")
_BIG = 2**62


def coco_photos(
    root: StrPath, image_set: str = "val2017", *, image_size: int | None = None,
    tell: Tell = raise_fatal,
) -> PhotoDataset:
    """One set of COCO as its archives unpack: `root/val2017/*.jpg`, and
    `root/annotations/instances_val2017.json`.

    Args:
        image_set: "train2014", "val2014", "train2017", "val2017".
        image_size: as `PhotoDataset`.
        tell: as `folder.folder_photos`.

    Raises:
        as `coco_file`.
    """
    return coco_file(
        Path(root) / image_set, Path(root) / "annotations" / f"instances_{image_set}.json",
        split=image_set, image_size=image_size, tell=tell,
    )


def coco_file(
    folder: StrPath, annotation_file: StrPath, *, split: str = "", image_size: int | None = None,
    vocabulary: Vocabulary | None = None, tell: Tell = raise_fatal,
) -> PhotoDataset:
    """The pictures of a folder that a file in COCO's format annotates.

    A label is present where a picture has an object or a crowd of it; a picture without any has all
    labels absent. Columns follow the categories' ids, which in COCO have gaps (1 to 90 for 80).

    Args:
        vocabulary: of another file, whose columns this one shall have: the categories must be the
            same.

    Raises:
        FileNotFoundError, NotADirectoryError: the folder.
        AnnotationError: the file cannot be used.
        ValueError: it has other categories than `vocabulary`.
    """
    listing = Listing(folder)
    reader = _Reader(annotation_file, tell)
    try:
        with open(annotation_file, "rb") as file:
            reader.read(JsonStream(file, annotation_file))
    except (OSError, ValueError) as error:
        if not isinstance(error, AnnotationError):
            error = must_read(annotation_file, error)
        tell(error.problem)
    labels = reader.vocabulary()
    if vocabulary is not None and labels != vocabulary:
        raise ValueError(
            f"{shown(os.fspath(annotation_file))} has the categories {_few(labels)}, expected "
            f"{_few(vocabulary)}; splits must have the same ones, in the same order"
        )
    return PhotoDataset(listing.root, reader.annotations(listing), labels, split, image_size)


def _few(labels: Vocabulary) -> str:
    return f"{', '.join(labels.names[:3])}, ... ({len(labels)})"


class _Reader:
    """Gathers the three lists of a file, which may come in any order."""

    def __init__(self, path: StrPath, tell: Tell):
        self.path, self.tell = os.fspath(path), tell
        self.categories: dict[int, str] = {}
        self.names: set[str] = set()
        self.images: dict[int, tuple[str, int, int]] = {}
        # annotations: their ids, and numbers of their pictures and categories as they come
        self.ids, self.pictures, self.labels = array("q"), array("i"), array("i")
        self.of_picture: dict[int, int] = {}
        self.of_category: dict[int, int] = {}
        self.rows = BoxRows()

    def problem(self, kind: str, where: str, message: str, fatal: bool = True) -> None:
        """Tell of an entry."""
        self.tell(Problem(kind, where, message, fatal))

    def read(self, stream: JsonStream) -> None:
        """Read the file.

        Raises:
            AnnotationError: it is no JSON, or lacks a list.
        """
        take = {"images": self._image, "annotations": self._annotation,
                "categories": self._category}
        seen = set()
        for key in stream.members():
            if key not in take:
                stream.skip()
                continue
            if key in seen:
                self.problem("repeated key", self.path, f"has {key!r} twice; keep one of the two")
            seen.add(key)
            for at, _ in enumerate(stream.elements()):
                self._entry(stream, f"{key}[{at}]", take[key])
        stream.finish()
        missing = [key for key in _LISTS if key not in seen]
        if missing:
            raise AnnotationError(Problem(
                "annotation file", self.path,
                f"has no {', '.join(missing)}; expected COCO's format with all of "
                f"{', '.join(_LISTS)} (an `instances` file)",
            ))

    def _entry(self, stream: JsonStream, place: str, take: Any) -> None:
        try:
            entry = stream.value()
            if not isinstance(entry, dict):
                raise TypeError(f"{place} is a {type(entry).__name__}; expected an object")
            take(entry, place)
        except RepeatedKeyError as error:
            self.problem("repeated key", self.path, f"{place}: {error}")
        except KeyError as error:
            self.problem("wrong type", self.path, f"{place} has no {error.args[0]!r}; add it")
        except TypeError as error:
            self.problem("wrong type", self.path, str(error))

    def _category(self, entry: dict[str, Any], place: str) -> None:
        id_, name = _whole(entry, "id", place), _text(entry, "name", place)
        if id_ in self.categories or name in self.names:
            self.problem("contradictory labels", self.path,
                         f"{place}: category {id_}, {name!r}, is there already; keep one of them")
            return
        self.categories[id_] = name
        self.names.add(name)

    def _image(self, entry: dict[str, Any], place: str) -> None:
        id_, name = _whole(entry, "id", place), _text(entry, "file_name", place)
        if id_ in self.images:
            self.problem("repeated picture", name,
                         f"has the id {id_}, as has {self.images[id_][0]!r}; give each its own")
            return
        width, height = (
            _whole(entry, side, place) if side in entry else 0 for side in ("width", "height")
        )
        told = 0 <= width < 2**24 and 0 <= height < 2**24
        self.images[id_] = (name, width, height) if told else (name, 0, 0)

    def _annotation(self, entry: dict[str, Any], place: str) -> None:
        id_ = _whole(entry, "id", place)
        picture = _number(self.of_picture, _whole(entry, "image_id", place))
        category = _number(self.of_category, _whole(entry, "category_id", place))
        if "bbox" in entry:
            try:
                left, top, width, height = four_numbers(entry["bbox"])
            except ValueError as error:
                self.problem("bad box", self.path, f"{place}: {error}")
                return
            if not self.rows.add(picture, category, (left, top, left + width, top + height)):
                self.problem("empty box", self.path,
                             f"{place} has the box {entry['bbox']} without an area; its label "
                             "counts, the box is left out", False)
        self.ids.append(id_)
        self.pictures.append(picture)
        self.labels.append(category)

    def vocabulary(self) -> Vocabulary:
        """The categories by rising id."""
        if not self.categories:
            raise AnnotationError(Problem(
                "annotation file", self.path, "names no category; give an `instances` file"))
        return Vocabulary(self.categories[id_] for id_ in sorted(self.categories))

    def annotations(self, listing: Listing) -> Annotations:
        """All that was read, as far as it can be used."""
        ids, counts = np.unique(np.asarray(self.ids), return_counts=True)
        if (counts > 1).any():
            self.problem("repeated annotation", self.path,
                         f"has {(counts > 1).sum()} ids of annotations twice, {ids[counts > 1][0]} "
                         "among them; was it joined from two files?")
        column = {id_: at for at, id_ in enumerate(sorted(self.categories))}
        columns = self._known(self.of_category, column, "unknown label", "category")
        files = self._files(listing)
        place = self._known(self.of_picture, {id_: at for at, id_ in enumerate(files)},
                            "unknown picture", "image", set(self.images))
        of, label = place[np.asarray(self.pictures)], columns[np.asarray(self.labels)]
        pairs = (of * len(column) + label)[(of >= 0) & (label >= 0)]
        rows, held = np.divmod(np.unique(pairs), len(column))  # each pair once
        cuts = np.searchsorted(rows, np.arange(len(files) + 1)).tolist()
        same: dict[tuple[int, ...], tuple[int, ...]] = {}
        present = []
        for at in range(len(files)):
            row = tuple(held[cuts[at] : cuts[at + 1]].tolist())
            present.append(same.setdefault(row, row))
        boxes = None
        if len(self.rows.labels):
            sizes = np.array([self.images[id_][1:] for id_ in files], np.int32).reshape(-1, 2)
            boxes = self.rows.boxes(place, columns, sizes)
        return Annotations(tuple(files.values()), tuple(present), ((),) * len(files), boxes)

    def _files(self, listing: Listing) -> dict[int, str]:
        """Ids of the pictures that are there -> their files."""
        files: dict[int, str] = {}
        seen: set[str] = set()
        for id_, (name, *_) in self.images.items():
            try:
                found = listing.find(name)
            except FileNotFoundError as error:
                self.problem("missing file", name, str(error))
                continue
            except ValueError as error:
                self.problem("unsafe path", name, str(error))
                continue
            if found in seen:
                self.problem("repeated picture", name, "is the file of two ids; keep one of them")
                continue
            files[id_] = found
            seen.add(found)
        return files

    def _known(
        self, numbers: dict[int, int], places: dict[int, int], kind: str, what: str,
        elsewhere: set[int] | None = None,
    ) -> np.ndarray:
        """Number -> place, or -1; an id that the file does not define is told."""
        found = np.full(len(numbers), -1, np.int64)
        for id_, number in numbers.items():
            found[number] = places.get(id_, -1)
            if id_ not in places and id_ not in (elsewhere or ()):
                self.problem(kind, self.path,
                             f"annotates {what} {id_}, which it does not define; add it, or take "
                             "its annotations out")
        return found


def _number(numbers: dict[int, int], id_: int) -> int:
    """A number for an id, in the order in which ids come."""
    return numbers.setdefault(id_, len(numbers))


def _whole(entry: dict[str, Any], key: str, place: str) -> int:
    value = entry[key]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _BIG:
        raise TypeError(f"{place}: {key} is {str(value)[:40]!r}; expected a whole number")
    return value


def _text(entry: dict[str, Any], key: str, place: str) -> str:
    value = entry[key]
    if not isinstance(value, str) or not value.strip():
        raise TypeError(f"{place}: {key} is {str(value)[:40]!r}; expected text")
    return value
