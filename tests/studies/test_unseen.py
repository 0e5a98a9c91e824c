"""Zero-shot on labels shown and never shown: scores, columns and thresholds are the right ones."""

from __future__ import annotations

import numpy as np
import pytest

from hybridlab.data.scenes import SceneDataset, label_matrix
from hybridlab.data.world import HELD_OUT, WORLD
from hybridlab.encoders.clip import build_tiny_clip
from hybridlab.evaluation.metrics import mean_ap
from hybridlab.studies.checkpoints import SHIPPED, WITHOUT
from hybridlab.studies.unseen import ALSO_AGAINST, RECIPE, SPLIT, STUDY, run
from hybridlab.studies.unseen_others import STUDY as OTHERS
from hybridlab.training.clip_release import zero_shot_figures

SMALL = {
    **RECIPE, "schedule": [[1, 64]], "shipped_schedule": [[1, 64]], "pretrain_batch": 4, "val": 24,
    "test": 40, "pretrained": SHIPPED,
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


def test_figures_of_the_shipped_weights_are_those_of_their_card(store):
    said = zero_shot_figures(build_tiny_clip(), scenes=40)
    for score, name in (("whole picture", "global"), ("best patch", "patch")):
        found = run({**SMALL, "score": score}, 0, store)
        value = mean_ap(found.scores, found.targets).value
        # half-precision tokens are kept
        assert value == pytest.approx(said[f"{name}_mean_ap_held_out"], abs=1e-3)


def test_columns_are_those_of_the_labels(store):
    unseen, seen = (run({**SMALL, "labels": labels}, 0, store) for labels in ("unseen", "seen"))
    truth = label_matrix(SceneDataset(40, "test"))
    held_out = [WORLD.column(name) for name in WORLD if name in HELD_OUT]
    assert list(SPLIT.unseen) == held_out
    assert np.array_equal(unseen.targets, truth[:, held_out])
    assert np.array_equal(seen.targets, np.delete(truth, held_out, axis=1))
    assert unseen.scores.shape == (40, 16) and seen.scores.shape == (40, 64)
    assert 0 < unseen.decisions.mean() < 1 and unseen.parameters == 0


def test_a_second_checkpoint_scores_otherwise_and_the_same_again(store):
    config = {**SMALL, "pretrained": WITHOUT}
    first, again, other = (run(config, seed, store) for seed in (0, 0, 1))
    assert np.array_equal(first.scores, again.scores) and first.seconds["pretraining"] > 0
    assert not np.array_equal(first.scores, other.scores)
    assert np.array_equal(first.targets, other.targets)
    assert np.array_equal(run(SMALL, 0, store).scores, run(SMALL, 1, store).scores)


@pytest.mark.parametrize("name", ["score", "labels", "pretrained"])
def test_mistakes_are_named(name, store):
    with pytest.raises(ValueError, match=f"{name} is 'magic'"):
        run({**SMALL, name: "magic"}, 0, store)


def test_the_studies_ask_about_both_groups_of_labels():
    assert STUDY.recipe["labels"] == "unseen" and OTHERS.recipe["labels"] == "seen"
    assert STUDY.variants == OTHERS.variants and len(STUDY.variants) == 8
    assert STUDY.reference == "score=best patch, pretrained=all emoji"
    assert set(ALSO_AGAINST) <= set(STUDY.variants) and len(STUDY.seeds) >= 5
