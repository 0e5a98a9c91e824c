"""Averages are those of the single models; weights and thresholds come from validation alone."""

from __future__ import annotations

import numpy as np
import pytest

from hybridlab.evaluation.metrics import mean_ap
from hybridlab.studies import deciding
from hybridlab.studies.ensembles import AVERAGES, HEADS, RECIPE, STUDY, run

SMALL = {**RECIPE, "train": 30, "val": 40, "test": 30, "batch_size": 16, "decoder_epochs": 1,
         "fusion_epochs": 2, "linear_epochs": 1, "cnn_size": 64, "dim": 16, "positives": 1}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


def found(store, average, seed=1):
    return run({**SMALL, "average": average}, seed, store)


def test_the_hybrid_is_that_of_the_other_studies(store):
    settings = {name: value for name, value in SMALL.items() if name != "average"}
    other = deciding.run({**settings, "rule": "one threshold"}, 1, store)
    same = found(store, "hybrid")
    assert np.array_equal(same.scores, other.scores)
    assert np.array_equal(same.decisions, other.decisions)


@pytest.mark.parametrize("average", [name for name in AVERAGES if name != "two hybrids"])
def test_an_average_has_its_weights(store, average):
    singles = [found(store, name) for name in HEADS]
    each = found(store, average)
    weights = [each.extra[f"weight {name}"] for name in HEADS]
    assert sum(weights) == pytest.approx(1) and min(weights) >= 0
    mixed = sum(weight * one.scores for weight, one in zip(weights, singles, strict=True))
    assert np.allclose(each.scores, mixed, atol=1e-6)
    values = [mean_ap(one.scores, one.targets).value for one in (each, found(store, "best single"))]
    assert each.extra["elsewhere_gain"] == pytest.approx(values[0] - values[1], abs=1e-6)
    if average == "equal":
        assert weights == pytest.approx([1 / 3] * 3)
    if average in ("mean_ap", "best single"):  # the corners are on the grid
        assert each.extra["fitted_gain"] >= 0
    if average in HEADS or average == "best single":
        assert sorted(weights) == [0, 0, 1]


def test_two_hybrids_are_those_of_two_seeds(store):
    both = found(store, "two hybrids")
    one, other = found(store, "hybrid"), found(store, "hybrid", 2)
    assert np.allclose(both.scores, (one.scores + other.scores) / 2, atol=1e-6)
    assert set(both.extra) == {"fitted_gain", "elsewhere_gain"}


def test_more_scenes_are_fitted_on_where_more_positives_are_asked_for(store):
    few, more = (run({**SMALL, "average": "likelihood", "positives": positives}, 1, store)
                 for positives in (0.3, 1))
    assert few.extra != more.extra
    with pytest.raises(ValueError, match="9 positives of a label need"):
        run({**SMALL, "positives": 9}, 1, store)


def test_mistakes_are_named(store):
    with pytest.raises(ValueError, match="average is 'harmonic'; choose one of CNN-RNN, CLIP"):
        found(store, "harmonic")
    with pytest.raises(ValueError, match="unknown or missing settings"):
        run({**SMALL, "speed": 1}, 1, store)


def test_the_models_are_those_of_the_studies_of_thresholds():
    assert set(STUDY.hypotheses) <= set(STUDY.variants) and len(STUDY.seeds) >= 5
    theirs = {name: value for name, value in deciding.RECIPE.items() if name != "rule"}
    assert {**theirs, "average": "best single", "positives": 100} == RECIPE
    assert all(set(STUDY.config(name)) == set(RECIPE) for name in STUDY.variants)
