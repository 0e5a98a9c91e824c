"""A hybrid that is trained in colour and tested in another style."""

from __future__ import annotations

import numpy as np
import pytest

from hybridlab.studies import fusing
from hybridlab.studies.fused_styles import MODELS, RECIPE, STUDY, run
from hybridlab.studies.fusions import VARIANTS
from hybridlab.studies.styles import variant

SMALL = {**RECIPE, "train": 24, "val": 12, "test": 16, "batch_size": 8, "decoder_epochs": 1,
         "fusion_epochs": 1, "head_epochs": 1, "cnn_size": 64, "dim": 16}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.mark.parametrize("model", MODELS)
def test_in_colour_it_is_the_variant_itself_and_in_grey_another(store, model):
    colour, grey = (run({**SMALL, "model": model, "style": style}, 1, store)
                    for style in ("colour", "grey"))
    config = {name: value for name, value in SMALL.items() if name not in ("model", "style")}
    plain = fusing.run({**config, **VARIANTS[MODELS[model]]}, 1, store)
    assert np.allclose(colour.scores, plain.scores, atol=1e-5)
    assert np.array_equal(colour.decisions, plain.decisions)
    assert np.array_equal(colour.targets, grey.targets)
    assert not np.allclose(colour.scores, grey.scores, atol=1e-3)


@pytest.mark.parametrize(("change", "words"), [
    ({"style": "baroque"}, "style is 'baroque'; choose one of colour"),
    ({"model": "glue"}, "model is 'glue'; choose one of side by side"),
    ({"method": "looking_cnn"}, "method is 'looking_cnn'"), ({"wings": 2}, "wings"),
])
def test_mistakes_are_named(store, change, words):
    with pytest.raises(ValueError, match=words):
        run({**SMALL, **change}, 0, store)


def test_every_model_is_tested_in_every_style():
    styles = ("colour", "grey", "sketch", "openmoji")
    assert set(STUDY.variants) == {variant(model, style) for model in MODELS for style in styles}
    assert set(STUDY.hypotheses) <= set(STUDY.variants)
    for name in STUDY.variants:
        assert set(STUDY.config(name)) == set(RECIPE)
