"""Pretraining: resumes bit for bit, refuses other settings, and its batches tell the truth."""

from __future__ import annotations

import itertools
import json

import pytest
import torch

from hybridlab.configs import PretrainConfig
from hybridlab.data.captioned import CaptionedPictures
from hybridlab.data.world import HELD_OUT
from hybridlab.training import clip_release
from hybridlab.training.clip_pretraining import (
    STATE_FILE,
    draw_batch,
    load_state,
    pretrain,
    rate_at,
    size_at,
    step_loss,
)

TINY = PretrainConfig(
    schedule=((2, 64), (2, 96)), batch_size=6, warmup=1, save_every=1, patch_weight=0.5
)


class Killed(Exception):
    """Stands for a kill between two steps."""


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path):
    straight = list(pretrain(TINY, tmp_path / "straight"))[-1]

    def kill_at_two(state, parts):
        if state.step == 3:
            raise Killed

    with pytest.raises(Killed):
        list(pretrain(TINY, tmp_path / "killed", kill_at_two))
    assert load_state(TINY, tmp_path / "killed").step == 2
    resumed = list(pretrain(TINY, tmp_path / "killed"))[-1]
    assert resumed.step == straight.step == 4
    for name, value in straight.encoder.state_dict().items():
        assert torch.equal(value, resumed.encoder.state_dict()[name]), name
        assert torch.equal(straight.average[name], resumed.average[name]), name
    moments = [dict(s.encoder.named_parameters()) for s in (straight, resumed)]
    for name in moments[0]:
        a = straight.optimiser.state[moments[0][name]]
        b = resumed.optimiser.state[moments[1][name]]
        assert torch.equal(a["exp_avg_sq"], b["exp_avg_sq"]) and a["step"] == b["step"] == 4, name
    assert [entry["step"] for entry in resumed.log] == [1, 2, 3, 4]


def test_other_settings_are_refused_with_the_difference(tmp_path):
    from dataclasses import replace

    next(pretrain(TINY, tmp_path))
    before = (tmp_path / STATE_FILE).read_bytes()
    with pytest.raises(ValueError, match=r"lr: 0\.002 -> 0\.1"):
        load_state(replace(TINY, lr=0.1), tmp_path)
    assert (tmp_path / STATE_FILE).read_bytes() == before


def test_labels_that_are_never_shown_make_another_run(tmp_path):
    from dataclasses import replace

    without = replace(TINY, never=("crab", "held-out"))
    assert len(without.never) == 16 and without.never == replace(TINY, never=HELD_OUT).never
    assert "never" not in TINY.to_dict() and without.to_dict()["never"] == without.never
    with pytest.raises(ValueError, match="never names 'crap'"):
        replace(TINY, never=("crap",))
    for first, second in ((TINY, without), (without, TINY)):
        folder = tmp_path / str(len(first.never))
        next(pretrain(first, folder))
        with pytest.raises(ValueError, match="never: "):
            load_state(second, folder)


def test_a_batch_without_some_labels_never_names_them():
    from dataclasses import replace

    config = replace(TINY, batch_size=64, never=("held-out",), singles=1.0)
    said = {text for step in range(4) for batch in [draw_batch(step, config)]
            for text in (*batch[1], *batch[3])}
    plain = {text for step in range(4) for batch in [draw_batch(step, replace(config, never=()))]
             for text in (*batch[1], *batch[3])}
    assert not [text for text in said for name in HELD_OUT if name in text]
    assert [text for text in plain for name in HELD_OUT if name in text]


