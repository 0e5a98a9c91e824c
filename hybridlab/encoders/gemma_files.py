"""Reading a Gemma 3 folder: its preprocessing, and of its weights only those that see images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from hybridlab.encoders.base import MissingWeightsError
from hybridlab.encoders.checkpoints import misfit
from hybridlab.encoders.preprocessing import Preprocessing

CONFIG, INDEX, WEIGHTS = "config.json", "model.safetensors.index.json", "model.safetensors"
# older transformers write the first file, newer the second
PROCESSORS = ("preprocessor_config.json", "processor_config.json")
_RESAMPLE = {2: "bilinear", 3: "bicubic"}  # PIL's numbers


def gemma_folder(source: str | Path) -> Path:
    """The folder of a Gemma 3 model: `source` itself, or its place in the hub's cache.

    Raises:
        MissingWeightsError: it is neither.
        ValueError: the folder holds another model.
    """
    folder = Path(source)
    if not folder.is_dir():
        import huggingface_hub

        try:
            folder = Path(huggingface_hub.snapshot_download(str(source), local_files_only=True))
        except (OSError, ValueError) as error:  # not there, or no possible name
            raise MissingWeightsError(
                f"{str(source)!r} is no folder, and the hub's cache "
                f"{huggingface_hub.constants.HF_HUB_CACHE} holds no such model. Accept Gemma's "
                "licence on its page at the hub, fetch the model's *.json and *.safetensors files, "
                "and pass their folder"
            ) from error
    path = folder / CONFIG
    if not path.is_file():
        raise MissingWeightsError(f"there is no {CONFIG} in {folder}; give the folder of a Gemma 3")
    kind = _read(path).get("model_type")
    if kind != "gemma3":
        raise ValueError(
            f"{folder} holds a model of type {kind!r}, expected 'gemma3'; a Gemma 3 without images "
            "('gemma3_text', 1 billion parameters) has no vision tower"
        )
    return folder


def of_folder(folder: Path) -> Preprocessing:
    """The preprocessing that the folder's processor tells, without "pan and scan" of long images.

    Raises:
        ValueError: it tells none, or another than a resized square; nothing is guessed (trap 12).
    """
    told: dict[str, Any] = {}
    for name in PROCESSORS:
        if (folder / name).is_file() and not told:
            found = _read(folder / name)
            told = found.get("image_processor", found)
    size = told.get("size") or {}
    fields: dict[str, Any] = {
        "image_mean": told.get("image_mean"),
        "image_std": told.get("image_std"),
        "resample": _RESAMPLE.get(told.get("resample", 0)),
        "size": size.get("height") if size.get("height") == size.get("width") else None,
    }
    missing = [name for name, value in fields.items() if value is None]
    if missing:
        raise ValueError(
            f"{folder} does not tell how images are prepared ({', '.join(missing)} of "
            f"{' or '.join(PROCESSORS)}); put that file there or pass preprocessing=; Gemma's own "
            "is Preprocessing(896, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), 'bilinear', 'squash')"
        )
    return Preprocessing(
        fields["size"],
        tuple(fields["image_mean"]),
        tuple(fields["image_std"]),
        fields["resample"],
        "squash",
    )


def load_parts(folder: Path, tower: nn.Module, projector: nn.Module) -> None:
    """Load the tower's and the projector's weights from a model's safetensors files.

    Raises:
        MissingWeightsError: no such files.
        ValueError: they lack weights of the two, or have others.
    """
    for part, mark in ((tower, "vision_tower."), (projector, "multi_modal_projector.")):
        # older files and classes nest the tower in "vision_model.", newer ones do not
        given = {
            key.split(mark, 1)[1].removeprefix("vision_model."): value
            for key, value in _tensors(folder, mark).items()
        }
        names = {key.removeprefix("vision_model."): key for key in part.state_dict()}
        wanted = {short: part.state_dict()[key] for short, key in names.items()}
        if given.keys() != wanted.keys() or any(
            given[key].shape != wanted[key].shape for key in wanted
        ):
            raise ValueError(
                f"the weights in {folder} do not fit Gemma 3's {mark.rstrip('.')}: "
                f"{misfit(wanted, given)}; fetch the model's files again"
            )
        # copied into the part's float32, whatever the file's type
        part.load_state_dict({names[key]: value for key, value in given.items()})


def _tensors(folder: Path, mark: str) -> dict[str, Tensor]:
    """Tensors whose name holds `mark`; files without one are not opened."""
    from safetensors import SafetensorError, safe_open

    if (folder / INDEX).is_file():
        places: dict[str, str] = _read(folder / INDEX)["weight_map"]
        files = sorted({file for key, file in places.items() if mark in key})
    else:
        files = [WEIGHTS]
    found: dict[str, Tensor] = {}
    for name in files:
        if not (folder / name).is_file():
            raise MissingWeightsError(f"there is no {name} in {folder}; fetch the model's files")
        try:
            with safe_open(folder / name, "pt") as file:
                found |= {key: file.get_tensor(key) for key in file.keys() if mark in key}  # noqa: SIM118
        except SafetensorError as error:
            raise ValueError(f"{folder / name} is damaged ({error}); fetch it again") from error
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as JSON ({error}); fetch it again") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds a {type(found).__name__}, expected an object")
    return found
