"""Every rule decides, its flattery is told, and what a rule may see is what it is fitted on."""

from __future__ import annotations

import numpy as np
import pytest

from hybridlab.studies.deciding import RECIPE, RULES, STUDY, drawn_rows, run

SMALL = {**RECIPE, "train": 30, "val": 40, "test": 30, "batch_size": 16, "decoder_epochs": 1,
         "fusion_epochs": 2, "linear_epochs": 1, "cnn_size": 64, "dim": 16, "positives": 1}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_decides_with_the_same_scores(store, rule):
    found = run({**SMALL, "rule": rule}, 1, store)
    usual = run(SMALL, 1, store)
    assert np.array_equal(found.scores, usual.scores) and found.decisions.dtype == bool
    assert found.decisions.shape == (30, 80)
    assert 0 <= found.extra["fitted_of1"] <= 1 and found.extra["fitted_on"] < 40
    if rule == "0.5":
        assert np.array_equal(found.decisions, found.scores >= 0.5)
    if rule.startswith("best F1 of each label"):
        assert found.extra["fitted_macro_f1"] >= usual.extra["fitted_macro_f1"] - 0.05


def test_as_many_scenes_as_the_positives_need():
    targets = np.zeros((100, 4), int)
    targets[:, 0] = 1  # a quarter of the entries
    assert len(drawn_rows(targets, 5, 0)) == 20
    assert not np.array_equal(drawn_rows(targets, 5, 0), drawn_rows(targets, 5, 1))
    assert set(drawn_rows(targets, 5, 0)) < set(drawn_rows(targets, 20, 0))  # more of the same
    with pytest.raises(ValueError, match="30 positives of a label need 120 scenes"):
        drawn_rows(targets, 30, 0)


def test_mistakes_are_named(store):
    with pytest.raises(ValueError, match=r"rule is 'luck'; choose one of 0\.5"):
        run({**SMALL, "rule": "luck"}, 1, store)
    with pytest.raises(ValueError, match="unknown settings"):
        run({**SMALL, "speed": 1}, 1, store)
    assert set(STUDY.hypotheses) <= set(STUDY.variants)
