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


MEASURE = """
import resource, sys
from hybridlab.data.folder import folder_photos
from hybridlab.data.coco import coco_file
count = 0
def tell(problem):
    global count
    count += 1
read = folder_photos if sys.argv[3] == "seed" else coco_file
data = read(sys.argv[1], sys.argv[2], tell=tell)
print(len(data.vocabulary), count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
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
