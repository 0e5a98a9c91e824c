"""Small pictures and annotation files in real formats, for the tests of their readers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hybridlab.data.problems import Problem


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (40, 30)) -> Path:
    """A file of noise; another seed gives another content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return path


def pictures(folder: Path, *names: str) -> Path:
    for seed, name in enumerate(names):
        picture(folder / name, seed)
    return folder


def write(path: Path, data: Any) -> Path:
    """Text as it is; anything else as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = data if isinstance(data, str) else json.dumps(data)
    path.write_text(text, encoding="utf-8")
    return path


def kinds(problems: list[Problem]) -> list[tuple[str, str]]:
    return [(each.kind, each.where) for each in problems]


def voc_xml(*objects: tuple[str, tuple[Any, ...] | None, int], size=(40, 30)) -> str:
    """(label, box or None, difficult) -> an annotation as VOC writes it."""
    def one(name, box, difficult):
        edges = "" if box is None else "<bndbox>" + "".join(
            f"<{edge}>{value}</{edge}>"
            for edge, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
        ) + "</bndbox>"
        return (f"<object><name>{name}</name><pose>Left</pose><truncated>1</truncated>"
                f"<difficult>{difficult}</difficult>{edges}</object>")

    return (
        "<annotation><folder>VOC2007</folder><filename>x.jpg</filename>"
        f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
        f"<segmented>0</segmented>{''.join(one(*each) for each in objects)}</annotation>"
    )


# VmHWM, where there is one: ru_maxrss begins with the memory of the process that started this one
MEASURE = """
import resource, sys
def peak():
    try:
        with open("/proc/self/status") as file:
            return next(line.split()[1] for line in file if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
from hybridlab.data.folder import folder_photos
from hybridlab.data.coco import coco_file
count = 0
def tell(problem):
    global count
    count += 1
read = folder_photos if sys.argv[3] == "seed" else coco_file
data = read(sys.argv[1], sys.argv[2], tell=tell)
print(len(data.vocabulary), count, peak())
"""


def memory(folder: Path, path: Path, kind: str) -> tuple[int, int, float]:
    """Labels, problems, and the most memory of a process that reads a file, in MB."""
    assert 50e6 < path.stat().st_size < 60e6
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, folder, path, kind], capture_output=True, text=True,
        check=True, timeout=300,
    )
    labels, problems, peak = done.stdout.split()
    unit = 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kilobytes elsewhere
    return int(labels), int(problems), int(peak) / unit


# of a small VOC: (label, box or None, difficult)
VOC_OBJECTS = {
    "000001": [("cat", (1, 1, 40, 30), 0), ("person", (5, 6, 10, 12), 1)],
    "000002": [("person", (1, 1, 9, 9), 1), ("person", (11, 1, 20, 9), 0), ("dog", None, 0)],
    "000003": [],
    "000004": [("tvmonitor", (2, 2, 8, 8), 0)],
}

CATEGORIES = [{"id": 3, "name": "car", "supercategory": "vehicle"}, {"id": 1, "name": "person"},
              {"id": 90, "name": "toothbrush"}]


def annotation(number, image, category, box=(1, 2, 10.5, 7), **more):
    return {"id": number, "image_id": image, "category_id": category, "bbox": list(box),
            "area": 70, "iscrowd": 0, "segmentation": [[1.0, 2, 3, 4, 5, 6]], **more}


def content(**changes):
    images = [{"id": number, "file_name": f"{number:012d}.jpg", "width": 40, "height": 30}
              for number in (9, 25, 30)]
    return {
        "info": {"year": 2017}, "licenses": [{"id": 1}], "images": images,
        "annotations": [
            annotation(1, 9, 1), annotation(2, 9, 90), annotation(3, 30, 3, (0, 0, 40, 30)),
            annotation(4, 9, 1, (20, 20, 5, 5)),
            annotation(5, 30, 1, iscrowd=1, segmentation={"counts": [1, 2], "size": [30, 40]}),
        ],
        "categories": CATEGORIES, **changes,
    }


# of a small NUS-WIDE: its pictures, and which have a concept
NUS_FILES = ["actor/0001_21.jpg", "zebra/0002_34.jpg", "actor/0003_55.jpg"]
NUS_MARKS = {"airport": [1, 0, 0], "animal": [0, 1, 0], "sky": [1, 1, 0]}
