"""What the card of the tiny CLIP says is what its weights do."""

from __future__ import annotations

import json

import pytest

from hybridlab.configs import PretrainConfig
from hybridlab.data.world import HELD_OUT
from hybridlab.encoders.clip import TINY_FOLDER, WEIGHTS_FILE, build_tiny_clip
from hybridlab.training.clip_release import MAX_BYTES, model_card, zero_shot_figures

RECORD = json.loads((TINY_FOLDER / "training.json").read_text())


def test_the_recorded_figures_come_out_again():
    found, said = zero_shot_figures(build_tiny_clip()), RECORD["zero_shot"]
    for name in ("global_mean_ap", "patch_mean_ap", "patch_mean_ap_held_out"):
        assert found[name] == pytest.approx(said[name], abs=0.005), name
    assert found["patch_mean_ap"] >= 0.30


def test_the_card_is_made_from_the_record():
    assert (TINY_FOLDER / "README.md").read_text() == model_card(RECORD)
    assert tuple(RECORD["held_out"]) == HELD_OUT
    assert RECORD["config"] == json.loads(json.dumps(PretrainConfig().to_dict()))
    assert (TINY_FOLDER / WEIGHTS_FILE).stat().st_size <= MAX_BYTES
