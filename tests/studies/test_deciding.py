"""Every rule decides, its flattery is told, and what a rule may see is what it is fitted on."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest

from hybridlab.evaluation.threshold_rules import f1_of
from hybridlab.evaluation.thresholds import per_label_thresholds
from hybridlab.studies.deciding import (
    RECIPE,
    RULES,
    TUNED,
    Split,
    crossed,
    drawn_rows,
    expected_best_f1,
    run,
)

SMALL = {**RECIPE, "train": 30, "val": 40, "test": 30, "batch_size": 16, "decoder_epochs": 1,
         "fusion_epochs": 2, "linear_epochs": 1, "cnn_size": 64, "dim": 16, "positives": 1}
OWN = "best F1 of each label"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_decides_with_the_same_scores(store, rule):
    found = run({**SMALL, "rule": rule}, 1, store)
    usual = run(SMALL, 1, store)
    assert np.array_equal(found.scores, usual.scores) and found.decisions.dtype == bool
    assert found.decisions.shape == (30, 80)
    told = {f"{where}_{name}" for where in ("fitted", "elsewhere", "crossed")
            for name in ("of1", "cf1", "macro_f1") if (where, rule) != ("crossed", TUNED)}
    assert set(found.extra) == told | {"fitted_on", "labels_below_5"}
    assert all(0 <= found.extra[name] <= 1 for name in told)
    judged = f1_of(found.decisions, found.targets)
    here = "fitted" if rule == TUNED else "elsewhere"
    assert [found.extra[f"{here}_{name}"] for name in judged._fields] == list(judged)
    assert found.extra["fitted_on"] == 30 if rule == TUNED else found.extra["fitted_on"] < 40
    if rule == "0.5":
        assert np.array_equal(found.decisions, found.scores >= 0.5)
        assert found.extra["crossed_of1"] == found.extra["fitted_of1"]  # nothing was fitted
    if rule == "three labels for each scene":
        assert (found.decisions.sum(axis=1) == 3).all()


def test_tuned_on_the_test_scenes_is_best_where_it_looked(store):
    own, tuned = (run({**SMALL, "rule": rule}, 1, store) for rule in (OWN, TUNED))
    assert tuned.extra["fitted_macro_f1"] >= own.extra["elsewhere_macro_f1"]
    assert tuned.extra["fitted_macro_f1"] > tuned.extra["elsewhere_macro_f1"]


def test_cross_fitting_never_judges_a_scene_by_itself():
    """Each scene has a label of its own: whoever has not seen it cannot find that label's cut."""
    probs = np.full((10, 10), 0.2) + 0.5 * np.eye(10)
    split = Split(probs, probs, np.eye(10, dtype=np.int8), probs)
    own = RULES[OWN]
    assert own(split)(probs).sum() == 10
    seen = []

    def watched(part: Split):
        seen.append(part.targets.sum(axis=0))
        return own(part)

    decided = crossed(watched, split, 0)
    assert len(seen) == 5 and all(each.sum() == 8 for each in seen)
    limits = [per_label_thresholds(probs[each > 0], np.eye(10)[each > 0], 1, 0.0).values
              for each in seen]
    for row in range(10):
        hidden = next(cut for cut, each in zip(limits, seen, strict=True) if each[row] == 0)
        assert np.array_equal(decided[row], probs[row] >= hidden)


def test_expected_best_f1_by_trying_all_cuts():
    probs = np.random.default_rng(0).random(30)
    ranked = sorted(probs, reverse=True)
    tried = [2 * sum(ranked[:k]) / (k + sum(ranked)) for k in range(1, 31)]
    assert expected_best_f1(probs) == pytest.approx(max(tried))
    assert expected_best_f1(np.full(9, 0.1)) == pytest.approx(2 * 0.1 / 1.1)  # yes to everything


def test_as_many_scenes_as_the_positives_need():
    targets = np.zeros((100, 4), int)
    targets[:, 0] = 1  # a quarter of the entries
    assert len(drawn_rows(targets, 5, 0)) == 20
    assert not np.array_equal(drawn_rows(targets, 5, 0), drawn_rows(targets, 5, 1))
    assert set(drawn_rows(targets, 5, 0)) < set(drawn_rows(targets, 20, 0))  # more of the same
    with pytest.raises(ValueError, match="30 positives of a label need 120 scenes"):
        drawn_rows(targets, 30, 0)


def test_mistakes_are_named(store):
    with pytest.raises(ValueError, match="rule is 'luck'; choose one of one threshold"):
        run({**SMALL, "rule": "luck"}, 1, store)
    with pytest.raises(ValueError, match="unknown or missing settings"):
        run({**SMALL, "speed": 1}, 1, store)


@pytest.mark.parametrize("positives", [5, 20, 100])
def test_the_studies_differ_in_positives_alone(positives):
    study = import_module(f"hybridlab.studies.deciding_{positives:03d}").STUDY
    assert study.name == f"deciding_{positives:03d}" and list(study.variants) == list(RULES)
    assert all(study.config(rule) == {**RECIPE, "rule": rule, "positives": positives}
               for rule in study.variants)
    assert len(study.seeds) >= 5
