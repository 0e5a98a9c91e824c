"""The study of scoring rules: pure runs, and each variant changes what it says it changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybridlab.data.captioned import TEMPLATES
from hybridlab.data.world import LABEL_NAMES
from hybridlab.studies.label_words import WORDS
from hybridlab.studies.prompts import (
    NEVER_MET,
    RECIPE,
    STUDY,
    chosen_templates,
    fit,
    run,
    score_scenes,
)

SMALL = {**RECIPE, "val": 40, "test": 24, "labelled": 40}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


def asked(**changes):
    """A variant with fewer scenes and templates: 1, 4 and 8 become 1, 2 and 3."""
    config = {**SMALL, **changes}
    few = {0: 0, 1: 1, 4: 2, 8: 3}[config["templates"]]
    return {**config, "labelled": min(config["labelled"], 40), "templates": few}


@pytest.fixture(scope="module")
def found(store):
    return {name: run(asked(**changes), 0, store) for name, changes in STUDY.variants.items()}


def test_every_variant_runs_on_the_same_scenes(found):
    plain = found[STUDY.reference]
    for one in found.values():
        assert one.scores.shape == (24, 80) and np.array_equal(one.targets, plain.targets)
        assert np.isfinite(one.scores).all() and one.decisions.any()
    changed = {name for name, one in found.items() if not np.array_equal(one.scores, plain.scores)}
    assert set(STUDY.variants) - changed == {STUDY.reference, "threshold from 50 scenes"}


def test_a_run_is_a_pure_function_of_configuration_and_seed(found, store, tmp_path):
    again = run(asked(**STUDY.variants["4 prompts"]), 0, tmp_path)
    assert np.array_equal(again.scores, found["4 prompts"].scores)
    other = run(asked(**STUDY.variants["4 prompts"]), 1, store)
    assert not np.array_equal(other.scores, found["4 prompts"].scores)  # other templates
    assert np.array_equal(other.targets, again.targets)  # the same test scenes


def test_global_platt_changes_no_order_and_no_decision(found):
    plain, platt = found[STUDY.reference], found["global Platt, 200 scenes"]
    assert np.array_equal(plain.decisions, platt.decisions)
    assert np.array_equal(plain.scores.argsort(axis=None), platt.scores.argsort(axis=None))
    half = found["global Platt, 200 scenes, at 0.5"]
    assert np.array_equal(half.scores, platt.scores)
    assert np.array_equal(half.decisions, half.scores >= 0)
    assert (platt.parameters, half.parameters, plain.parameters) == (2, 2, 0)


@pytest.mark.parametrize("name", ["per-label Platt, 200 scenes", "prior from 200 scenes"])
def test_maps_of_each_label_keep_the_order_within_it(found, name):
    for column in range(80):
        plain = found[STUDY.reference].scores[:, column]
        assert np.array_equal(plain.argsort(), found[name].scores[:, column].argsort())


def test_templates_begin_one_place_further_on_with_each_seed():
    one, four = ({seed: chosen_templates({**RECIPE, "templates": k}, seed) for seed in range(5)}
                 for k in (1, 4))
    assert len(set(one.values())) == 5
    assert all(four[seed][0] == one[seed][0] and len(set(four[seed])) == 4 for seed in range(5))
    assert set(chosen_templates(RECIPE, 3)) == set(TEMPLATES)
    assert set(chosen_templates({**RECIPE, "met": False}, 3)) == set(NEVER_MET)
    assert chosen_templates({**RECIPE, "templates": 0}, 3) == ()
    assert not set(TEMPLATES) & set(NEVER_MET)


def test_rules_of_scoring_by_hand():
    tokens = torch.tensor([[[1.0, 0.0], [0.0, 2.0], [-1.0, 0.0]]])
    texts, behind = torch.tensor([[1.0, 0.0], [0.6, 0.8]]), torch.tensor([[0.0, 1.0]])

    def scored(background=None, **changes):
        return score_scenes(tokens, texts, background, {**RECIPE, **changes})[0].tolist()

    assert scored() == pytest.approx([1, 0.8])
    assert scored(pool="top-2 mean") == pytest.approx([0.5, 0.7])
    assert scored(pool="whole picture") == pytest.approx([1, 0.6])
    assert scored(compete="labels") == pytest.approx([-np.exp(-20), -20], abs=1e-5)
    assert scored(behind, compete="background, subtract") == pytest.approx([1, 0.6])
    assert scored(behind, compete="background, log-odds") == pytest.approx([100, 60], abs=1e-3)


def test_the_prior_is_bayes_on_top_of_platt():
    generator = torch.Generator().manual_seed(0)
    truth = (torch.rand(50, 3, generator=generator) < torch.tensor([0.1, 0.3, 0.7])).float()
    val = truth + torch.randn(50, 3, generator=generator)
    _, plain, two = fit(val, truth, val, "global Platt")
    _, prior, more = fit(val, truth, val, "prior")
    added = (prior - plain)[0]
    often = (truth.sum(0) + 1) / 52
    assert torch.allclose(added.float(), torch.logit(often), atol=1e-5)
    assert (two, more) == (2, 5)
    assert fit(val, truth, val, "no")[2] == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pool": "mean"}, "pool is 'mean'"), ({"templates": 9}, "templates is 9"),
        ({"decide": "at 0.5"}, "fit Platt's scale"), ({"labelled": 41}, "labelled is 41"),
        ({"magic": 1}, "magic"),
    ],
)
def test_mistakes_are_named(change, words, store):
    with pytest.raises(ValueError, match=words):
        run({**SMALL, **change}, 0, store)


def test_other_words_are_of_every_label_and_do_not_say_it():
    assert tuple(WORDS) == LABEL_NAMES
    german = [name.lower() for name, _ in WORDS.values()]
    assert len(set(german)) == 80 and not set(german) & set(LABEL_NAMES)
    for name, (_, about) in WORDS.items():
        assert not {*name.split()} - {"of"} & {*about.split()}, name
    assert len({about for _, about in WORDS.values()}) == 80
