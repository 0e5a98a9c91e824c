"""Small sets of photographs for these tests."""

from __future__ import annotations

import json
from pathlib import Path

from tests.data.photo_files import annotation, picture, voc_xml, write

LABELS = ("ant", "bee", "cat", "dog")


def small_set(home: Path, count: int = 30, size: tuple[int, int] = (48, 36)) -> Path:
    """images/ and annotations.json: label k where the row's bits say so, one of them unknown."""
    told = {}
    for row in range(count):
        picture(home / "images" / f"{row:03d}.png", row, size)
        has = [at for at in range(4) if (row >> at) & 1 or at == row % 4]
        told[f"{row:03d}.png"] = {"labels": has, "label_names": [LABELS[at] for at in has]}
        unknown = next((at for at in range(4) if at not in has), None)
        if row % 3 == 0 and unknown is not None:
            told[f"{row:03d}.png"]["not_annotated"] = [unknown]
    (home / "annotations.json").write_text(json.dumps(told), encoding="utf-8")
    return home


def rewrite(home: Path, change) -> None:
    """Change what annotations.json says."""
    path = home / "annotations.json"
    told = json.loads(path.read_text("utf-8"))
    change(told)
    path.write_text(json.dumps(told), encoding="utf-8")


def small_voc(home: Path, sets: dict[str, range]) -> Path:
    """VOC2007 as it unpacks; every third picture has one more label, by a difficult object."""
    voc = home / "VOCdevkit" / "VOC2007"
    for name, rows in sets.items():
        ids = [f"{row:06d}" for row in rows]
        write(voc / "ImageSets" / "Main" / f"{name}.txt", "".join(f"{id_}\n" for id_ in ids))
        for row, id_ in zip(rows, ids, strict=True):
            picture(voc / "JPEGImages" / f"{id_}.jpg", row)
            objects = [(("cat", "dog", "person")[row % 3], (1, 1, 20, 20), 0)]
            objects += [("car", (5, 5, 30, 30), 1)] if row % 3 == 0 else []
            write(voc / "Annotations" / f"{id_}.xml", voc_xml(*objects))
    return home


def small_coco(home: Path, sets: dict[str, range]) -> Path:
    """COCO as it unpacks."""
    for name, rows in sets.items():
        images = [{"id": row, "file_name": f"{row:012d}.jpg", "width": 40, "height": 30}
                  for row in rows]
        for row in rows:
            picture(home / name / f"{row:012d}.jpg", row)
        write(home / "annotations" / f"instances_{name}.json", {
            "images": images, "categories": [{"id": 1, "name": "cat"}, {"id": 5, "name": "dog"}],
            "annotations": [annotation(row, row, (1, 5)[row % 2]) for row in rows],
        })
    return home
