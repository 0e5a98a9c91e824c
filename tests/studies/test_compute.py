"""The study of compute: trained once a method and seed, measured at every budget."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hybridlab.course import recorded
from hybridlab.pretraining.budget import TERA
from hybridlab.studies import compute, compute_rates
from hybridlab.studies.compute import COMPARED, RATES, RECIPE, STUDY, price, run, variant
from hybridlab.studies.compute_rates import TRIED, trial

SMALL = {
    **RECIPE, "budgets": [1e-3, 2e-3], "budget": 2e-3, "batch_size": 2, "emoji": 90, "scenes": 6,
    "scene_size": 64, "reference_pictures": 2,
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.mark.parametrize("method", ["clip", "prefix"])
def test_every_method_is_trained_once_and_asked_at_every_budget(method, store, monkeypatch):
    config = {**SMALL, "method": method}
    most = run(config, 0, store)
    monkeypatch.setattr(compute, "_train", None)  # would fail if called
    least = run({**config, "budget": 1e-3}, 0, store)
    assert most.scores.shape == least.scores.shape == (6, 80)
    assert not np.array_equal(most.scores, least.scores)
    assert np.array_equal(most.targets, least.targets)
    assert least.extra["steps"] <= most.extra["steps"] / 2
    assert most.extra["tflop"] <= 2e-3 and most.extra["images"] == 2 * most.extra["steps"]
    assert most.extra["images_per_second"] > 0 and most.parameters > 3_000_000
    assert (most.decisions.sum(axis=1) == 3).all()
    json.dumps(most.extra)


def test_a_budget_s_scores_are_those_of_a_run_that_ends_there(store, tmp_path):
    config = {**SMALL, "method": "bow"}
    shared = run({**config, "budget": 1e-3}, 0, store)
    alone = run({**config, "budget": 1e-3, "budgets": [1e-3]}, 0, tmp_path)
    assert np.array_equal(shared.scores, alone.scores)
    other = run({**config, "budget": 1e-3, "budgets": [1e-3]}, 1, tmp_path)
    assert not np.array_equal(other.scores, alone.scores)


def test_a_prior_is_one_number_a_label(store):
    config = {**SMALL, "method": "prefix"}
    plain, less = (run({**config, "prior": prior}, 0, store) for prior in (False, True))
    taken = plain.scores - less.scores
    assert np.allclose(taken, taken[:1], atol=1e-5) and np.ptp(taken[0]) > 0


def test_a_cheap_head_pays_for_more_steps():
    steps = {name: price({**SMALL, "method": name})[1][-1] for name in ("clip", "bow")}
    assert steps["bow"] > steps["clip"] > 1


def test_the_study_fits_a_laptop():
    flops, steps = price(RECIPE)
    assert 50 * flops < RECIPE["budgets"][1] * TERA < 150 * flops
    assert steps == sorted(steps) and 300 < steps[-1] < 500


def test_mistakes_are_named(store):
    with pytest.raises(ValueError, match=r"budget is 5; choose one of \[0.001, 0.002\]"):
        run({**SMALL, "budget": 5}, 0, store)
    with pytest.raises(ValueError, match="wings"):
        run({**SMALL, "wings": 2}, 0, store)
    with pytest.raises(ValueError, match="no method 'magic'"):
        run({**SMALL, "method": "magic"}, 0, store)


def test_the_study_is_whole():
    assert STUDY.reference == variant("clip", 6.4) == "clip, 6.4 TFLOP"
    asked = [STUDY.config(name) for name in STUDY.variants]
    assert {(each["method"], each["budget"]) for each in asked if not each["prior"]} == {
        (method, budget) for method in COMPARED for budget in RECIPE["budgets"]
    }
    # methods first: workers that start together train different methods
    assert [each["method"] for each in asked[:4]] == list(COMPARED)
    assert set(STUDY.hypotheses) <= set(STUDY.variants)


def test_each_method_has_the_rates_that_did_best_in_the_recorded_trials():
    """Where it fails: record the trials again, see `compute_rates`."""
    rows = recorded("compute_rates")["metrics"]["mean_ap"]["rows"]
    found = {row["name"]: row["mean"] for row in rows}
    for method in COMPARED:
        tried = {rates: found[trial(method, *rates)] for rates in TRIED}
        assert max(tried, key=tried.get) == RATES[method]
        config = STUDY.config(variant(method, 6.4))
        assert (config["lr"], config["trunk_lr"]) == RATES[method]
    assert compute_rates.SEED not in STUDY.seeds
    assert compute_rates.STUDY.config(trial("bow", 1e-3, 1e-4))["split"] == "val"