def test_the_loss_on_captions_is_that_of_the_lesson():
    """As it was before it went by its name in `contrastive`: the shipped weights were made so."""
    from hybridlab.losses import symmetric_contrastive
    from hybridlab.training.clip_pretraining import _normalised, new_state

    encoder = new_state(TINY).encoder.eval()
    images, words, positives, captions, same = draw_batch(0, TINY)
    with torch.no_grad():
        total, parts = step_loss(encoder, 0, TINY)
        image_emb = encoder.encode_image(_normalised(images, encoder)).image_emb
        word_emb, text_emb = (encoder.encode_text(each) for each in (words, captions))
        scale = encoder.logit_scale
        by_words = symmetric_contrastive(scale * image_emb @ word_emb.T, positives)
        by_captions = symmetric_contrastive(scale * image_emb @ text_emb.T, same)
    assert parts["caption"] == pytest.approx(float(by_captions), abs=1e-5)
    assert parts["global"] == pytest.approx(float(by_words), abs=1e-5)
    expected = by_words + 0.5 * torch.tensor(parts["patch"]) + 0.5 * by_captions
    assert float(total) == pytest.approx(float(expected), abs=1e-5)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    state = load_state(TINY, tmp_path)
    with torch.no_grad():
        state.encoder.model.get_parameter("logit_scale").fill_(float("nan"))
    with pytest.raises(FloatingPointError, match=r"the loss is nan at step 0; lower lr"):
        list(pretrain(TINY, tmp_path, state=state))
    assert not (tmp_path / STATE_FILE).exists()


def test_a_batch_says_what_its_pictures_show():
    images, words, positives, captions, same = draw_batch(3, TINY)
    pictures = CaptionedPictures(96, TINY.seed, TINY.singles)
    shown = [pictures[index].shown for index in range(18, 24)]
    assert images.shape == (6, 3, 96, 96) and len(captions) == 6
    assert positives.sum(1).tolist() == [len(one) for one in shown]
    assert positives.shape[1] == len(words) == len({which for one in shown for which in one})
    names = pictures.catalogue.names
    for row, one in enumerate(shown):
        for which in one:
            said = [words[c] for c in positives[row].nonzero().flatten()]
            assert any(name in text for name in names[which] for text in said)
    for a in range(6):
        for b in range(6):
            assert bool(same[a, b]) == (set(shown[a]) == set(shown[b]))


def test_schedule_and_rate():
    assert [size_at(step, TINY) for step in range(5)] == [64, 64, 96, 96, 96]
    config = PretrainConfig(schedule=((100, 64),), warmup=10)
    rates = [rate_at(step, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == rates[9] == pytest.approx(1.0)
    assert rates[-1] < 0.02 and all(a >= b for a, b in itertools.pairwise(rates[9:]))


def test_the_patch_loss_is_a_part_that_can_be_switched_off():
    from dataclasses import replace

    from hybridlab.training.clip_pretraining import new_state

    encoder = new_state(TINY).encoder.eval()
    with torch.no_grad():
        total, parts = step_loss(encoder, 0, TINY)
        plain, off = step_loss(encoder, 0, replace(TINY, patch_weight=0.0))
    assert parts["patch"] > 0 == off["patch"]
    assert float(total - plain) == pytest.approx(0.5 * parts["patch"], abs=1e-4)


def test_a_checkpoint_holds_no_pickle_and_its_header_is_json(tmp_path):
    from safetensors import safe_open

    next(pretrain(TINY, tmp_path))
    with safe_open(tmp_path / STATE_FILE, "pt") as file:
        header = file.metadata()
    assert json.loads(header["config"])["batch_size"] == 6 and header["step"] == "1"
    assert [path.name for path in tmp_path.iterdir()] == [STATE_FILE]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"save_every": 0}, "save_every is 0"), ({"schedule": ((2, 0),)}, "schedule is"),
        ({"schedule": ((0, 64),)}, "schedule is"), ({"schedule": ()}, "schedule is"),
        ({"batch_size": 0}, "batch_size is 0"), ({"singles": 2.0}, "singles is 2"),
        ({"ema": 2.0}, "ema is 2"), ({"patch_weight": -1.0}, "patch_weight is -1"),
        ({"lr": float("nan")}, "lr is nan"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        PretrainConfig(**change)


def test_a_checkpoint_that_was_cut_short_is_named(tmp_path):
    next(pretrain(TINY, tmp_path))
    path = tmp_path / STATE_FILE
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(ValueError, match=r"is no readable checkpoint .* remove it to start anew"):
        load_state(TINY, tmp_path)
    assert path.stat().st_size == 100_000


def test_a_folder_that_takes_no_file_is_told_before_training(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(clip_release, "load_state", None)  # not reached
    with pytest.raises(OSError):
        clip_release.main_pretrain(tmp_path / "file" / "inside", TINY)
