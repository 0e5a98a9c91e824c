"""The study of a small CLIP: its variants differ, its runs repeat, its loss is what it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybridlab.contrastive.positives import known_pairs
from hybridlab.contrastive.softmax import clip_loss
from hybridlab.pretraining.pairs import draw_pairs
from hybridlab.pretraining.trunk import build_trunk, to_pixels
from hybridlab.pretraining.words import caption_vocabulary
from hybridlab.studies.contrast import (
    RECIPE,
    STUDY,
    TEST_SEED,
    Contrasted,
    pictures_of,
    recipe_of,
    run,
)
from hybridlab.training.held import seeded

SMALL = {**RECIPE, "pictures": 16, "batch": 8, "test": 12, "emoji": 20, "image_size": 32}


def head(**settings) -> Contrasted:
    return seeded(0, lambda: Contrasted(1280, caption_vocabulary(20), **settings))


def test_a_run_repeats_and_seeds_differ(tmp_path):
    first, again = (run(SMALL, 0, tmp_path) for _ in range(2))
    assert np.array_equal(first.scores, again.scores)
    assert first.scores.shape == first.targets.shape == (12, 20)
    assert (first.targets.sum(axis=1) >= 1).all() and (first.decisions.sum(axis=1) >= 1).all()
    other = run(SMALL, 1, tmp_path)
    assert not np.array_equal(first.scores, other.scores)
    assert np.array_equal(first.targets, other.targets)  # the same test pictures


@pytest.mark.parametrize("same", ["positives", "negatives", "left out"])
def test_each_treatment_of_twins_is_the_loss_that_it_says(same):
    pictures = pictures_of(SMALL, 0)
    pairs = draw_pairs(pictures, 0, 24)
    assert int(pairs.same.sum()) > 24  # there are twins, or nothing would be tested
    trunk = build_trunk(pretrained=False).eval()
    with torch.no_grad():
        seen = trunk(to_pixels(pairs.images))
        made = head(scale=None, same=same).eval()
        both = made.image_emb(seen), made.text_emb(pairs.captions)
        wanted = clip_loss(*both, made.scale.logit_scale, **{
            "positives": {"positives": pairs.same}, "negatives": {},
            "left out": {"known": known_pairs([frozenset(each) for each in pairs.shown])},
        }[same])
        assert float(made.loss(seen, pairs)) == pytest.approx(float(wanted), rel=1e-6)


def test_a_fixed_scale_is_no_parameter_that_learns():
    fixed, learnt = (head(scale=scale, same="positives").scale for scale in (10.0, None))
    assert not any(each.requires_grad for each in fixed.parameters())
    assert all(each.requires_grad for each in learnt.parameters())
    assert float(fixed.logit_scale) == pytest.approx(10.0)


def test_every_batch_size_sees_the_same_number_of_pictures():
    for batch in (16, 64, 256):
        recipe = recipe_of({**RECIPE, "batch": batch})
        assert recipe.steps * recipe.batch_size == RECIPE["pictures"]
        assert recipe.warmup < recipe.steps and 0 < recipe.ema < 1


def test_no_training_picture_is_a_test_picture():
    assert TEST_SEED not in STUDY.seeds
    train, test = (pictures_of(SMALL, seed)[0].image for seed in (0, TEST_SEED))
    assert not np.array_equal(train, test)


def test_mistakes_are_named(tmp_path):
    with pytest.raises(ValueError, match="unknown settings"):
        run({**SMALL, "temprature": 1.0}, 0, tmp_path)
    with pytest.raises(ValueError, match="same is 'friends'"):
        run({**SMALL, "same": "friends"}, 0, tmp_path)
