"""`hybridlab export`: a bundle for other runtimes, with its thresholds, and proof that it is equal.

    model.onnx     for onnxruntime and whatever else reads ONNX
    model.pt2      for `torch.export.load`, without this package
    export.json    labels, thresholds, what goes in and what comes out, and how equal it was
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from hybridlab.bundle import Bundle, load_bundle, versions_of
from hybridlab.data.scenes import SceneDataset
from hybridlab.decoder.sequences import PAD
from hybridlab.encoders.preprocessing import Images, Preprocessing
from hybridlab.export_graph import (
    INPUTS,
    ExportedHybrid,
    run_onnx,
    run_torch,
    save_onnx,
    save_torch,
    torch_program,
)
from hybridlab.files import atomic_folder, free_space_check, write_json
from hybridlab.predictor import Predictor

FORMAT = "hybridlab export"
FORMAT_VERSION = 1
FILES = {"onnx": "model.onnx", "torch": "model.pt2"}
MANIFEST = "export.json"
PACKAGES = ("onnx", "onnxscript", "onnxruntime")  # of the extra `export`
TOLERANCE = 1e-4  # of a probability: other kernels add in another order
CHECKED = 6  # scenes on which an export is held against its bundle


class ExportError(RuntimeError):
    """An export that is not equal to its bundle. `str()` is one line."""


@dataclass(frozen=True)
class Agreement:
    """How equal an exported file is to the bundle's own `Predictor`.

    Attributes:
        images: pictures that were compared.
        largest: the largest difference of a probability.
        decisions: entries decided otherwise, of all pictures and labels. A probability within
            `TOLERANCE` of its threshold may be; it does not count here.
        orders: pictures whose labels the decoder wrote otherwise.
    """

    images: int
    largest: float
    decisions: int
    orders: int

    @property
    def equal(self) -> bool:
        return self.largest <= TOLERANCE and self.decisions == 0 and self.orders == 0


def export_bundle(
    bundle: Bundle | str | os.PathLike[str],
    folder: str | os.PathLike[str],
    formats: Sequence[str] = tuple(FILES),
    images: Images | None = None,
) -> dict[str, Agreement]:
    """Write a folder with a bundle's exported models: the whole folder, or nothing.

    Each file is read back, run, and compared with the bundle before the folder gets its name.

    Args:
        bundle: as `load_bundle` gives it, or its folder. It is not changed.
        folder: the folder to make; its parent must exist.
        formats: "onnx", "torch", or both.
        images: pictures to compare on; None takes scenes of the small world.

    Returns:
        format -> how equal it is.

    Raises:
        ExportError: an exported file does not give what the bundle gives; nothing is written.
        FileExistsError: `folder` exists.
        FileNotFoundError: its parent does not.
        BundleError: the folder holds no usable bundle.
        ModuleNotFoundError: a package of the extra `export` is not installed.
        NotEnoughDiskError: the disk is or became full.
        ValueError: an unknown format, or none.
    """
    folder, wanted = Path(folder), tuple(dict.fromkeys(formats))
    if not wanted or not set(wanted) <= set(FILES):
        raise ValueError(f"formats is {formats!r}; give one or more of {', '.join(FILES)}")
    if "onnx" in wanted:  # first: what is missing should not cost the work before it
        for package in PACKAGES:
            import_module(package)
    found: dict[str, Agreement] = {}
    with atomic_folder(folder) as part:
        if not isinstance(bundle, Bundle):
            bundle = load_bundle(bundle)
        if images is None:
            scenes = SceneDataset(CHECKED, "test")
            images = [scenes[at].image for at in range(CHECKED)]
        hybrid = ExportedHybrid(bundle)
        size = sum(value.numel() * value.element_size() for value in hybrid.state_dict().values())
        free_space_check(folder, int(1.2 * size * len(wanted)) + 1_000_000)
        about = manifest_of(bundle, hybrid)
        program = torch_program(hybrid)
        for name in wanted:
            path = part / FILES[name]
            if name == "onnx":
                save_onnx(hybrid, program, path, _metadata(about))
            else:
                save_torch(program, path)
            found[name] = compare(bundle, path, images)
            if not found[name].equal:
                raise ExportError(
                    f"{FILES[name]} does not give what the bundle gives ({_told(found[name])}); "
                    "nothing was kept: update torch, onnxscript and onnxruntime, or use the bundle"
                )
        write_json(part / MANIFEST, {
            **about,
            "versions": versions_of("torch", *(PACKAGES if "onnx" in wanted else ())),
            "checks": {FILES[name]: vars(each) for name, each in found.items()},
        })
    return found


def compare(bundle: Bundle, path: Path, images: Images) -> Agreement:
    """Run an exported file and hold what it gives against the bundle's own `Predictor`."""
    expected = Predictor(bundle).predict(images)  # type: ignore[arg-type]
    squares = [part.preprocessing.squares(images).cpu()
               for part in (bundle.model.cnn, bundle.model.clip)]
    found = (run_onnx if path.suffix == ".onnx" else run_torch)(path, squares)
    probs = np.stack([one.probs for one in expected])
    wanted = np.array([[name in one.labels for name in one.names] for one in expected])
    close = np.abs(probs - bundle.thresholds) <= TOLERANCE
    orders = 0
    if "label_seq" in found:
        names = bundle.vocabulary.names
        written = [tuple(names[at] for at in row if 0 <= at < len(names))
                   for row in found["label_seq"]]
        orders = sum(a != one.decoder_order for a, one in zip(written, expected, strict=True))
    return Agreement(
        images=len(expected),
        largest=float(np.abs(found["probs"] - probs).max(initial=0)),
        decisions=int(((found["decisions"] != wanted) & ~close).sum()),
        orders=orders,
    )


