"""Checkpoints of a study: trained once, named by all that they depend on."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from hybridlab.configs import PretrainConfig
from hybridlab.encoders.base import is_frozen
from hybridlab.encoders.clip import build_tiny_clip
from hybridlab.studies import checkpoints
from hybridlab.studies.checkpoints import (
    ALL,
    PRETRAINED,
    RECIPE,
    SECOND,
    SHIPPED,
    WITHOUT,
    checkpoint_key,
    clip_of,
    trained_clip,
)
from hybridlab.training.clip_pretraining import averaged, pretrain

TINY = PretrainConfig(schedule=((2, 64),), batch_size=4, warmup=1)
SMALL = {**RECIPE, "schedule": [[1, 64]], "shipped_schedule": [[2, 64]], "pretrain_batch": 12}
SEEDS = (2, 3)  # among their first twelve pictures is one of a held-out label


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


def test_a_checkpoint_is_trained_once_and_leaves_no_moments_behind(store, tmp_path, monkeypatch):
    clip, seconds = trained_clip(TINY, store)
    assert is_frozen(clip) and seconds > 0
    straight = averaged(list(pretrain(TINY, tmp_path / "straight"))[-1])
    for name, value in straight.state_dict().items():
        assert torch.equal(value, clip.state_dict()[name]), name
    kept = [path.suffix for path in store.iterdir() if path.name[0] != "."]
    assert kept == [".safetensors"]
    monkeypatch.setattr(checkpoints, "pretrain", None)  # would fail if called
    again, told = trained_clip(TINY, store)
    assert told == seconds and again.weights_hash() == clip.weights_hash()


def test_a_killed_training_goes_on(store, tmp_path, monkeypatch):
    straight, _ = trained_clip(TINY, store)
    real = checkpoints.pretrain

    def killed(*args, **kwargs):
        yield next(real(*args, **kwargs))
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "pretrain", killed)
    with pytest.raises(KeyboardInterrupt):
        trained_clip(replace(TINY, save_every=1), tmp_path / "store")
    steps = []

    def counted(config, folder, state):
        steps.append(state.step)
        return real(config, folder, state=state)

    monkeypatch.setattr(checkpoints, "pretrain", counted)
    resumed, _ = trained_clip(replace(TINY, save_every=1), tmp_path / "store")
    assert steps == [1] and resumed.weights_hash() == straight.weights_hash()


def test_each_level_is_what_its_name_says(tmp_path):
    found = {}
    for which in PRETRAINED:
        for seed in SEEDS[: 1 if which == WITHOUT else 2]:
            clip, _ = clip_of({**SMALL, "pretrained": which}, seed, tmp_path)
            found[which, seed] = clip.weights_hash()
    assert found[SHIPPED, 2] == found[SHIPPED, 3] == build_tiny_clip().weights_hash()
    assert found[SECOND, 2] == found[SECOND, 3]
    each = [found[ALL, 2], found[ALL, 3], found[WITHOUT, 2], found[SECOND, 2]]
    assert len(set(each)) == 4
    with pytest.raises(ValueError, match="pretrained is 'magic'"):
        clip_of({**SMALL, "pretrained": "magic"}, 0, tmp_path)


def test_a_key_holds_the_recipe_but_not_how_often_it_was_saved():
    key = checkpoint_key(TINY)
    assert key == checkpoint_key(replace(TINY, save_every=7))
    others = [replace(TINY, seed=1), replace(TINY, never=("crab",)), replace(TINY, lr=0.1)]
    assert len({key, *map(checkpoint_key, others)}) == 4
    assert [list(stage) for stage in PretrainConfig().schedule] == RECIPE["shipped_schedule"]
