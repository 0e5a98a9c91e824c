"""The study of losses: pure runs, shared heads, and labels that are really the rare ones."""

from __future__ import annotations

import numpy as np
import pytest

from hybridlab.studies import losses
from hybridlab.studies.losses import DECIDE, LOSSES, RECIPE, run
from hybridlab.studies.losses_rare import STUDY as RARE

SMALL = {**RECIPE, "train": 48, "val": 16, "test": 16, "linear_epochs": 2}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


def test_each_loss_gives_another_head_and_the_same_seed_the_same(store, tmp_path):
    found = {loss: run({**SMALL, "loss": loss}, 0, store) for loss in LOSSES}
    for one, other in zip(found, [*found][1:], strict=False):
        assert not np.array_equal(found[one].scores, found[other].scores)
    again = run({**SMALL, "loss": "ASL"}, 0, tmp_path)
    assert np.array_equal(again.scores, found["ASL"].scores)


def test_a_head_is_trained_once_whatever_is_asked_of_it(store, monkeypatch):
    first = run({**SMALL, "loss": "focal"}, 0, store)
    monkeypatch.setattr(losses, "train_linear", None)  # would fail if called
    fitted = run({**SMALL, "loss": "focal", "decide": DECIDE[1]}, 0, store)
    assert np.array_equal(first.scores, fitted.scores)
    assert not np.array_equal(first.decisions, fitted.decisions)
    assert np.array_equal(first.decisions, first.scores >= 0.5)
    # what was found made is told with what it took then
    assert first.seconds == fitted.seconds and first.seconds["head"] > 0
    assert {"cnn train", "cnn val", "cnn test"} < set(first.seconds)


def test_the_rare_labels_are_the_rarest_third(store):
    whole, rare = run(SMALL, 0, store), run({**SMALL, "labels": "rare"}, 0, store)
    assert whole.scores.shape == (16, 80) and rare.scores.shape == (16, 26)
    shop = losses.Workshop(losses.DemoConfig(train=48, val=16, test=16), losses.SceneConfig())
    columns = losses.labels_of(shop, "rare")
    count = (shop.targets["train"] > 0).sum(dim=0).numpy()
    others = np.setdiff1d(np.arange(80), columns)
    assert count[columns].max() <= count[others].min()


def test_mistakes_are_named(store):
    for name in ("loss", "decide", "labels"):
        with pytest.raises(ValueError, match=f"{name} is 'magic'"):
            run({**SMALL, name: "magic"}, 0, store)


def test_rare_labels_are_asked_about_in_a_world_with_a_long_tail():
    assert RARE.recipe["labels"] == "rare" and RARE.recipe["imbalance"] == 1.0
    assert RARE.reference == "loss=BCE, decide=at 0.5"
