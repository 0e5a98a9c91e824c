"""CLIP and SigLIP models by name and tag, with their own preprocessing, and clear words when
weights cannot be had or do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from hybridlab.encoders.base import MissingWeightsError
from hybridlab.encoders.checkpoints import load_into
from hybridlab.encoders.clip import (
    TINY,
    ClipEncoder,
    build_from_folder,
    build_tiny_clip,
    said_already,
)
from hybridlab.encoders.clip_preprocessing import from_open_clip, of_tag
from hybridlab.encoders.clip_tokenizer import build_tokenizer
from hybridlab.encoders.hub import missing, reachable
from hybridlab.encoders.patch_tokens import fixed_size
from hybridlab.encoders.preprocessing import Preprocessing, require_fitting

FOLDER = "local-dir:"


def build_clip(
    name: str = TINY,
    *,
    pretrained: bool = True,
    weights_path: str | Path | None = None,
    preprocessing: Preprocessing | None = None,
    seed: int = 0,
) -> ClipEncoder:
    """A CLIP or SigLIP model by name.

    Args:
        name: "tiny", the offline default; "MODEL:TAG" of open_clip, such as
            "ViT-B-32:laion2b_s34b_b79k", "RN50:openai" or "ViT-B-16-SigLIP2:webli", without a tag
            where `weights_path` or `pretrained=False` is given; or "local-dir:FOLDER", a folder
            with `open_clip_config.json`, weights and tokenizer, as hubs keep models.
        pretrained: False gives random weights, on purpose only.
        weights_path: a local checkpoint in place of a tag.
        preprocessing: needed with `weights_path`: a file does not say what it was trained with,
            and open_clip would silently take OpenAI's mean and std (trap 12). Nor does it say
            which GELU it was trained with: name the "-quickgelu" model for OpenAI's own weights and
            for others that were trained with it.
        seed: of random weights. The global generator is not touched.

    Raises:
        ValueError: unknown model or tag (known ones are listed), a tag that is missing, a local
            file without preprocessing, preprocessing for another image size than the model's, or
            a checkpoint of another architecture.
        MissingWeightsError: weights or tokenizer are neither on this machine nor to be fetched.
        ImportError: the tokenizer needs a package that is not installed.
    """
    if name == TINY:
        if weights_path is not None or preprocessing is not None:
            raise ValueError(
                "the tiny CLIP has its own weights and preprocessing; leave weights_path and "
                "preprocessing out"
            )
        if pretrained:
            return build_tiny_clip()
    if weights_path is not None and not pretrained:
        raise ValueError("got weights_path together with pretrained=False; give one of the two")
    with torch.random.fork_rng(devices=[]):  # open_clip initialises from the global generator
        torch.manual_seed(seed)
        if name == TINY:
            return build_tiny_clip(pretrained=False)
        if name.startswith(FOLDER):
            encoder = _of_folder(name, pretrained, weights_path, preprocessing)
        else:
            encoder = _of_name(name, pretrained, weights_path, preprocessing)
    require_fitting(encoder.preprocessing, fixed_size(encoder.vision), name)
    return encoder


def recorded_preprocessing(name: str) -> Preprocessing:
    """What open_clip records of MODEL:TAG: for a local file that holds the weights of that tag.

    Raises:
        ValueError: unknown model or tag (known ones are listed), no tag, or nothing recorded.
    """
    import open_clip

    model_name, _, tag = name.partition(":")
    _require_model(model_name)
    _require_tag(name, model_name, tag)
    size = open_clip.get_model_config(model_name)["vision_cfg"].get("image_size", 224)
    return from_open_clip(of_tag(model_name, tag) or {}, size, f"open_clip's record of {name}")


def _of_folder(
    name: str,
    pretrained: bool,
    weights_path: str | Path | None,
    preprocessing: Preprocessing | None,
) -> ClipEncoder:
    if weights_path is not None:
        raise ValueError(f"{name} holds its own weights; leave weights_path out")
    return build_from_folder(
        Path(name.removeprefix(FOLDER)), name, pretrained=pretrained, preprocessing=preprocessing
    )


def _of_name(
    name: str,
    pretrained: bool,
    weights_path: str | Path | None,
    preprocessing: Preprocessing | None,
) -> ClipEncoder:
    import open_clip

    model_name, _, tag = name.partition(":")
    _require_model(model_name)
    file: Path | None = None
    if weights_path is not None:
        file = Path(weights_path)
        if preprocessing is None:
            raise ValueError(
                f"{file} does not say how its images were prepared; pass preprocessing= "
                "with the size, mean and std it was trained with"
            )
        if not file.is_file():
            raise MissingWeightsError(f"there is no file {file}; look at weights_path")
    elif pretrained:
        _require_tag(name, model_name, tag)
        file = _weights_of(model_name, tag)
    _require_text_config(name, model_name)
    recorded: Any = open_clip.get_pretrained_cfg(model_name, tag) if tag else {}
    with said_already():
        model = open_clip.create_model(
            model_name,
            # open_clip is given a file and not the tag, so it cannot know that weights of OpenAI
            # and others were trained with another GELU
            force_quick_gelu=bool(recorded.get("quick_gelu")),
            force_preprocess_cfg=of_tag(model_name, tag),
            pretrained_text=False,  # no weights of another text model, fetched without a word
        ).eval()
    if file is not None:
        load_into(model, file, name)
    tokenizer = build_tokenizer(model_name, later=file is None)
    if preprocessing is None:
        told = model.visual.preprocess_cfg
        preprocessing = from_open_clip(told, told["size"], f"open_clip's record of {name}")
    return ClipEncoder(model, tokenizer, preprocessing, name).eval()


def _require_model(model_name: str) -> None:
    import open_clip

    if model_name not in open_clip.list_models():
        raise ValueError(_unknown("CLIP model", model_name, [TINY, *open_clip.list_models()]))


def _require_text_config(name: str, model_name: str) -> None:
    """Some models take their text tower from transformers, and its plan from the hub."""
    import huggingface_hub
    import open_clip

    config = open_clip.get_model_config(model_name) or {}
    repository = config.get("text_cfg", {}).get("hf_model_name")
    if not repository or reachable():
        return
    if not isinstance(huggingface_hub.try_to_load_from_cache(repository, "config.json"), str):
        cache = Path(huggingface_hub.constants.HF_HUB_CACHE)
        raise MissingWeightsError(missing(
            f"the plan of the text tower of {name}", f"{repository}/config.json", cache,
            f", or use the offline default {TINY!r}",
        ))


def _require_tag(name: str, model_name: str, tag: str) -> None:
    import open_clip

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
    problem = _no_weights(f"{model_name}:{tag}", f"{repository}/{names[0]}", cache)
    if not reachable():
        raise MissingWeightsError(problem)
    try:
        return Path(open_clip.download_pretrained(config))
    except (OSError, RuntimeError, ValueError) as error:
        raise MissingWeightsError(f"{problem} ({error})") from error


def _no_weights(name: str, file: str, place: Path) -> str:
    instead = f" (or pass weights_path=), or use the offline default {TINY!r}"
    return missing(f"the weights of {name}", file, place, instead)


def _unknown(what: str, given: str, known: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(given, known, n=4, cutoff=0.3) or known[:4]
    return f"unknown {what}: {given!r}; known ones include {', '.join(close)}"
