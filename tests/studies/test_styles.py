"""The study of styles: models are those of the pipeline, and only the test scenes change."""

from __future__ import annotations

import numpy as np
import pytest

from hybridlab.data.world import STYLES
from hybridlab.studies.parts import STUDY as PARTS
from hybridlab.studies.small_world import run as run_at_home
from hybridlab.studies.styles import ALSO_AGAINST, MODELS, RECIPE, STUDY, run

SMALL = {
    **RECIPE, "train": 24, "val": 12, "test": 16, "batch_size": 8, "decoder_epochs": 1,
    "linear_epochs": 1, "fusion_epochs": 1, "cnn_size": 64, "dim": 16,
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.mark.parametrize("model", MODELS)
def test_in_colour_each_model_is_that_of_the_pipeline(model, store):
    """And in another style the labels stay, the scores do not."""
    home = {name: value for name, value in SMALL.items() if name not in ("model", "style")}
    expected = run_at_home({**home, "method": MODELS[model]}, 1, store)
    found = run({**SMALL, "model": model}, 1, store)
    assert np.array_equal(found.targets, expected.targets)
    assert np.abs(found.scores - expected.scores).max() < 1e-5
    assert np.array_equal(found.decisions, expected.decisions)
    assert found.parameters == expected.parameters
    seen = {found.scores.tobytes()}
    for style in STYLES[1:]:
        there = run({**SMALL, "model": model, "style": style}, 1, store)
        assert np.array_equal(there.targets, expected.targets)
        assert np.isfinite(there.scores).all()
        seen.add(there.scores.tobytes())
    assert len(seen) == len(STYLES)


def test_nothing_is_trained_in_another_style(tmp_path, monkeypatch):
    for model in MODELS:  # with a store that has never seen the other style
        run({**SMALL, "model": model, "style": "colour"}, 1, tmp_path)
    for name in ("train_linear", "Held"):
        monkeypatch.setattr(f"hybridlab.studies.styles.{name}", None)
    for name in ("train_decoder", "train_fusion", "tune_vision", "cross_fitted", "train_linear"):
        monkeypatch.setattr(f"hybridlab.workshop.{name}", None)
    for model in MODELS:
        found = run({**SMALL, "model": model, "style": "openmoji"}, 1, tmp_path)
        assert found.scores.shape == found.targets.shape and np.isfinite(found.scores).all()


@pytest.mark.parametrize("name", ["model", "style"])
def test_mistakes_are_named(name, store):
    with pytest.raises(ValueError, match=f"{name} is 'magic'"):
        run({**SMALL, name: "magic"}, 0, store)


def test_the_study_shares_its_parts_and_compares_each_model_with_itself():
    assert {**RECIPE, "method": PARTS.recipe["method"]} == {
        **PARTS.recipe, "model": "linear CLIP", "style": "colour"
    }
    assert len(STUDY.variants) == len(MODELS) * len(STYLES)
    assert STUDY.reference in ALSO_AGAINST and set(ALSO_AGAINST) <= set(STUDY.variants)
    assert set(STUDY.hypotheses) <= set(STUDY.variants) and len(STUDY.seeds) == 5
