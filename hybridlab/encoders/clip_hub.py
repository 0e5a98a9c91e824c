"""open_clip models by name and tag, with their own preprocessing, and clear words when weights
cannot be had."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from torch import nn

from hybridlab.encoders.base import MissingWeightsError
from hybridlab.encoders.clip import TINY, ClipEncoder, build_tiny_clip
from hybridlab.encoders.preprocessing import Preprocessing

CONNECT_TIMEOUT = 3.0  # seconds; the hub's own client retries for more than a minute
_RESIZE = {"squash": "squash", "shortest": "crop", "longest": "pad"}


def build_clip(
    name: str = TINY,
    *,
    pretrained: bool = True,
    weights_path: str | Path | None = None,
    preprocessing: Preprocessing | None = None,
) -> ClipEncoder:
    """A CLIP model by name.

    Args:
        name: "tiny", the offline default; or "MODEL:TAG" of open_clip, such as
            "ViT-B-32:laion2b_s34b_b79k"; without a tag where `weights_path` or
            `pretrained=False` is given.
        pretrained: False gives random weights, on purpose only.
        weights_path: a local checkpoint in place of a tag.
        preprocessing: needed with `weights_path`: a file does not say what it was trained with,
            and open_clip would silently take OpenAI's mean and std (TRAPS 12).

    Raises:
        ValueError: unknown model or tag (known ones are listed), a tag that is missing, or a local
            file without preprocessing.
        MissingWeightsError: the weights are neither on this machine nor to be fetched.
    """
    if name == TINY:
        if weights_path is not None:
            raise ValueError("the tiny CLIP has its own weights; leave weights_path out")
        return build_tiny_clip(pretrained=pretrained)
    import open_clip

    model_name, _, tag = name.partition(":")
    if model_name not in open_clip.list_models():
        raise ValueError(_unknown("CLIP model", model_name, [TINY, *open_clip.list_models()]))
    source: str | None = None
    if weights_path is not None:
        if preprocessing is None:
            raise ValueError(
                f"{weights_path} does not say how its images were prepared; pass preprocessing= "
                "with the size, mean and std it was trained with"
            )
        if not Path(weights_path).is_file():
            raise MissingWeightsError(_missing(name, Path(weights_path).name, Path(weights_path)))
        source = str(weights_path)
    elif pretrained:
        tags = open_clip.list_pretrained_tags_by_model(model_name)
        if not tags:
            raise ValueError(
                f"open_clip knows no weights of {model_name}; pass weights_path= and "
                "preprocessing=, or pretrained=False for random ones"
            )
        if not tag:
            raise ValueError(
                f"{name!r} does not say which weights; name a tag, as in MODEL:TAG; the tags of "
                f"{model_name} are {', '.join(tags)}"
            )
        if tag not in tags:
            raise ValueError(_unknown(f"tag of {model_name}", tag, tags))
        source = str(_weights_of(model_name, tag))
    model = open_clip.create_model(
        model_name,
        pretrained=source,
        force_preprocess_cfg=_given_preprocessing(model_name, tag) if tag else None,
    )
    return ClipEncoder(
        model.eval(),
        open_clip.get_tokenizer(model_name),
        preprocessing or _own_preprocessing(model),
        name,
    ).eval()


def _given_preprocessing(model_name: str, tag: str) -> dict[str, object] | None:
    """Mean, std and the like that open_clip records for a tag; lost when it is given a file."""
    import open_clip

    config = open_clip.get_pretrained_cfg(model_name, tag)
    known = ("mean", "std", "interpolation", "resize_mode")
    return {key: config[key] for key in known if config.get(key) is not None} or None


def _own_preprocessing(model: nn.Module) -> Preprocessing:
    visual: Any = model.visual
    config = visual.preprocess_cfg
    size = config["size"]
    return Preprocessing(
        image_size=int(size if isinstance(size, int) else size[0]),
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        interpolation=config["interpolation"],
        resize_mode=_RESIZE[config["resize_mode"]],
    )


def _weights_of(model_name: str, tag: str) -> Path:
    """The checkpoint of a tag: from the hub's cache, or fetched now."""
    import huggingface_hub
    import open_clip

    config = open_clip.get_pretrained_cfg(model_name, tag)
    repository, _, file = str(config.get("hf_hub", "")).rpartition("/")
    if not repository:
        raise MissingWeightsError(
            f"the weights of {model_name}:{tag} have no place on the hub; fetch them yourself and "
            f"pass weights_path= and preprocessing=, or use the offline default {TINY!r}"
        )
    names = [file] if file else ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"]
    for one in names:
        found = huggingface_hub.try_to_load_from_cache(repository, one)
        if isinstance(found, str):
            return Path(found)
    cache = Path(huggingface_hub.constants.HF_HUB_CACHE)
    problem = _missing(f"{model_name}:{tag}", f"{repository}/{names[0]}", cache)
    if not _reachable(huggingface_hub.constants.ENDPOINT):
        raise MissingWeightsError(problem)
    try:
        return Path(open_clip.download_pretrained(config))
    except (OSError, RuntimeError, ValueError) as error:
        raise MissingWeightsError(f"{problem} ({error})") from error


def _reachable(endpoint: str) -> bool:
    """Whether the hub answers at all; a proxy, where one is set, is left to the hub's client."""
    from urllib.request import getproxies

    if getproxies().get("https"):
        return True
    parts = urlsplit(endpoint)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname or "", port), CONNECT_TIMEOUT).close()
    except OSError:
        return False
    return True


def _missing(name: str, file: str, place: Path) -> str:
    return (
        f"the weights of {name} are not on this machine and cannot be fetched: {file} is not in "
        f"{place}. Fetch it where there is a network and put it there (or pass weights_path=), or "
        f"use the offline default {TINY!r}"
    )


def _unknown(what: str, given: str, known: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(given, known, n=4, cutoff=0.3) or known[:4]
    return f"unknown {what}: {given!r}; known ones include {', '.join(close)}"
