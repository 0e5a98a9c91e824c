"""A run of lesson 02's studies: every method and setting, and what it says of the decoder."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
import torch

from hybridlab.decoder.sequences import PAD
from hybridlab.studies.decoding import AMONG, METHODS, RECIPE, _heads, _only, _repeats, _Scenes, run

SMALL = {**RECIPE, "train": 48, "val": 24, "test": 24, "cnn_size": 64, "epochs": 1, "dim": 16,
         "head_epochs": 2, "batch_size": 16}
STUDIES = ("dial_000", "dial_025", "dial_050", "dial_075", "dial_100", "orders", "feeding", "beams",
           "cnn_stages", "regime_few", "regime_missing", "regime_small", "regime_large",
           "regime_hidden", "regime_clear", "stage4_000", "stage4_075", "stage4_100")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_scores_the_same_scenes(store, method):
    out = run({**SMALL, "method": method}, 0, store)
    assert out.scores.shape == out.decisions.shape == (24, 80)
    assert out.scores.min() >= 0 and out.scores.max() <= 1
    assert ("duplicates" in out.extra) == (method in ("decoder", "both"))
    assert ("weight" in out.extra) == (method in ("both", "two_heads"))


def test_the_second_of_two_heads_is_another(store):
    one, two = (run({**SMALL, "method": name}, 0, store) for name in ("heads", "two_heads"))
    shop = _Scenes(SMALL, store)
    (_, first), (_, second) = _heads(shop, 0), _heads(shop, 1000)
    assert not np.array_equal(first, second)
    weight = two.extra["weight"]
    assert np.allclose(two.scores, (1 - weight) * first + weight * second, atol=1e-6)
    assert np.array_equal(one.scores, first)


def test_the_same_run_is_the_same_whatever_the_store_holds(store, tmp_path):
    config = {**SMALL, "beams": 3, "marginal": "sum_over_beams"}
    kept, fresh = run(config, 1, store), run(config, 1, tmp_path)
    again = run(config, 1, store)  # the decoder is read, not trained
    assert np.allclose(kept.scores, fresh.scores, atol=1e-6)
    assert np.array_equal(kept.scores, again.scores)
    assert np.array_equal(kept.decisions, fresh.decisions)


def test_own_sets_and_a_threshold_are_other_decisions_on_the_same_scores(store):
    own = run(SMALL, 0, store)
    cut = run({**SMALL, "decisions": "threshold"}, 0, store)
    assert np.array_equal(own.scores, cut.scores)
    assert not np.array_equal(own.decisions, cut.decisions)


def test_maps_of_more_places_are_averaged_down(store):
    shops = [_Scenes({**SMALL, "cnn_stage": "stage4", "places": side}, store) for side in (2, 9)]
    few, all_of_them = (shop.tokens("val").float() for shop in shops)
    assert (few.shape[1], all_of_them.shape[1]) == (4, 16)
    quarters = all_of_them.unflatten(1, (2, 2, 2, 2)).mean((2, 4)).flatten(1, 2)
    assert torch.allclose(few, quarters, atol=1e-2)
    assert shops[0].key("heads", 0) != shops[1].key("heads", 0)


def test_missing_annotations_hide_training_labels_only(store):
    shop = _Scenes({**SMALL, "missing": 0.6}, store)
    assert 0.5 < (shop.targets("train") == -1).mean() < 0.7
    assert (shop.targets("val") >= 0).all() and (shop.targets("test") >= 0).all()
    whole = _Scenes(SMALL, store).targets("train")
    known = shop.targets("train") >= 0
    assert np.array_equal(shop.targets("train")[known], whole[known])


@pytest.mark.parametrize("among", AMONG)
def test_other_objects_are_left_out_and_negatives_stay(store, among):
    shop = _Scenes({**SMALL, "clutter": 1.0}, store)
    targets = shop.targets("test")
    only = _only(among, targets, shop)
    assert np.array_equal(only[targets == 0], targets[targets == 0])
    share = (only == 1).sum() / (targets == 1).sum()
    assert share == 1 if among == "all" else 0 < share < 1
    if among in ("small", "large"):
        areas = shop.boxes("test").areas
        kept, dropped = areas[only == 1], areas[(only == -1)]
        assert kept.max() <= dropped.min() if among == "small" else kept.min() >= dropped.max()
        assert 0.25 < share < 0.42


def test_repeats_are_counted_without_stop_and_padding():
    label_seq = torch.tensor([[3, 1, 3, 7, PAD], [2, 2, 2, 2, 7], [7, PAD, PAD, PAD, PAD]])
    again, written = _repeats(label_seq)
    assert (int(again), int(written)) == (1 + 3, 3 + 4)


@pytest.mark.parametrize(("change", "words"), [
    ({"method": "magic"}, "method is 'magic'"), ({"among": "red"}, "among is 'red'"),
    ({"decisions": "none"}, "decisions"), ({"marginal": "mean"}, "marginal"),
    ({"wings": 2}, r"\['wings'\]"), ({"order": "pla"}, "feeding='free'"),
])
def test_unknown_settings_are_named(store, change, words):
    with pytest.raises(ValueError, match=words):
        run({**SMALL, **change}, 0, store)


@pytest.mark.parametrize("name", STUDIES)
def test_the_settings_of_every_variant_are_known(store, name):
    study = import_module(f"hybridlab.studies.{name}").STUDY
    assert study.name == name and set(study.hypotheses) <= set(study.variants)
    for variant in study.variants:
        config = study.config(variant)
        assert not set(config) ^ set(RECIPE)
        _Scenes(config, store)
