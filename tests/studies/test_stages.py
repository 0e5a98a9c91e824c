"""A run of lesson 06's study: phase 0 is shared, and what the tower knows is measured twice."""

from __future__ import annotations

import numpy as np
import pytest

from hybridlab.studies import stage_switches, stages
from hybridlab.studies.stages import RECIPE, run

SMALL = {**RECIPE, "train": 20, "val": 10, "test": 12, "batch_size": 8, "decoder_epochs": 1,
         "fusion_epochs": 1, "tune_epochs": 1, "cnn_size": 64, "dim": 16}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


def test_runs_of_a_seed_share_phase_0(store):
    gently = run(SMALL, 1, store)
    assert gently.scores.shape == gently.decisions.shape == (12, 80)
    assert gently.scores.min() >= 0 and gently.scores.max() <= 1
    places = [each for each in store.iterdir() if each.name.startswith("phase-0")]
    last = sorted((places[0] / "checkpoints" / "decoder").iterdir())[-1]
    written = (last / "facts.json").stat().st_mtime_ns
    frozen = run({**SMALL, "plan": "frozen"}, 1, store)
    assert [each for each in store.iterdir() if each.name.startswith("phase-0")] == places
    assert (last / "facts.json").stat().st_mtime_ns == written
    assert frozen.parameters < gently.parameters
    for name in ("zero_shot_mean_ap", "naming"):
        assert frozen.extra[f"{name}_before"] == frozen.extra[f"{name}_after"]
        assert frozen.extra[f"{name}_before"] == gently.extra[f"{name}_before"]
    assert 0 < gently.extra["decoder_mean_ap"] <= 1
    assert 0 <= gently.extra["decoder_exact_match"] <= 1
    assert gently.extra["zero_shot_mean_ap_after"] != gently.extra["zero_shot_mean_ap_before"]
    again = run(SMALL, 1, store)
    assert np.array_equal(again.scores, gently.scores) and again.extra == gently.extra
    assert not np.array_equal(run(SMALL, 2, store).scores, gently.scores)
    with pytest.raises(ValueError, match=r"unknown settings \['speed'\]"):
        run({**SMALL, "speed": 1}, 1, store)


@pytest.mark.parametrize("study", [stages.STUDY, stage_switches.STUDY], ids=lambda one: one.name)
def test_every_variant_is_a_setting_that_the_run_knows(study):
    for changes in study.variants.values():
        assert set(changes) <= set(RECIPE)
    assert set(study.hypotheses) == set(study.variants) - {study.reference}
    assert study.recipe == RECIPE and study.variants[study.reference] == {}
