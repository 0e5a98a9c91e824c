"""Label dependency on top of opinions: cross-fitted, and every method runs."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest

from hybridlab.studies.evidence import METHODS, RECIPE, run

SMALL = {**RECIPE, "train": 48, "val": 24, "test": 24, "cnn_size": 64, "dim": 16,
         "head_epochs": 1, "stack_epochs": 1, "batch_size": 16}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_runs_and_repeats(store, method):
    one, again = (run({**SMALL, "method": method}, 0, store) for _ in range(2))
    assert one.scores.shape == (24, 80) and np.array_equal(one.scores, again.scores)
    assert one.scores.min() >= 0 and one.scores.max() <= 1


@pytest.mark.parametrize(("change", "words"), [
    ({"method": "both"}, "method is 'both'"), ({"folds": 1}, "give 2 or more"),
    ({"wings": 1}, "wings"), ({"beams": 4}, "beams"), ({"among": "red"}, "among is 'red'"),
    ({"order": "pla"}, "order"),
])
def test_unknown_settings_are_named(store, change, words):
    with pytest.raises(ValueError, match=words):
        run({**SMALL, **change}, 0, store)


@pytest.mark.parametrize("dial", ["000", "075", "100"])
def test_the_studies_stand(dial):
    study = import_module(f"hybridlab.studies.evidence_{dial}").STUDY
    assert study.name == f"evidence_{dial}" and set(study.hypotheses) <= set(study.variants)
    assert study.recipe["cooccurrence"] == int(dial) / 100


@pytest.mark.parametrize("regime", ["small", "hidden", "few"])
def test_the_studies_of_regimes_stand(regime):
    study = import_module(f"hybridlab.studies.evidence_{regime}").STUDY
    assert study.name == f"evidence_{regime}" and set(study.hypotheses) <= set(study.variants)
    assert study.recipe["cooccurrence"] == 0.75 and study.recipe != RECIPE


@pytest.mark.parametrize(("regime", "dial"), [("stage4", 1.0), ("stage4_075", 0.75)])
def test_the_studies_of_stage_4_stand(regime, dial):
    study = import_module(f"hybridlab.studies.evidence_{regime}").STUDY
    assert study.name == f"evidence_{regime}" and set(study.hypotheses) <= set(study.variants)
    assert (study.recipe["cooccurrence"], study.recipe["cnn_stage"]) == (dial, "stage4")


def test_only_some_objects_are_judged(store):
    every, small = (run({**SMALL, "among": among}, 0, store) for among in ("all", "small"))
    assert np.array_equal(every.scores, small.scores)
    left_out = (every.targets == 1) & (small.targets == -1)
    assert left_out.any() and ((every.targets == small.targets) | left_out).all()
