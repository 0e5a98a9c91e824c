"""Files of weights: reading them without running anything in them, and fetching missing ones."""

from __future__ import annotations

import hashlib
import http.client
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import torch
from torch import Tensor, nn

from hybridlab.encoders.base import MissingWeightsError
from hybridlab.files import atomic_path

CONNECT_TIMEOUT = 5.0  # seconds; a machine without a network must not make anyone wait
_CHUNK = 1 << 20


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a `.safetensors` or torch file, on the CPU. No pickle code is executed.

    A file that holds its weights under "state_dict" or "model" is opened too.

    Raises:
        MissingWeightsError: there is no such file.
        ValueError: it is damaged, hostile, or holds something other than named tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingWeightsError(f"there is no weights file {path}; check weights_path")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch, zipfile and pickle raise a dozen kinds for damaged files
        raise ValueError(
            f"{path} is not a readable weights file ({type(error).__name__}); it may be damaged or "
            "hold more than weights; remove it and fetch it again"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise ValueError(f"{path} does not hold named tensors; save a model's `state_dict()`")
    return dict(state)


def misfit(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """How a checkpoint differs from a model, in one line: how many tensors, and the first of each.

    Args:
        wanted: the model's tensors by name.
        given: the file's.

    Returns:
        what is missing, unexpected or of another shape; "nothing differs" where nothing does.
    """
    missing = [name for name in wanted if name not in given]
    others = [name for name in given if name not in wanted]
    shapes = [name for name in wanted if name in given and wanted[name].shape != given[name].shape]
    told = []
    if missing:
        told.append(
            f"{len(missing)} of the model's {len(wanted)} tensors are missing in it "
            f"({missing[0]!r} first)"
        )
    if others:
        told.append(f"{len(others)} of its {len(given)} are unexpected ({others[0]!r} first)")
    if shapes:
        one, other = (tuple(each[shapes[0]].shape) for each in (given, wanted))
        told.append(f"{len(shapes)} have another shape ({shapes[0]!r} is {one}, expected {other})")
    return "; ".join(told) or "nothing differs in names and shapes"


def load_into(model: nn.Module, file: Path, name: str) -> None:
    """Load an open_clip checkpoint; where it does not fit, say briefly what differs.

    Args:
        model: of open_clip; its weights are replaced in place.
        name: of the model, for the message.

    Raises:
        ValueError: the file is damaged, of another architecture or image size, or holds NaN.
    """
    import open_clip

    _refuse_other_positions(model, file, name)
    try:
        open_clip.load_checkpoint(model, str(file))
    except Exception as error:  # open_clip's conversions raise many kinds for foreign files
        given = {key.removeprefix("module."): value for key, value in read_weights(file).items()}
        raise ValueError(
            f"{file.name} does not fit {name}: {misfit(model.state_dict(), given)}. Build the "
            "architecture that it was trained as, or pass a checkpoint of this one"
        ) from error


    for key, value in model.state_dict().items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise ValueError(
                f"{file.name} holds NaN or infinity in {key!r}; its training diverged or it was "
                "damaged: take another checkpoint"
            )


def _refuse_other_positions(model: nn.Module, file: Path, name: str) -> None:
    """open_clip stretches a table of positions to another size or context without a word."""
    if file.suffix not in (".safetensors", ".pt", ".pth", ".bin"):
        return  # other formats carry other names; open_clip reads them
    try:
        given = read_weights(file)
    except ValueError:
        return  # a TorchScript archive, say; open_clip may read it, and says so if not
    for key in ("visual.positional_embedding", "visual.trunk.pos_embed", "positional_embedding"):
        wanted, found = model.state_dict().get(key), given.get(key, given.get(f"module.{key}"))
        if wanted is not None and found is not None and wanted.shape != found.shape:
            raise ValueError(
                f"{file.name} does not fit {name}: {key!r} is {tuple(found.shape)}, expected "
                f"{tuple(wanted.shape)}, so it was trained at another size or context. Build the "
                "architecture that it was trained as, or pass a checkpoint of this one"
            )


def weights_in(folder: Path) -> Path:
    """The checkpoint in a folder as hubs keep it.

    Raises:
        MissingWeightsError: there is none under the names that open_clip gives.
    """
    names = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise MissingWeightsError(f"there are no weights in {folder}; put {' or '.join(names)} there")


def hub_weights(url: str, name: str, offline_default: str) -> Path:
    """The file of `url` in torch.hub's cache, fetched if it is not there.

    Args:
        url: its file name ends in the start of its SHA-256, as torch.hub's do.
        name: of the model, for the message.
        offline_default: a model that needs no download, for the message.

    Raises:
        MissingWeightsError: it is not there and cannot be fetched.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fetch(url, path)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise MissingWeightsError(
            f"the weights of {name} are not on this machine and could not be fetched ({error}); "
            f"put the file {path.name} into the folder {path.parent}, or pass weights_path=, or "
            f"use {offline_default!r}, which needs no download"
        ) from error
    return path


def fetch(url: str, path: Path, timeout: float = CONNECT_TIMEOUT) -> None:
    """Download a file whole or not at all, and check it against the hash in its name.

    Args:
        timeout: seconds to connect, and of silence between two pieces.

    Raises:
        OSError: no answer in time, a broken connection, a full disk.
        ValueError: what came has another hash.
    """
    expected = re.search(r"-([0-9a-f]{8,})\.\w+$", url)
    digest = hashlib.sha256()
    with _open(url, timeout) as answer, atomic_path(path, overwrite=True) as temporary:
        from tqdm import tqdm

        size = int(answer.headers.get("Content-Length") or 0) or None
        with (
            open(temporary, "wb") as file,
            tqdm(total=size, unit="B", unit_scale=True, desc=path.name) as bar,
        ):
            while piece := answer.read(_CHUNK):
                file.write(piece)
                digest.update(piece)
                bar.update(len(piece))
        if expected and not digest.hexdigest().startswith(expected[1]):
            raise ValueError(
                f"what came for {path.name} has the SHA-256 {digest.hexdigest()[:8]}..., expected "
                f"{expected[1]}...; the download was cut short or replaced"
            )


def _open(url: str, timeout: float) -> Any:
    """urlopen that returns in time even where looking up a host's name hangs.

    A socket's timeout does not cover the look-up, so it happens in a thread that may be left.
    """
    result: list[Any] = []

    def connect() -> None:
        try:
            request = Request(url, headers={"User-Agent": "hybridlab"})
            result.append(urlopen(request, timeout=timeout))
        except Exception as error:  # handed over and raised below
            result.append(error)

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(timeout + 1)
    if not result:
        raise TimeoutError(f"no answer within {timeout:g} s")
    if isinstance(result[0], Exception):
        raise result[0]
    return result[0]
