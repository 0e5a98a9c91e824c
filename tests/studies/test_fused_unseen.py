"""Labels without annotations: nothing of them reaches the training, and all heads can be asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybridlab.studies.fused_seen import STUDY as SEEN
from hybridlab.studies.fused_unseen import (
    METHODS,
    RECIPE,
    SPLIT,
    STUDY,
    run,
    without_annotations,
)
from hybridlab.studies.fusing import RECIPE as FUSING
from hybridlab.studies.fusing import pipeline_of

SMALL = {**RECIPE, "train": 24, "val": 12, "test": 40, "batch_size": 8, "decoder_epochs": 1,
         "fusion_epochs": 1, "head_epochs": 1, "cnn_size": 64, "dim": 16}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("labels", ["unseen", "seen"])
def test_every_method_scores_the_labels_asked_for(store, method, labels):
    out = run({**SMALL, "method": method, "labels": labels}, 1, store)
    width = len(getattr(SPLIT, labels))
    assert out.scores.shape == out.targets.shape == (40, width)
    assert set(np.unique(out.targets)) <= {0, 1}
    again = run({**SMALL, "method": method, "labels": labels}, 1, store)
    assert np.array_equal(out.scores, again.scores)


def test_no_annotation_of_a_hidden_label_reaches_any_training(store, tmp_path):
    """Other truth in the hidden columns leaves decoder and fusion as they were."""
    config = {name: SMALL[name] for name in FUSING}
    whole, other = pipeline_of(config, 1, store), pipeline_of(config, 1, tmp_path)
    other.targets = {split: rows.clone() for split, rows in whole.targets.items()}
    hidden = list(SPLIT.unseen)
    for rows in other.targets.values():
        rows[:, hidden] = 1 - rows[:, hidden]
    one, two = (without_annotations(each, place)
                for each, place in ((whole, store), (other, tmp_path)))
    assert (one.targets["train"][:, hidden] == -1).all()
    assert (one.targets["test"] >= 0).all()  # judged, never learnt from
    assert torch.allclose(one.fused.val, two.fused.val, atol=1e-6)
    assert torch.equal(one.decoded("test").chosen, two.decoded("test").chosen)
    # and what was trained with all annotations is another thing
    assert not torch.allclose(whole.fused.val, one.fused.val)


@pytest.mark.parametrize("labels", ["unseen", "seen"])
def test_the_threshold_comes_from_annotated_labels_alone(store, labels):
    """Other truth of the 16 in the validation scenes changes no decision, whoever is judged."""
    config = {**SMALL, "method": "best_patch", "labels": labels}
    out = run(config, 1, store)
    both = run({**config, "labels": {"seen": "unseen", "unseen": "seen"}[labels]}, 1, store)
    of_yes = min(each.scores[each.decisions].min(initial=1) for each in (out, both))
    of_no = max(each.scores[~each.decisions].max(initial=0) for each in (out, both))
    assert of_no < of_yes  # one cut for both groups


def test_the_study_and_its_mistakes(store):
    for study in (STUDY, SEEN):
        assert {study.config(name)["labels"] for name in study.variants} == {
            study.recipe["labels"]}
        for name in study.variants:
            assert set(study.config(name)) == set(RECIPE)
    for change in ({"method": "magic"}, {"labels": "all"}):
        with pytest.raises(ValueError, match="choose one of"):
            run({**SMALL, **change}, 0, store)
    with pytest.raises(ValueError, match="unknown or missing settings"):
        run({**SMALL, "wings": 1}, 0, store)
