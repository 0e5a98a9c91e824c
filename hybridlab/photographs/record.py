"""Which pictures a run learns from, written down, and held against what is there when it goes on.

    RUN/pictures.json      of each split its pictures: name, size in bytes, time of the last change,
                           hash of the content, labels; and the files that were left out

A file that was copied anew has another time: then its content decides.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hybridlab.data.contents import contents
from hybridlab.data.images import ImageProblem, shown
from hybridlab.data.photos import PhotoDataset
from hybridlab.data.scenes import SPLITS
from hybridlab.files import write_json
from hybridlab.photographs.options import PhotoConfig
from hybridlab.photographs.preparing import Chosen, Prepared, read_photos
from hybridlab.training.resuming import ResumeError

PICTURES = "pictures.json"
FORM = 1
_SHOWN = 10  # differences


def write_record(folder: Path, prepared: Prepared) -> None:
    """Write down the pictures of a run, in its folder."""
    write_json(folder / PICTURES, {
        "form": FORM,
        "labels": list(prepared.photos["train"].vocabulary.names),
        "splits": {
            name: {"from": chosen.origin, "pictures": list(_lines(chosen))}
            for name, chosen in prepared.splits.items()
        },
        "unused": {origin: list(names) for origin, names in prepared.unused.items()},
        "left_out": [[os.fspath(each.path), each.message] for each in prepared.left_out],
    })


def _lines(chosen: Chosen) -> Iterator[list[Any]]:
    told = chosen.photos.annotations
    for row, digest in enumerate(chosen.digests):
        state = os.stat(chosen.photos.path(row))
        yield [told.names[row], state.st_size, state.st_mtime_ns, digest,
               list(told.present[row]), list(told.unknown[row])]


def recorded(folder: Path, config: PhotoConfig) -> Prepared:
    """The pictures that a run was begun with, read again.

    Args:
        config: of the run; its folder may be another by now.

    Raises:
        ResumeError: the record cannot be read, or pictures, labels or annotations are others now;
            what differs is listed.
        ValueError, OSError: as `preparing.read_photos`.
    """
    told = _told(folder)
    read, _ = read_photos(config)
    labels = list(next(iter(read.values())).vocabulary.names)
    if labels != told["labels"]:
        raise ResumeError(
            f"the run in {folder} has {len(told['labels'])} labels and the annotations now have "
            f"{len(labels)}, or others; give them as they were, or begin a new run"
        )
    splits, changed = {}, []
    for name in SPLITS:
        part = told["splits"][name]
        photos = read.get(part["from"])
        if photos is None:
            changed.append(f"the split {part['from']!r} is gone")
            continue
        at = {each: row for row, each in enumerate(photos.annotations.names)}
        changed += _differences(part["pictures"], photos, at)
        rows = [at[line[0]] for line in part["pictures"] if line[0] in at]
        splits[name] = Chosen(part["from"], photos.subset(rows, name),
                              tuple(line[3] for line in part["pictures"] if line[0] in at))
    changed += _new(told, read)
    if changed:
        more = f"; and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        raise ResumeError(
            f"the run in {folder} was begun on other pictures: {'; '.join(changed[:_SHOWN])}{more}."
            " Give them as they were, or begin a new run"
        )
    left_out = tuple(ImageProblem(Path(path), why) for path, why in told["left_out"])
    return Prepared(splits, left_out, told["unused"])


def _told(folder: Path) -> dict[str, Any]:
    path = folder / PICTURES
    try:
        told = json.loads(path.read_text("utf-8"))
        if told["form"] != FORM or set(told["splits"]) != set(SPLITS):
            raise ValueError(f"form {told['form']}, splits {', '.join(told['splits'])}")
        return told
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResumeError(
            f"the pictures of the run in {folder} cannot be told ({path.name}: "
            f"{type(error).__name__}: {error}); begin a new run"
        ) from error


def _differences(
    lines: list[list[Any]], photos: PhotoDataset, at: Mapping[str, int]
) -> Iterator[str]:
    names, touched = photos.vocabulary.names, []
    for name, size, time, digest, present, unknown in lines:
        row = at.get(name)
        if row is None:
            yield f"{shown(name)} is gone"
            continue
        now = photos.annotations
        for then, is_now, what in ((present, now.present[row], ""),
                                   (unknown, now.unknown[row], " not annotated")):
            if list(is_now) != then:
                words = (", ".join(names[each] for each in columns) or "none"
                         for columns in (then, is_now))
                yield f"{shown(name)} had the labels{what} {next(words)} and has {next(words)}"
        state = os.stat(photos.path(row))
        if state.st_size != size:
            yield f"{shown(name)} had {size} bytes and has {state.st_size}"
        elif state.st_mtime_ns != time:
            touched.append((name, photos.path(row), digest))
    for (name, _, digest), found in zip(
        touched, contents([path for _, path, _ in touched], pixels=False), strict=True
    ):
        if found.digest.hex() != digest:
            yield f"{shown(name)} has another content"


def _new(told: dict[str, Any], read: Mapping[str, PhotoDataset]) -> Iterator[str]:
    """Pictures that the annotations name by now and did not name then."""
    known: dict[str, set[str]] = {origin: set(names) for origin, names in told["unused"].items()}
    for part in told["splits"].values():
        known.setdefault(part["from"], set()).update(line[0] for line in part["pictures"])
    for origin, names in known.items():
        if origin in read:
            yield from (f"{shown(name)} is new" for name in read[origin].annotations.names
                        if name not in names)
