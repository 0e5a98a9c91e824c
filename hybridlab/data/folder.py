"""A folder of pictures with an annotation file: JSON as in seed 002, or CSV.

Where there is no annotation file, seed 002's repository makes up labels and trains on them. We do
not: such pictures are `unlabelled_photos`, to be labelled zero-shot, or by hand.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from hybridlab.data.csv_labels import read_csv
from hybridlab.data.images import IMAGE_EXTENSIONS, shown
from hybridlab.data.inside import Listing
from hybridlab.data.label_book import LabelBook
from hybridlab.data.photos import Annotations, PhotoDataset
from hybridlab.data.problems import AnnotationError, Problem, Tell, raise_fatal
from hybridlab.data.sample import Vocabulary
from hybridlab.data.seed_json import read_seed_json
from hybridlab.files import StrPath

_READERS = {".json": read_seed_json, ".csv": read_csv}
_ENDINGS = ("", *IMAGE_EXTENSIONS, *(ending.upper() for ending in IMAGE_EXTENSIONS))


class NoAnnotationsError(ValueError):
    """A folder without an annotation file."""


def folder_photos(
    folder: StrPath, annotation_file: StrPath | None = None, *, split: str = "",
    vocabulary: Vocabulary | None = None, num_classes: int | None = None,
    image_size: int | None = None, tell: Tell = raise_fatal,
) -> PhotoDataset:
    """The pictures of a folder that an annotation file names.

    Args:
        folder: names in the file are relative to it, and may not lead out of it.
        annotation_file: .json or .csv; see `seed_json` and `csv_labels`.
        vocabulary: the labels in the order of their columns, where the file is not to tell them.
        num_classes: L, where indices may go beyond those that the file holds.
        image_size: as `PhotoDataset`.
        tell: is told what is wrong. By default the first fatal problem is raised; a function that
            raises nothing gets all of them, and the pictures concerned are left out.

    Raises:
        NoAnnotationsError: no annotation file; no label is invented.
        AnnotationError: the file cannot be used.
        ValueError: the folder holds no picture, the file names none, or the labels make no
            vocabulary.
        FileNotFoundError, NotADirectoryError: the folder.
    """
    files = {split: annotation_file}
    return folder_splits(
        folder, files, vocabulary=vocabulary, num_classes=num_classes, image_size=image_size,
        tell=tell,
    )[split]


def folder_splits(
    folder: StrPath, annotation_files: Mapping[str, StrPath | None], *,
    vocabulary: Vocabulary | None = None, num_classes: int | None = None,
    image_size: int | None = None, tell: Tell = raise_fatal,
) -> dict[str, PhotoDataset]:
    """Several splits of one folder, with the same columns.

    Args:
        annotation_files: split -> its file; the others as `folder_photos`, as are the errors.
    """
    listing = Listing(folder)
    if not listing.pictures():
        raise ValueError(_no_pictures(listing))
    book = LabelBook(vocabulary, num_classes)
    tables = {}
    for split, path in annotation_files.items():
        if path is None:
            raise NoAnnotationsError(_no_annotations(folder))
        ending = Path(path).suffix.lower()
        if ending not in _READERS:
            raise AnnotationError(Problem(
                "annotation file", os.fspath(path),
                "is no .json and no .csv; give one of these (docs/data.md shows both)",
            ))
        tables[split] = _READERS[ending](path, book, tell)
        if not len(tables[split]):
            raise ValueError(f"{shown(os.fspath(path))} labels no picture; give a file that does")
    labels = book.vocabulary()
    return {
        split: PhotoDataset(listing.root, table.annotations(book, listing, _ENDINGS), labels, split,
                            image_size)
        for split, table in tables.items()
    }


def unlabelled_photos(
    folder: StrPath, vocabulary: Vocabulary, *, split: str = "", image_size: int | None = None,
    tell: Tell | None = None,
) -> PhotoDataset:
    """All pictures of a folder, with no label annotated (-1): for zero-shot labels.

    Args:
        tell: is told of links that lead out of the folder or nowhere; they are left out.

    Raises:
        ValueError: the folder holds no picture.
        FileNotFoundError, NotADirectoryError: the folder.
    """
    listing = Listing(folder)
    names = []
    for name in listing.pictures():
        try:
            names.append(listing.find(name))
        except (ValueError, FileNotFoundError) as error:
            if tell is not None:
                missing = isinstance(error, FileNotFoundError)
                tell(Problem("missing file" if missing else "unsafe path", name, str(error)))
    if not names:
        raise ValueError(_no_pictures(listing))
    nothing = tuple(range(len(vocabulary)))
    return PhotoDataset(
        listing.root, Annotations(tuple(names), ((),) * len(names), (nothing,) * len(names)),
        vocabulary, split, image_size,
    )


def _no_pictures(listing: Listing) -> str:
    what = f"{len(listing.names)} files, none of them" if listing.names else "no file, so no"
    return (
        f"{shown(listing.root)} holds {what} .jpg, .jpeg or .png; give the folder of the pictures"
    )


def _no_annotations(folder: StrPath) -> str:
    return (
        f"no annotation file was given for {shown(os.fspath(folder))}, and no labels are invented "
        "(the repository of seed 002 trains on made-up ones; this course departs from it): label "
        "the pictures zero-shot, from the labels' names alone (`hybridlab data label`), look them "
        "through, and give the file as --annotation-file"
    )
