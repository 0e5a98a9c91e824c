"""A run of lesson 05's studies: every method, what it costs, and what it is compared with."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from hybridlab.course import recorded
from hybridlab.fusion import FUSIONS
from hybridlab.studies import fused_000, fused_100, fusion_rates, fusions
from hybridlab.studies.fusing import METHODS, OPINIONS, RECIPE, groups_of, pipeline_of, run
from hybridlab.studies.fusion_rates import trial

SMALL = {**RECIPE, "train": 24, "val": 12, "test": 16, "batch_size": 8, "decoder_epochs": 1,
         "fusion_epochs": 1, "head_epochs": 1, "cnn_size": 64, "dim": 16}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_scores_the_same_scenes(store, method):
    out = run({**SMALL, "method": method}, 1, store)
    assert out.scores.shape == out.decisions.shape == (16, 80) and out.parameters > 0
    assert out.scores.min() >= 0 and out.scores.max() <= 1
    mixes = ("with_scores", "two_fused", "looking_both", "looking_twice")
    assert ("weight" in out.extra) == (method in mixes) and 0 < out.extra["val_mean_ap"] <= 1
    assert ("fusion_flop" in out.extra) == (method in ("fused", "with_scores", "two_fused"))
    again = run({**SMALL, "method": method}, 1, store)
    assert np.array_equal(out.scores, again.scores)
    assert np.array_equal(out.decisions, again.decisions)


@pytest.mark.parametrize("opinions", OPINIONS)
def test_others_opinions_may_stand_in_the_decoder_s_place(store, opinions):
    config = {**SMALL, "opinions": opinions}
    one, again = run(config, 1, store), run(config, 1, store)
    assert np.array_equal(one.scores, again.scores)
    own = run({**config, "own_opinion": True}, 1, store)
    assert own.parameters == one.parameters + 160
    if opinions != "decoder":
        assert not np.array_equal(one.scores, run(SMALL, 1, store).scores)


def test_two_decisions_on_the_decoder_s_scores(store):
    sets, cut = (run({**SMALL, "method": name}, 1, store) for name in ("cnn_rnn_sets", "cnn_rnn"))
    assert np.array_equal(sets.scores, cut.scores)
    assert not np.array_equal(sets.decisions, cut.decisions)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_fusion_tells_what_it_costs(store, fusion):
    out = run({**SMALL, "fusion": fusion, "tokens": "map"}, 1, store)
    assert 0 < out.extra["fusion_parameters"] < out.parameters
    assert out.extra["fusion_flop"] > 0


def test_leaving_a_view_out_keeps_the_cost_and_changes_the_scores(store):
    whole, alone = run(SMALL, 1, store), run({**SMALL, "without": "cnn_rnn"}, 1, store)
    for name in ("fusion_parameters", "fusion_flop"):
        assert whole.extra[name] == alone.extra[name]
    assert not np.array_equal(whole.scores, alone.scores)


def test_groups_are_of_labels_that_are_there(store):
    shop = pipeline_of(SMALL, 0, store)
    there = shop.targets["test"].numpy() > 0
    groups = groups_of(shop)
    assert set(groups) == {"small", "large", "hidden", "clear"}
    assert all((each <= there).all() for each in groups.values())


@pytest.mark.parametrize(("change", "words"), [
    ({"method": "magic"}, "choose one of fused"),
    ({"opinions": "mine"}, "choose one of decoder"), ({"wings": 2}, "unknown or missing.*wings"),
    ({"fusion": "glue"}, "unknown fusion"),
])
def test_mistakes_are_named(store, change, words):
    with pytest.raises(ValueError, match=words):
        run({**SMALL, **change}, 0, store)


@pytest.mark.parametrize("name", fusions.VARIANTS)
def test_the_settings_of_every_variant_are_known(name):
    config = {**SMALL, **fusions.VARIANTS[name]}
    assert set(config) == set(RECIPE)
    pipeline_of(config, 0, None)


def test_what_each_way_finds_is_counted_by_kind_of_object(store):
    def record(variant: str, seed: int):
        config = {**SMALL, **fusions.VARIANTS[variant]}
        out = run(config, seed, store)
        return SimpleNamespace(variant=variant, seed=seed, config=config, predictions=lambda: out)

    names = ("CNN-RNN alone", "CLIP alone", "concat")
    told = fusions.further([record(name, seed) for name in names for seed in (0, 1)])
    assert set(told["recall"]) == set(names)
    there = pipeline_of(SMALL, 0, None).targets["test"].numpy() > 0
    for name in names:
        yes = [run({**SMALL, **fusions.VARIANTS[name]}, seed, store).decisions for seed in (0, 1)]
        expected = np.mean([each[there].mean() for each in yes])
        assert told["recall"][name]["all"] == pytest.approx(expected, abs=1e-4)
    for told_by in ("found", "found_twice"):
        whole = told[told_by]["all"]
        assert whole["count"] == there.sum()
        parts = whole["both"], whole["first"], whole["second"], whole["neither"]
        assert sum(parts) == pytest.approx(1, abs=1e-3)
        # of two seeds, each is once the first and once the other
        same = told_by == "found_twice"
        assert (whole["first"] == pytest.approx(whole["second"], abs=1e-3)) or not same
    assert told["found"] != told["found_twice"]
    by_label = told["found_by_label"]
    assert sum(each["count"] for each in by_label.values()) == there.sum()
    assert len(by_label) == (there.sum(axis=0) > 0).sum()
    whole = sum(each["count"] * each["both"] for each in by_label.values()) / there.sum()
    assert whole == pytest.approx(told["found"]["all"]["both"], abs=1e-3)


def test_each_family_has_the_rate_that_did_best_in_the_recorded_trials():
    """Where it fails: record the trials again, see `fusion_rates`."""
    rows = recorded("fusion_rates")["metrics"]["mean_ap"]["rows"]
    found = {row["name"]: row["mean"] for row in rows}
    best = {}
    for family in fusions.FAMILIES:
        tried = {rate: found[trial(family, rate)]
                 for name, rate in fusion_rates.TRIALS if name == family}
        assert set(tried) >= set(fusion_rates.TRIED)
        assert max(tried, key=tried.get) == fusions.RATES[family]
        best[family] = max(tried.values())
        # an end of the first three was tried beyond
        first = max(fusion_rates.TRIED, key=tried.get)
        assert (len(tried) > 3) == (first in (fusion_rates.TRIED[0], fusion_rates.TRIED[-1]))
    assert sorted(best, key=best.get)[-3:] == list(fusions.BEST_THREE)[::-1]
    assert fusion_rates.SEED not in fusions.STUDY.seeds
    assert all(fusion_rates.STUDY.config(trial(*each))["split"] == "val"
               for each in fusion_rates.TRIALS)


@pytest.mark.parametrize("study", [fused_000.STUDY, fused_100.STUDY])
def test_the_dial_is_all_that_differs(study):
    for name in study.variants:
        changed = {key for key, value in study.config(name).items()
                   if value != fusions.STUDY.config(name)[key]}
        assert changed == {"cooccurrence"}
    assert set(study.hypotheses) <= set(study.variants)
    assert study.reference == fusions.CONTROL
