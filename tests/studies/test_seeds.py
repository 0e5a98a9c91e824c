"""The ablations of seeds 000 and 001: every variant is a setting that a run knows, and runs."""

from __future__ import annotations

import numpy as np
import pytest

from hybridlab.ablation.findings import BETTER, WORSE
from hybridlab.data.world import WORLD, with_article
from hybridlab.decoder.cnn_rnn import LabelDecoder
from hybridlab.frozen import frozen_clip, text_embeddings
from hybridlab.staged_results import Knowledge
from hybridlab.studies import seed_000, seed_001, seed_001_architecture, seed_001_components, stages
from hybridlab.studies.settings import check_settings
from hybridlab.training.held import seeded
from hybridlab.training.plans import check_plan

STUDIES = (seed_000.STUDY, seed_001_components.STUDY, seed_001_architecture.STUDY)
TINY = {"train": 20, "val": 10, "test": 12, "batch_size": 8, "decoder_epochs": 1,
        "fusion_epochs": 2, "cnn_size": 64, "dim": 16}
SMALL_000 = {**seed_000.RECIPE, **TINY, "tune_epochs": 1}
SMALL_001 = {**seed_001.RECIPE, **TINY, "head_epochs": 1}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.mark.parametrize("study", STUDIES, ids=lambda one: one.name)
def test_every_variant_changes_known_settings_and_is_expected_to_do_something(study):
    recipe = study.recipe
    for name in study.variants:
        check_settings(study.config(name), recipe)
    assert study.variants[study.reference] == {}
    assert set(study.hypotheses) == set(study.variants) - {study.reference}
    for words in study.hypotheses.values():  # each says which way, as a verdict would
        assert words.split()[0].strip(":,.").lower() in ("no", "as", "best", BETTER, WORSE)
    assert len(study.seeds) >= 5


def test_variants_of_seed_000_that_only_decide_otherwise_share_what_is_trained(store, monkeypatch):
    # takes longer than all else, and is not asked for here
    monkeypatch.setattr(Knowledge, "of", lambda *given: {})
    whole = seed_000.run(SMALL_000, 1, store)
    kept = sorted(path.name for path in store.glob("seed-000-*"))
    assert len(kept) == 1 and whole.scores.shape == (12, 80) and whole.seconds["joint"] > 0
    place = [path for path in store.iterdir() if path.name.startswith("phase-0")]
    assert len(place) == 1
    half = seed_000.run({**SMALL_000, "thresholds": "half"}, 1, store)
    assert np.array_equal(half.scores, whole.scores)
    assert np.array_equal(half.decisions, whole.scores >= 0.5)
    both = seed_000.run({**SMALL_000, "of": "both"}, 1, store)
    own = seed_000.run({**SMALL_000, "of": "cnn_rnn"}, 1, store)
    weight = both.extra["weight"]
    mix = (1 - weight) * whole.scores + weight * own.scores
    assert np.allclose(both.scores, mix, atol=1e-6)
    assert sorted(path.name for path in store.glob("seed-000-*")) == kept
    assert [path for path in store.iterdir() if path.name.startswith("phase-0")] == place


def test_phase_0_of_seed_000_is_that_of_lesson_06(store, monkeypatch):
    """The test above has done it in the same store."""
    def phase_zero(self):
        places.append(self.phase_0)
        raise InterruptedError

    places = []
    monkeypatch.setattr(stages.StagedRun, "phase_zero", phase_zero)
    with pytest.raises(InterruptedError):
        stages.run({**stages.RECIPE, **TINY, "tune_epochs": 1}, 1, store)
    with pytest.raises(InterruptedError):
        seed_000.run({**SMALL_000, "of": "cnn_rnn"}, 1, store)
    assert len(places) == 2 and places[0] == places[1]


@pytest.mark.parametrize("name", seed_000.VARIANTS)
def test_every_variant_of_seed_000_makes_a_run(name, store):
    """Its plan and model are built, and refused if they do not fit."""
    config = {**SMALL_000, "tune_epochs": 2, **seed_000.VARIANTS[name]}
    staged, _ = seed_000._staged(config, 1, store)
    model = staged.model(
        staged.cnn(), seeded(0, lambda: LabelDecoder(staged.cnn().channels, 80, dim=16)),
        frozen_clip(), text_embeddings([with_article(each) for each in WORLD]))
    assert staged.joint_stages(model)
    check_plan(staged.config, staged.plan)


CHANGES_001 = {
    **{name: dict(each) for study in STUDIES[1:] for name, each in study.variants.items()},
}


@pytest.mark.parametrize("name", CHANGES_001)
def test_every_variant_of_seed_001_runs(name, store):
    out = seed_001.run({**SMALL_001, **CHANGES_001[name]}, 1, store)
    assert out.scores.shape == out.decisions.shape == (12, 80) and out.parameters > 0
    assert out.scores.min() >= 0 and out.scores.max() <= 1
    if name != seed_001.REFERENCE:
        whole = seed_001.run(SMALL_001, 1, store)
        assert not np.array_equal(out.scores, whole.scores)
    again = seed_001.run({**SMALL_001, **CHANGES_001[name]}, 1, store)
    assert np.array_equal(out.scores, again.scores)


def test_a_reader_is_shared_by_all_fusions_and_seeds_differ(store):
    seed_001.run(SMALL_001, 1, store)
    before = set(store.glob("seed-001-read-*"))
    seed_001.run({**SMALL_001, "fusion": "elementwise"}, 1, store)
    assert set(store.glob("seed-001-read-*")) == before
    one, two = seed_001.run(SMALL_001, 1, store), seed_001.run(SMALL_001, 2, store)
    assert not np.array_equal(one.scores, two.scores)
    assert np.array_equal(one.targets, two.targets)


@pytest.mark.parametrize(("run", "config", "words"), [
    (seed_000.run, {**SMALL_000, "of": "me"}, "choose one of hybrid"),
    (seed_000.run, {**SMALL_000, "thresholds": "0.5"}, "choose one of half"),
    (seed_000.run, {**SMALL_000, "wings": 2}, "unknown or missing.*wings"),
    (seed_001.run, {**SMALL_001, "reader": "me"}, "choose one of rnn"),
    (seed_001.run, {**SMALL_001, "backbone": "resnet50"}, "choose one of efficientnet_lite0"),
    (seed_001.run, {**SMALL_001, "cell": "plain"}, "choose one of gru"),
])
def test_mistakes_are_named(store, run, config, words):
    with pytest.raises(ValueError, match=words):
        run(config, 0, store)
