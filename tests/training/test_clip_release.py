"""What the card of the tiny CLIP says is what its weights do."""

from __future__ import annotations

import json
import shlex

import pytest

from hybridlab import cli
from hybridlab.configs import PretrainConfig
from hybridlab.data.world import HELD_OUT, WORLD
from hybridlab.encoders.clip import TINY_FOLDER, WEIGHTS_FILE, build_tiny_clip
from hybridlab.training.clip_release import MAX_BYTES, model_card, zero_shot_figures

RECORD = json.loads((TINY_FOLDER / "training.json").read_text())


def test_the_recorded_figures_come_out_again():
    found, said = zero_shot_figures(build_tiny_clip()), RECORD["zero_shot"]
    for name in ("global_mean_ap", "patch_mean_ap", "patch_mean_ap_held_out"):
        assert found[name] == pytest.approx(said[name], abs=0.005), name
    assert found["patch_mean_ap"] >= 0.45, "the aim of its training"


def test_the_card_is_made_from_the_record():
    assert (TINY_FOLDER / "README.md").read_text() == model_card(RECORD)
    assert tuple(RECORD["held_out"]) == HELD_OUT
    assert RECORD["config"] == json.loads(json.dumps(PretrainConfig().to_dict()))
    assert (TINY_FOLDER / WEIGHTS_FILE).stat().st_size <= MAX_BYTES


def test_a_card_of_a_second_checkpoint_says_what_it_was_never_shown():
    plain = model_card(RECORD)
    card = model_card({**RECORD, "config": {**RECORD["config"], "never": list(HELD_OUT)},
                       "emoji": 1157})
    assert "Every one of the 80 labels as a single emoji." in plain and "Never," not in plain
    told = " ".join(card.split())
    assert "64 of the 80 labels as a single emoji. Never, neither their emoji nor their" in told
    assert "1,157 emoji" in told and "64 labels also under their own names" in told
    assert all(name in told.partition("**What it has seen.**")[2] for name in HELD_OUT)


def test_a_second_checkpoint_is_asked_for_by_one_word_and_is_never_installed(tmp_path, capsys):
    asked = cli.parse(["pretrain-clip", "--never", "held-out", "--folder", str(tmp_path)])
    assert asked.config.never == tuple(name for name in WORLD if name in HELD_OUT)
    assert cli.parse(["pretrain-clip"]).config == PretrainConfig()
    both = ["pretrain-clip", "--never", "owl", "crab", "--folder", str(tmp_path)]
    assert cli.parse(both).config.never == ("crab", "owl")
    assert cli.main([*both, "--install"]) == 2
    assert "the package's own weights have seen every label" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_command_of_a_record_repeats_it():
    from hybridlab.training.clip_release import _command

    for config in (
        PretrainConfig(), PretrainConfig(never=("held-out",)),
        PretrainConfig(never=("glass of milk", "owl")),
    ):
        _, *argv = shlex.split(_command(config))
        assert cli.parse(argv).config == config
