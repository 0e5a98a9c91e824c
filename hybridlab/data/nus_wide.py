"""NUS-WIDE: 81 concepts on pictures of Flickr, in lists of one line for each picture.

As the archives unpack: `ImageList/TrainImagelist.txt` names the pictures, and
`Groundtruth/TrainTestLabels/Labels_airport_Train.txt` has a 1 or a 0 for each of them; the names of
the concepts stand in `ConceptsList/Concepts81.txt`. Not all pictures can be had any more, so that
published figures are of different subsets: give the number of yours.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from hybridlab.data.images import shown
from hybridlab.data.inside import Listing
from hybridlab.data.photos import Annotations, PhotoDataset
from hybridlab.data.problems import AnnotationError, Problem, Tell, must_read, raise_fatal
from hybridlab.data.sample import Vocabulary
from hybridlab.files import StrPath

# image set -> its list of pictures, and the file of a concept
_SETS = {
    "train": ("TrainImagelist.txt", "TrainTestLabels/Labels_{}_Train.txt"),
    "test": ("TestImagelist.txt", "TrainTestLabels/Labels_{}_Test.txt"),
    "all": ("Imagelist.txt", "AllLabels/Labels_{}.txt"),
}


def nus_wide_photos(
    root: StrPath, image_set: str = "train", *, pictures: StrPath | None = None,
    image_size: int | None = None, tell: Tell = raise_fatal,
) -> PhotoDataset:
    """One set of NUS-WIDE.

    Args:
        root: the folder that holds ImageList, Groundtruth and ConceptsList.
        image_set: "train", "test" or "all".
        pictures: the folder of the pictures, by default `root/Flickr`.
        image_size: as `PhotoDataset`.
        tell: as `folder.folder_photos`; give one that does not raise to leave out the pictures that
            cannot be had any more.

    Raises:
        ValueError: an unknown image set.
        FileNotFoundError, NotADirectoryError: a folder.
        AnnotationError: a list is missing, of another length, or has other lines.
    """
    if image_set not in _SETS:
        raise ValueError(f"image_set is {image_set!r}; choose one of {', '.join(_SETS)}")
    home = Path(root)
    names_file, labels_file = _SETS[image_set]
    concepts = Vocabulary(_words(_first(
        home, "ConceptsList/Concepts81.txt", "Concepts81.txt")))
    # written on Windows: actor\0001_2124494179.jpg
    names = [name.replace("\\", "/") for name in _words(_first(
        home, f"ImageList/{names_file}", names_file))]
    listing = Listing(home / "Flickr" if pictures is None else pictures)
    marks = np.zeros((len(names), len(concepts)), bool)
    for column, concept in enumerate(concepts):
        path = home / "Groundtruth" / labels_file.format(concept)
        marks[:, column] = _marks(path, len(names))
    found: dict[str, int] = {}
    for row, name in enumerate(names):
        try:
            file = listing.find(name)
        except FileNotFoundError as error:
            tell(Problem("missing file", name, str(error)))
            continue
        except ValueError as error:
            tell(Problem("unsafe path", name, str(error)))
            continue
        if file in found:
            tell(Problem("repeated picture", name,
                         f"stands twice in {names_file}; keep one of the two"))
            continue
        found[file] = row
    present = tuple(tuple(np.flatnonzero(marks[row]).tolist()) for row in found.values())
    return PhotoDataset(
        listing.root, Annotations(tuple(found), present, ((),) * len(found)), concepts, image_set,
        image_size,
    )


def _first(home: Path, *places: str) -> Path:
    for place in places:
        if (home / place).is_file():
            return home / place
    raise FileNotFoundError(
        f"there is no {places[0]} in {shown(home)}; give the folder into which NUS-WIDE's archives "
        "were unpacked"
    )


def _words(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise must_read(path, error) from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _marks(path: Path, count: int) -> np.ndarray:
    """(N,) bool: the lines of a concept's file."""
    lines = np.array(_words(path))
    if lines.shape != (count,):
        what = f"has {len(lines):,} lines for {count:,} pictures"
    elif not np.isin(lines, ("0", "1")).all():
        what = f"has the line {str(lines[~np.isin(lines, ('0', '1'))][0])[:20]!r}"
    else:
        return lines == "1"
    raise AnnotationError(Problem(
        "annotation file", os.fspath(path),
        f"{what}; expected a 1 or a 0 for each picture of the list: copy it again",
    ))