def manifest_of(bundle: Bundle, hybrid: ExportedHybrid) -> dict[str, Any]:
    """What stands in `export.json`, without the checks."""
    model = bundle.model
    cnn, clip = model.cnn.preprocessing, model.clip.preprocessing
    n_labels, steps = len(bundle.vocabulary), model.decoder.max_steps
    outputs = {
        "probs": (["batch", n_labels], "float32", "a probability for each label"),
        "decisions": (["batch", n_labels], "bool", "probs >= thresholds"),
        "label_seq": (
            ["batch", steps], "int64",
            f"columns in the order that the decoder wrote them, then {n_labels} for STOP, then "
            f"{PAD}; it decides by itself, so they may differ from decisions",
        ),
        "attention": (
            ["batch", steps, "places"], "float32",
            "where the decoder looked at each step, row by row of the CNN's map; 0 behind STOP",
        ),
    }
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "labels": list(bundle.vocabulary.names),
        "thresholds": bundle.thresholds.tolist(),
        "inputs": [_input(name, each) for name, each in zip(INPUTS, (cnn, clip), strict=True)],
        "outputs": [
            {"name": name, "shape": shape, "dtype": dtype, "what": what}
            for name, (shape, dtype, what) in outputs.items() if name in hybrid.outputs
        ],
        "info": bundle.info,
    }


def _input(name: str, preprocessing: Preprocessing) -> dict[str, Any]:
    size = preprocessing.image_size
    how = {
        "squash": f"resized to {size} x {size}, whatever its aspect",
        "pad": f"resized so that the longer side is {size}, in the middle of a square of `fill`",
        "crop": f"its middle square, resized to {size} x {size}",
    }[preprocessing.resize_mode]
    return {
        "name": name,
        "shape": ["batch", 3, size, size],
        "dtype": "float32",
        "what": f"the picture as RGB, upright, {how} ({preprocessing.interpolation}, antialiased); "
                "values 0..255: mean and std are applied inside",
        "image_size": size,
        "resize_mode": preprocessing.resize_mode,
        "interpolation": preprocessing.interpolation,
        "fill": [255 * value for value in preprocessing.mean],
    }


def _metadata(about: dict[str, Any]) -> dict[str, str]:
    return {key: json.dumps(about[key]) for key in ("labels", "thresholds", "inputs", "outputs")}


def _told(found: Agreement) -> str:
    return (f"on {found.images} pictures probabilities differ by up to {found.largest:.1e}, "
            f"{found.decisions} decisions and {found.orders} orders differ")


def main_export(
    bundle: str | os.PathLike[str], folder: Path, formats: Sequence[str] = tuple(FILES)
) -> int:
    """What `hybridlab export` does. Raises as `export_bundle`."""
    found = export_bundle(bundle, folder, formats)
    for name, each in found.items():
        path = folder / FILES[name]
        print(f"{path} ({path.stat().st_size / 1e6:.1f} MB): on {each.images} scenes the same "
              f"labels as the bundle, probabilities differ by {each.largest:.0e} at most")
    print(f"{folder / MANIFEST}: labels, thresholds, what goes in and what comes out")
    return 0
