"""The recorded studies: what they ask for exists, runs, and is shared."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

from hybridlab.ablation.study import Study
from hybridlab.configs import DemoConfig
from hybridlab.studies import RECORDED
from hybridlab.studies.small_world import METHODS, RECIPE, run, workshop_of

SMALL = {
    **RECIPE, "train": 24, "val": 12, "test": 16, "batch_size": 8, "decoder_epochs": 1,
    "linear_epochs": 1, "fusion_epochs": 1, "cnn_size": 64, "dim": 16,
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_a_pure_function_of_configuration_and_seed(method, store):
    config = {**SMALL, "method": method}
    first, again = run(config, 1, store), run(config, 1, store)
    assert np.array_equal(first.scores, again.scores)
    assert np.array_equal(first.decisions, again.decisions)
    assert first.scores.shape == (16, 80) and first.parameters == again.parameters
    assert (first.parameters == 0) == method.startswith("zero_shot")
    assert first.seconds == again.seconds  # what it cost, though the second run only read
    other = run(config, 2, store)
    assert np.array_equal(other.targets, first.targets)  # the same scenes for every seed
    same = np.array_equal(other.scores, first.scores)
    assert same == method.startswith("zero_shot")


def test_without_the_decoder_fewer_parameters_are_trained(store):
    whole = run({**SMALL, "method": "hybrid_frozen"}, 1, store)
    alone = run({**SMALL, "method": "hybrid_frozen", "view": "none"}, 1, store)
    assert 0 < alone.parameters < whole.parameters


def test_the_recipe_is_the_demo_s():
    shop = workshop_of(RECIPE, 0, None)
    assert shop.config == replace(DemoConfig(), seed=0)
    assert shop.scenes.seed == 0


def test_mistakes_are_named(store):
    with pytest.raises(ValueError, match="unknown method 'magic'"):
        run({**SMALL, "method": "magic"}, 0, store)
    with pytest.raises(ValueError, match="wings"):
        workshop_of({**SMALL, "wings": 2}, 0, store)


@pytest.mark.parametrize("name", [name for names in RECORDED.values() for name in names])
def test_recorded_studies_stand(name):
    study = import_module(name).STUDY
    assert isinstance(study, Study) and len(study.seeds) >= 3
    assert set(study.hypotheses) <= set(study.variants)
    if study.run == "hybridlab.studies.small_world:run":
        for variant in study.variants:
            config = study.config(variant)
            assert config["method"] in METHODS
            workshop_of(config, 0, None)  # every setting is known
