"""The encoders that lessons and commands name, side by side: sizes, tokens, licences, weights.

Each architecture is built on torch's "meta" device, where tensors have shapes and no memory: So400m
is counted in seconds, on any machine. The table in docs/encoders.md is `as_markdown`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import nn

from hybridlab.encoders.backbones import BACKBONES, backbone
from hybridlab.encoders.clip import TINY, TINY_FOLDER, said_already
from hybridlab.encoders.clip_hub import recorded_preprocessing
from hybridlab.encoders.clip_preprocessing import of_folder
from hybridlab.encoders.gemma import TOKENS, VISION, gemma_config
from hybridlab.encoders.patch_tokens import look


@dataclass(frozen=True)
class Measured:
    """What an architecture is.

    Attributes:
        image: parameters that an image goes through.
        whole: all of the published model: with its classifier or text tower.
        image_size: side in pixels that its weights were trained with.
        tokens: P, for one image of that size.
        dim: D of a token.
    """

    image: int
    whole: int
    image_size: int
    tokens: int
    dim: int


@dataclass(frozen=True)
class Entry:
    """One row.

    Attributes:
        name: as the builder takes it.
        builder: the function that takes it.
        measure: counts it.
        licence: of the weights, as their publisher's page has it.
        weights: how to get them.
    """

    name: str
    builder: str
    measure: Callable[[], Measured]
    licence: str
    weights: str


@cache
def measure_cnn(name: str) -> Measured:
    """A convolutional network of `backbones.BACKBONES`, up to its last stage."""
    row = backbone(name)
    side = row.image_size
    with torch.device("meta"):
        network = row.build(name).eval()
        pieces = [layer for stage in row.stages(network).values() for layer in stage]
        trunk = nn.Sequential(*pieces).eval()
        with torch.no_grad():
            _, channels, height, width = trunk(torch.empty(1, 3, side, side)).shape
    return Measured(_count(trunk), _count(network), side, height * width, channels)


@cache
def measure_clip(name: str) -> Measured:
    """A model of open_clip, MODEL:TAG, or the tiny one."""
    import open_clip

    source = name.partition(":")[0] if name != TINY else f"local-dir:{TINY_FOLDER}"
    told = of_folder(TINY_FOLDER) if name == TINY else recorded_preprocessing(name)
    side = told.image_size
    # the argument alone builds on the CPU, and moves afterwards
    with said_already(), torch.device("meta"):
        model = open_clip.create_model(
            source, load_weights=False, pretrained_text=False, device="meta"
        ).eval()
    with torch.no_grad():
        seen = look(model.visual, torch.empty(1, 3, side, side, device="meta"))
    _, tokens, dim = seen.tokens.shape
    return Measured(_count(model.visual), _count(model), side, tokens, dim)


@cache
def measure_gemma() -> Measured:
    """Gemma 3's vision tower with its projector to a language model of 4 billion parameters; the
    language model itself is not counted.

    Raises:
        ImportError: transformers is not installed.
    """
    config: Any = gemma_config()  # first: it says what to install
    from transformers import SiglipVisionModel
    from transformers.models.gemma3.modeling_gemma3 import Gemma3MultiModalProjector

    with torch.device("meta"):
        tower = SiglipVisionModel(config.vision_config)
        projector = Gemma3MultiModalProjector(config)
    count = _count(tower) + _count(projector)
    return Measured(count, count, VISION["image_size"], TOKENS, VISION["hidden_size"])


def _cnn(name: str, licence: str, weights: str) -> Entry:
    return Entry(name, "build_cnn", lambda: measure_cnn(name), licence, weights)


def _clip(name: str, licence: str, weights: str) -> Entry:
    return Entry(name, "build_clip", lambda: measure_clip(name), licence, weights)


_FETCHED = "fetched at first use, or `weights_path=`"
_TORCHVISION = "torchvision: BSD-3-Clause code; \"may have\" terms of ImageNet"

CATALOGUE: tuple[Entry, ...] = (
    _cnn("efficientnet_lite0", "Apache-2.0", "installed with the course"),
    _cnn("resnet50", _TORCHVISION, _FETCHED),
    _cnn("resnet101", _TORCHVISION, _FETCHED),
    _cnn("resnet152", _TORCHVISION, _FETCHED),
    _clip(TINY, "the course's own (NOTICE)", "shipped with the course"),
    _clip("ViT-B-32:openai", "MIT", _FETCHED),
    _clip("ViT-B-32:laion2b_s34b_b79k", "MIT", _FETCHED),
    _clip("ViT-B-16-SigLIP:webli", "Apache-2.0", _FETCHED + "; its tokenizer: extra `gemma`"),
    _clip(
        "ViT-SO400M-14-SigLIP-384:webli", "Apache-2.0",
        _FETCHED + "; its tokenizer: extra `gemma`",
    ),
    Entry(
        "google/gemma-3-4b-it", "build_gemma_tower", measure_gemma, "Gemma's terms of use",
        "accept the terms on its page, fetch its files, give their folder; extra `gemma`",
    ),
)


def licence_of(name: str) -> str | None:
    """Of an encoder's weights, by the name in a bundle; None where it is not known here."""
    for entry in CATALOGUE:
        if name == entry.name:
            return entry.licence
    family = "efficientnet_lite0" if name.startswith("efficientnet_lite") else "resnet50"
    return licence_of(family) if name in BACKBONES else None


def as_markdown(entries: Sequence[Entry] = CATALOGUE) -> str:
    """The table of docs/encoders.md; parameters in millions."""
    lines = [
        "| name | builder | image encoder | whole model | input | tokens x width | licence of the "
        "weights | weights |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for entry in entries:
        found = entry.measure()
        lines.append(
            f"| `{entry.name}` | `{entry.builder}` | {found.image / 1e6:.1f} M | "
            f"{found.whole / 1e6:.1f} M | {found.image_size} | {found.tokens} x {found.dim} | "
            f"{entry.licence} | {entry.weights} |"
        )
    return "\n".join(lines)


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


if __name__ == "__main__":
    print(as_markdown())
