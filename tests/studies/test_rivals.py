"""Fair rivals of a mix: each is what it says, and the aim moves decisions only."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest

from hybridlab.evaluation.metrics import threshold_metrics
from hybridlab.studies import decoding
from hybridlab.studies.rivals import METHODS, RECIPE, run

SMALL = {**RECIPE, "train": 48, "val": 24, "test": 24, "cnn_size": 64, "epochs": 1, "dim": 16,
         "head_epochs": 2, "batch_size": 16}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


def scores(store, method, **changes):
    return run({**SMALL, **changes, "method": method}, 0, store).scores


@pytest.mark.parametrize(("method", "there"), [
    ("heads", "heads"), ("mean_heads", "mean_heads"), ("decoder", "decoder"),
    ("two_heads", "two_heads"), ("heads_and_decoder", "both"),
])
def test_models_are_those_of_the_studies_before(store, method, there):
    config = {name: SMALL[name] for name in decoding.RECIPE} | {"method": there}
    assert np.array_equal(scores(store, method), decoding.run(config, 0, store).scores)


def test_a_mix_lies_between_its_two(store):
    one, other = scores(store, "heads"), scores(store, "mean_heads")
    out = run({**SMALL, "method": "heads_and_mean"}, 0, store)
    weight = out.extra["weight"]
    assert np.allclose(out.scores, (1 - weight) * one + weight * other, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_the_aim_moves_decisions_only(store, method):
    of1, exact = (run({**SMALL, "method": method, "aim": aim}, 0, store)
                  for aim in ("of1", "exact_match"))
    assert np.array_equal(of1.scores, exact.scores)
    assert ("weight" in of1.extra) == (method not in ("heads", "mean_heads", "decoder"))
    assert threshold_metrics(exact.decisions, exact.targets).exact_match >= 0


@pytest.mark.parametrize(("change", "words"), [
    ({"method": "magic"}, "method is 'magic'"), ({"aim": "fame"}, "aim is 'fame'"),
    ({"wings": 2}, "wings"),
])
def test_unknown_settings_are_named(store, change, words):
    with pytest.raises(ValueError, match=words):
        run({**SMALL, **change}, 0, store)


@pytest.mark.parametrize("name", ["rivals_000", "rivals_075", "rivals_100"])
def test_the_settings_of_every_variant_are_known(name):
    study = import_module(f"hybridlab.studies.{name}").STUDY
    assert study.name == name and set(study.hypotheses) <= set(study.variants)
    assert all(set(study.config(variant)) == set(RECIPE) for variant in study.variants)
