"""An open_clip model's own preprocessing: from its configuration, told and never guessed.

Where mean and std are not told, open_clip silently takes OpenAI's (trap 12).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hybridlab.encoders.base import MissingWeightsError
from hybridlab.encoders.preprocessing import Preprocessing

CONFIG_FILE = "open_clip_config.json"
FIELDS = ("mean", "std", "interpolation", "resize_mode")
_RESIZE = {"squash": "squash", "shortest": "crop", "longest": "pad"}


def from_open_clip(config: Mapping[str, Any], image_size: Any, told_in: str) -> Preprocessing:
    """open_clip's `preprocess_cfg` in our words.

    Args:
        config: with all of `FIELDS`.
        image_size: S, or (S, S).
        told_in: where it is told, for the message.

    Raises:
        ValueError: a field is missing or makes no sense, or the images are not square.
    """
    missing = [name for name in FIELDS if config.get(name) is None]
    if missing:
        raise ValueError(
            f"{told_in} does not tell how images are prepared: no {', '.join(missing)}; pass "
            "preprocessing= with what the weights were trained with"
        )
    sides = [image_size] if isinstance(image_size, int) else [int(side) for side in image_size]
    if len(set(sides)) != 1 or config["resize_mode"] not in _RESIZE:
        raise ValueError(
            f"{told_in}: image size {image_size!r} and resize_mode {config['resize_mode']!r}; "
            f"expected a square and one of {sorted(_RESIZE)}; pass preprocessing="
        )
    return Preprocessing(
        image_size=sides[0],
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        interpolation=config["interpolation"],
        resize_mode=_RESIZE[config["resize_mode"]],
    )


def of_folder(folder: Path) -> Preprocessing:
    """What `open_clip_config.json` in a folder tells.

    Raises:
        MissingWeightsError: there is no such file.
        ValueError: it is no configuration of open_clip, or does not tell the preprocessing.
    """
    path = folder / CONFIG_FILE
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        image_size = config["model_cfg"]["vision_cfg"].get("image_size", 224)  # open_clip's default
    except OSError as error:
        raise MissingWeightsError(
            f"there is no {CONFIG_FILE} in {folder}; give the folder of a model as open_clip or a "
            "hub writes it"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is not a configuration of open_clip ({type(error).__name__}: {error}); it "
            'needs "model_cfg" with "vision_cfg", and "preprocess_cfg"'
        ) from error
    return from_open_clip(config.get("preprocess_cfg") or {}, image_size, str(path))


def of_tag(model_name: str, tag: str) -> dict[str, Any] | None:
    """What open_clip records for MODEL:TAG; lost where it is given a file in place of the tag.

    Without a tag: what all tags of the model have in common, or None where they differ or there
    are none. That serves random weights, which were trained with nothing.
    """
    import open_clip

    tags = [tag] if tag else open_clip.list_pretrained_tags_by_model(model_name)
    found = []
    for each in tags:
        config = open_clip.get_pretrained_cfg(model_name, each)
        told = {name: config[name] for name in FIELDS if config.get(name) is not None}
        if told not in found:
            found.append(told)
    return found[0] or None if len(found) == 1 else None
