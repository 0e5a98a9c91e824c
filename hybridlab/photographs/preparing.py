"""Reading a data set for a training: every file is looked into once, and dealt out to the splits.

Annotations must be sound, or it stops there (`hybridlab data check` tells all that is wrong). Files
that are missing or give no picture are named and left out, none is replaced by another, and above a
share of them it stops, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from hybridlab.bundle_format import check_names
from hybridlab.data.contents import contents
from hybridlab.data.images import ImageProblem, shown
from hybridlab.data.label_book import placeholder
from hybridlab.data.layouts import read_labels, read_splits
from hybridlab.data.photos import PhotoDataset
from hybridlab.data.problems import Problem, raise_fatal
from hybridlab.data.readable import TooManyUnreadableError
from hybridlab.data.scenes import SPLITS
from hybridlab.photographs.options import PhotoConfig
from hybridlab.photographs.splitting import dealt, roles_of, shared_contents

_MISSING = "missing file"


@dataclass(frozen=True)
class Chosen:
    """Some pictures of one split as the data set has it.

    Attributes:
        origin: the name of that split.
        photos: the pictures.
        digests: of each, a hash of its bytes in hexadecimal.
    """

    origin: str
    photos: PhotoDataset
    digests: tuple[str, ...]

    def rows(self, rows: Iterable[int], split: str) -> Chosen:
        """Some of them, as a split of a training."""
        rows = list(rows)
        return Chosen(self.origin, self.photos.subset(rows, split),
                      tuple(self.digests[row] for row in rows))


@dataclass(frozen=True)
class Prepared:
    """The pictures of a training.

    Attributes:
        splits: "train", "val" and "test".
        left_out: files that are missing or give no picture.
        unused: names, below those of the splits that the data set has, of pictures that take no
            part.
        notes: what is worth knowing, a line each.
    """

    splits: dict[str, Chosen]
    left_out: tuple[ImageProblem, ...] = ()
    unused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def photos(self) -> dict[str, PhotoDataset]:
        """The splits without more."""
        return {split: chosen.photos for split, chosen in self.splits.items()}


def read_photos(config: PhotoConfig) -> tuple[dict[str, PhotoDataset], list[ImageProblem]]:
    """The splits of a data set as its annotations have them, and the files that are missing.

    Raises:
        NoAnnotationsError: there is no annotation file.
        AnnotationError, ValueError, OSError: as the readers raise.
    """
    assert config.image_dir is not None
    missing: list[ImageProblem] = []

    def tell(problem: Problem) -> None:
        if problem.kind == _MISSING:
            missing.append(ImageProblem(config.image_dir / problem.where,  # type: ignore[operator]
                                        problem.message))
        else:
            raise_fatal(problem)

    splits = read_splits(
        config.image_dir, config.annotation_file, layout=config.layout,
        vocabulary=None if config.labels is None else read_labels(config.labels),
        num_classes=config.num_classes, tell=tell,
    )
    labels = next(iter(splits.values())).vocabulary
    if config.num_classes not in (None, len(labels)):
        raise ValueError(
            f"num_classes is {config.num_classes}, but the annotations have {len(labels)} labels "
            f"({', '.join(labels.names[:3])}, ...); give --num-classes {len(labels)}, or leave it "
            "out"
        )
    check_names(labels.names)  # a bundle would refuse them, hours later
    return splits, missing


def prepare(config: PhotoConfig, step: Callable[[], None] = lambda: None) -> Prepared:
    """Read a data set, look into every file, and deal out the splits that are not given.

    Args:
        step: called after each file.

    Raises:
        TooManyUnreadableError: more files than the configuration allows give no picture.
        ValueError, OSError: as `read_photos`; splits whose names tell no use, or a split without a
            picture or a positive.
    """
    read, left_out = read_photos(config)
    roles = roles_of(list(read), config.test_split)
    most = config.unreadable * (sum(map(len, read.values())) + len(left_out))
    _stop_above(most, left_out)
    found: dict[str, Chosen] = {}
    unused: dict[str, tuple[str, ...]] = {}
    for role, origin in roles.items():
        photos, digests, kept = read[origin], [], []
        paths = [photos.path(row) for row in range(len(photos))]
        for row, content in enumerate(contents(paths, max_pixels=photos.max_pixels, step=step)):
            if content.trouble:
                left_out.append(ImageProblem(paths[row], content.trouble))
                _stop_above(most, left_out)
            else:
                kept.append(row)
                digests.append(content.digest.hex())
        found[role] = Chosen(origin, photos.subset(kept, role), tuple(digests))
        unused[origin] = _without(photos, found[role].photos)
    lacking = [name for name in SPLITS if name not in found]
    train = found["train"]
    parts = dealt(train.photos, train.digests, lacking, config.shares, config.split_seed)
    found |= {name: train.rows(rows, name) for name, rows in parts.items()}
    splits = {name: found[name] for name in SPLITS}
    _check_positives(splits)
    return Prepared(splits, tuple(left_out), unused, tuple(_notes(splits)))


def limited(prepared: Prepared, sizes: Mapping[str, int]) -> Prepared:
    """No more than so many pictures of each split, dealt out by their labels, for a quick look.

    Args:
        sizes: split -> N.

    Raises:
        ValueError: as `prepare`, of what is left.
    """
    splits, unused = dict(prepared.splits), dict(prepared.unused)
    for name, chosen in prepared.splits.items():
        count, size = len(chosen.photos), sizes[name]
        if count > size:
            parts = dealt(chosen.photos, range(count), ["val"], (size, count - size, 1), 0)
            rows = np.concatenate([parts["train"], parts["val"]])[:size]
            splits[name] = chosen.rows(sorted(rows.tolist()), name)
            unused[chosen.origin] += _without(chosen.photos, splits[name].photos)
    _check_positives(splits)
    return replace(prepared, splits=splits, unused=unused)


def _without(photos: PhotoDataset, kept: PhotoDataset) -> tuple[str, ...]:
    used = set(kept.annotations.names)
    return tuple(name for name in photos.annotations.names if name not in used)


def _stop_above(most: float, left_out: list[ImageProblem]) -> None:
    if len(left_out) > most:
        raise TooManyUnreadableError(
            f"{len(left_out)} pictures are missing or cannot be read, more than the share that "
            f"--unreadable allows; the first: {left_out[0]}. Copy the data set again, look at "
            "`hybridlab data check`, or let more be left out",
            tuple(left_out),
        )


def _check_positives(splits: Mapping[str, Chosen]) -> None:
    for name, chosen in splits.items():
        if not any(chosen.photos.annotations.present):
            what = "no picture has a label" if len(chosen.photos) else "there is no picture"
            raise ValueError(
                f"in the {name} split {what}; a training needs labelled pictures to learn from, to "
                "fit thresholds on and to measure on: annotate more, or give other --shares"
            )


def _notes(splits: Mapping[str, Chosen]) -> Iterable[str]:
    names = splits["train"].photos.vocabulary.names
    if nameless := [name for at, name in enumerate(names) if name == placeholder(at)]:
        yield (f"{len(nameless)} of {len(names)} labels have no name ({', '.join(nameless[:3])}): "
               "CLIP's texts say nothing of them; give --labels")
    learnt = {at for row in splits["train"].photos.annotations.present for at in row}
    if never := [name for at, name in enumerate(names) if at not in learnt]:
        yield (f"{len(never)} labels have no positive in the train split and cannot be learnt: "
               f"{', '.join(map(shown, never[:5]))}{', ...' if len(never) > 5 else ''}")
    copies = shared_contents({name: chosen.digests for name, chosen in splits.items()})
    if copies:
        yield (f"{copies} pictures have the content of one in another split: figures will flatter; "
               "see `hybridlab data check`")
