"""The trial of a loss among images: same batches for all, and the term does what it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hybridlab.encoders.clip import build_tiny_clip
from hybridlab.studies import within
from hybridlab.studies.within import RECIPE, STUDY, draw_pool, nearest, run, train_on
from hybridlab.studies.within_pictures import STUDY as PICTURES

SMALL = {**RECIPE, "steps": 1, "batch": 6, "pool": 60, "test": 16, "gallery": 12,
         "singles": 40}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


def test_both_measures_share_one_training(store, monkeypatch):
    words = run(SMALL, 0, store)
    monkeypatch.setattr(within, "train_on", None)  # would fail if called
    pictures = run({**SMALL, "measure": "pictures"}, 0, store)
    assert words.scores.shape == pictures.scores.shape == (16, 80)
    assert (words.decisions.sum(axis=1) == 3).all()
    assert np.array_equal(words.targets, pictures.targets)
    assert not np.array_equal(words.scores, pictures.scores)
    assert words.extra == pictures.extra and len(words.extra["scenes_auc"]) == 3
    assert words.extra["single_auc"] == [None] * 3  # in so few no label comes twice
    for change in ({"measure": "sound"}, {"magic": 1}):
        with pytest.raises(ValueError, match=next(iter(change))):
            run({**SMALL, **change}, 0, store)


def test_seeds_and_weights_train_apart_and_the_same_one_alike(store, tmp_path):
    first, again = run(SMALL, 0, store), run(SMALL, 0, tmp_path)
    assert np.allclose(first.scores, again.scores, atol=1e-5)
    for other in (run(SMALL, 1, store), run({**SMALL, "weight": 0.0}, 0, store)):
        assert not np.allclose(first.scores, other.scores, atol=1e-4)
    shipped = {**SMALL, "steps": 0}
    assert np.array_equal(run(shipped, 0, store).scores, run(shipped, 1, store).scores)


def test_the_term_raises_the_likeness_of_partners():
    """A few steps, with the term and without, on the same batches."""
    settings = {**SMALL, "steps": 8, "batch": 10, "lr": 5e-4}
    images, _, overlap = draw_pool(60, 64, 0)
    pixels = (images.float() / 255 - 0.5) / 0.5
    alike = torch.triu(overlap >= 0.5, 1)
    gaps = {}
    for weight in (0.0, 3.0):
        clip = build_tiny_clip()
        losses = train_on(clip, {**settings, "weight": weight}, 0)
        assert len(losses) == 8 and np.isfinite(losses).all()
        with torch.no_grad():
            emb = clip.encode_image(pixels).image_emb
        cosines = emb @ emb.T
        apart = torch.triu(overlap == 0, 1)
        gaps[weight] = float(cosines[alike].mean() - cosines[apart].mean())
    assert gaps[3.0] > gaps[0.0] + 0.02


def test_a_pool_without_enough_pairs_is_refused():
    with pytest.raises(ValueError, match="of 10 pictures 0 have one that shows the same"):
        train_on(build_tiny_clip(), {**SMALL, "pool": 10}, 0)


def test_the_pool_says_what_its_pictures_share():
    images, shown, overlap = draw_pool(30, 64, 3)
    assert images.shape == (30, 3, 64, 64) and images.dtype == torch.uint8
    for a in range(30):
        for b in range(30):
            one, other = set(shown[a]), set(shown[b])
            assert float(overlap[a, b]) == pytest.approx(len(one & other) / len(one | other))
    assert torch.equal(draw_pool(30, 64, 3)[0], images)
    assert not torch.equal(draw_pool(30, 64, 4)[0], images)


def test_the_nearest_pictures_by_hand():
    emb = F.normalize(torch.tensor([[1.0, 0], [0, 1], [1, 0.1], [0.1, 1], [0.9, 0.1]]), dim=1)
    queries, gallery = emb[:2], emb[2:]
    targets = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 0]])
    scores = nearest(queries, gallery, targets)
    for row, query in enumerate(queries):
        cosines = [float(query @ one) for one in gallery]
        mean = sum(cosines) / 3
        assert scores[row].tolist() == pytest.approx(
            [(cosines[0] + cosines[1]) / 2 - mean, (cosines[1] + cosines[2]) / 2 - mean, 0],
            abs=1e-6,
        )


def test_variants_are_held_against_the_same_steps_without_the_term():
    for study in (STUDY, PICTURES):
        assert study.config(study.reference)["weight"] == 0
        assert study.config(study.reference)["steps"] == RECIPE["steps"]
    assert STUDY.recipe["measure"] == "words" and PICTURES.recipe["measure"] == "pictures"
