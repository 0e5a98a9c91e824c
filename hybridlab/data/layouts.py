"""Which format a data set has, told by its files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from hybridlab.data.coco import coco_file
from hybridlab.data.folder import folder_photos, folder_splits
from hybridlab.data.images import shown
from hybridlab.data.json_stream import JsonStream
from hybridlab.data.nus_wide import nus_wide_photos
from hybridlab.data.photos import PhotoDataset
from hybridlab.data.problems import AnnotationError, Problem, Tell, must_read, raise_fatal
from hybridlab.data.sample import Vocabulary
from hybridlab.data.voc import voc_folder, voc_photos
from hybridlab.files import StrPath

Layout = Literal["auto", "folder", "voc", "coco", "nus-wide"]
_LABELS = "labels.txt"
_YEARS = tuple(str(year) for year in range(2007, 2013))


def read_splits(
    folder: StrPath, annotation_files: Sequence[Path] = (), *, layout: Layout = "auto",
    vocabulary: Vocabulary | None = None, num_classes: int | None = None, tell: Tell = raise_fatal,
) -> dict[str, PhotoDataset]:
    """All splits of a data set, with the same columns.

    Args:
        folder: of the pictures; or of a whole set: VOC, COCO or NUS-WIDE as their archives unpack,
            or `annotations.json` (or .csv) beside the pictures or their folder `images`, and
            perhaps `labels.txt`.
        annotation_files: one for each split, which is called by the file's name.
        layout: "auto" looks at the files.
        vocabulary, num_classes: of a folder with JSON or CSV; see `folder.folder_photos`.
        tell: as `folder.folder_photos`.

    Raises:
        NoAnnotationsError: there is no annotation file, and no set of a known layout.
        ValueError: two annotation files of one name; and whatever the readers raise.
    """
    root = Path(folder)
    files = {Path(path).stem: Path(path) for path in annotation_files}
    if len(files) < len(annotation_files):
        raise ValueError(
            f"annotation files are called {', '.join(path.name for path in annotation_files)}; "
            "give each split another name"
        )
    if layout == "auto":
        layout = _layout_of(root, list(files.values()))
    if layout == "voc":
        return _voc(root, tell)
    if layout == "nus-wide":
        found = [name for name in ("train", "test")
                 if any((root / place / f"{name.title()}Imagelist.txt").is_file()
                        for place in ("ImageList", ""))]
        return {name: nus_wide_photos(root, name, tell=tell) for name in found or ["train"]}
    if layout == "coco":
        return _coco(root, files, tell)
    if files:
        return folder_splits(root, files, vocabulary=vocabulary, num_classes=num_classes, tell=tell)
    beside = next((root / name for name in ("annotations.json", "annotations.csv")
                   if (root / name).is_file()), None)
    pictures = root / "images" if beside and (root / "images").is_dir() else root
    if vocabulary is None and num_classes is None and (root / _LABELS).is_file():
        vocabulary = read_labels(root / _LABELS)
    return {"": folder_photos(pictures, beside, vocabulary=vocabulary, num_classes=num_classes,
                              tell=tell)}


def read_labels(path: StrPath) -> Vocabulary:
    """The names in a text file, one on each line, in the order of the columns.

    Raises:
        AnnotationError: it cannot be read, is not UTF-8, or has a name twice.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
        return Vocabulary(line for line in lines if line.strip())
    except UnicodeDecodeError as error:
        raise must_read(path, error) from error
    except ValueError as error:
        raise AnnotationError(Problem("annotation file", os.fspath(path), str(error))) from error
    except OSError as error:
        raise must_read(path, error) from error


def is_coco(path: StrPath) -> bool:
    """Whether a JSON file has COCO's lists; False also where it cannot be read."""
    try:
        with open(path, "rb") as file:
            stream = JsonStream(file, path)
            for key in stream.members():
                begins = stream.begins()
                if key in ("images", "annotations", "categories", "licenses"):
                    return begins == "["
                if key != "info":
                    return False
                stream.skip()
    except (OSError, AnnotationError):
        pass
    return False


def _layout_of(root: Path, files: Sequence[Path]) -> Layout:
    if files:
        return "coco" if all(is_coco(path) for path in files) else "folder"
    if _voc_year(root):
        return "voc"
    if (root / "Groundtruth").is_dir():
        return "nus-wide"
    return "coco" if _instances(root) else "folder"


def _voc_year(root: Path) -> str | None:
    for year in _YEARS:
        try:
            voc_folder(root, year)
            return year
        except FileNotFoundError:
            continue
    return None


def _voc(root: Path, tell: Tell) -> dict[str, PhotoDataset]:
    year = _voc_year(root) or "2007"
    main = voc_folder(root, year) / "ImageSets" / "Main"
    # trainval holds train and val: it would be no split beside them
    names = [name for name in ("train", "val", "test") if (main / f"{name}.txt").is_file()]
    if not {"train", "val"} & set(names) and (main / "trainval.txt").is_file():
        names.insert(0, "trainval")
    return {name: voc_photos(root, name, year=year, tell=tell) for name in names or ["trainval"]}


def _instances(root: Path) -> dict[str, Path]:
    """COCO's sets whose pictures are there."""
    return {
        path.stem.removeprefix("instances_"): path
        for path in sorted((root / "annotations").glob("instances_*.json"))
        if (root / path.stem.removeprefix("instances_")).is_dir()
    }


def _coco(root: Path, files: dict[str, Path], tell: Tell) -> dict[str, PhotoDataset]:
    found: dict[str, PhotoDataset] = {}
    labels = None
    for split, path in (files or _instances(root)).items():
        folder = root if files else root / split
        found[split] = coco_file(folder, path, split=split, vocabulary=labels, tell=tell)
        labels = found[split].vocabulary
    if not found:
        raise FileNotFoundError(
            f"there is no annotations/instances_NAME.json beside a folder NAME in "
            f"{shown(os.fspath(root))}; give the folder into which COCO's archives were unpacked"
        )
    return found
