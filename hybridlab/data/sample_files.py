"""Scenes as files, in the form that seed 002's commands read.

`train_multilabel.py --image_dir ./images --annotation_file ./annotations.json --num_classes 80` and
`predict_multilabel.py --image_path ./test_image.jpg` (or `./test_images/`) find what they ask for.
"""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from hybridlab.data.photos import Annotations
from hybridlab.data.scenes import SceneDataset
from hybridlab.data.seed_json import write_seed_json
from hybridlab.data.world import SceneConfig
from hybridlab.files import StrPath, free_space_check, write_text

_BYTES = 2  # for a pixel, at most: JPEG at this quality needs half of it


def write_sample(
    folder: StrPath, config: SceneConfig | None = None, *, count: int = 200, test: int = 20
) -> Path:
    """Draw scenes into a new folder, all of it or nothing.

    It holds `images/` with `annotations.json`, `test_images/` with `test_annotations.json`,
    `test_image.jpg`, the first of these, and `labels.txt`, the names of all labels in the order of
    their indices. Pictures are JPEG of quality 95.

    Args:
        config: the dials of the world. With `missing` above 0 the annotations say what is not
            annotated, a key that seed 002's own code does not know.
        count: scenes of the training split.
        test: scenes of the test split.

    Returns:
        the folder.

    Raises:
        ValueError: a count below 1.
        FileExistsError: `folder` is there and not empty; nothing of it is touched.
        FileNotFoundError: the folder that is to hold it does not exist.
        NotEnoughDiskError: the disk would get full.
    """
    for name, value in (("count", count), ("test", test)):
        if value < 1:
            raise ValueError(f"{name} is {value}; give 1 scene or more")
    config, target = config or SceneConfig(), Path(folder)
    if os.path.lexists(target) and not (target.is_dir() and not any(target.iterdir())):
        raise FileExistsError(f"{target} exists and is kept; choose another name")
    if not target.absolute().parent.is_dir():
        raise FileNotFoundError(
            f"cannot make {target}: there is no folder {target.absolute().parent}; make it first"
        )
    free_space_check(target, (count + test + 1) * _BYTES * config.image_size**2)
    part = target.absolute().with_name(f".{target.name[:40]}.part-{secrets.token_hex(4)}")
    try:
        for split, size, images in (("train", count, "images"), ("test", test, "test_images")):
            (part / images).mkdir(parents=True)
            scenes = SceneDataset(size, split, config)
            told = _write(scenes, part / images)
            beside = "annotations.json" if split == "train" else "test_annotations.json"
            write_seed_json(part / beside, told, scenes.vocabulary)
        write_text(part / "labels.txt", "".join(f"{name}\n" for name in scenes.vocabulary))
        shutil.copyfile(part / "test_images" / told.names[0], part / "test_image.jpg")
        if target.is_dir():
            target.rmdir()  # empty; a folder cannot take the name of another everywhere
        os.rename(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def _write(scenes: SceneDataset, folder: Path) -> Annotations:
    names, present, unknown = [], [], []
    for sample in scenes:
        names.append(f"{scenes.split}_{sample.index:05d}.jpg")
        Image.fromarray(sample.image).save(folder / names[-1], quality=95, subsampling=0)
        present.append(_columns(sample.targets == 1))
        unknown.append(_columns(sample.targets == -1))
    return Annotations(tuple(names), tuple(present), tuple(unknown))


def _columns(mask: np.ndarray) -> tuple[int, ...]:
    return tuple(np.flatnonzero(mask).tolist())
