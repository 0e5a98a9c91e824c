"""The study of SigLIP's first bias: only the bias differs between its runs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hybridlab.studies import contrast
from hybridlab.studies.siglip_start import FITTING, RECIPE, STUDY, run

SMALL = {**RECIPE, "pictures": 16, "batch": 8, "test": 12, "emoji": 20, "image_size": 32}


def test_the_paper_s_start_is_that_of_the_study_of_contrast(tmp_path):
    settings = {name: value for name, value in SMALL.items() if name != "bias"}
    for loss in ("siglip", "clip"):
        found = run({**SMALL, "loss": loss}, 0, tmp_path)
        there = contrast.run({**contrast.RECIPE, **settings, "loss": loss}, 0, tmp_path)
        assert np.array_equal(found.scores, there.scores)
    other = run({**SMALL, "bias": 0.0}, 0, tmp_path)
    assert not np.array_equal(other.scores, run(SMALL, 0, tmp_path).scores)


def test_the_fitting_bias_is_the_share_of_matches():
    assert 1 / (1 + math.exp(-FITTING)) == pytest.approx(1 / RECIPE["batch"], rel=0.01)
    assert set(STUDY.hypotheses) | {STUDY.reference} == set(STUDY.variants)


def test_mistakes_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"unknown settings \['scale'\]"):
        run({**SMALL, "scale": 1.0}, 0, tmp_path)
