"""The loop: a longer run goes on exactly where a shorter one stopped."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from hybridlab.data.captioned import CaptionedPictures
from hybridlab.encoders.base import weights_hash
from hybridlab.pretraining.learn import Learner, Recipe, learn
from hybridlab.pretraining.methods import to_pixels
from hybridlab.pretraining.pairs import draw_pairs
from hybridlab.pretraining.words import caption_vocabulary

from .helpers import quick_method

PICTURES = CaptionedPictures(64, seed=4, emoji=10)
VOCABULARY = caption_vocabulary(10)
RECIPE = Recipe(steps=6, batch_size=3, warmup=4)


def losses(log):
    return [entry["loss"] for entry in log]


def fresh(seed=0):
    return quick_method("prefix", VOCABULARY, seed)


def test_a_shorter_run_is_the_beginning_of_a_longer_one():
    whole = fresh()
    log = learn(whole, PICTURES, RECIPE)
    learner = Learner(fresh(), Recipe(steps=3, batch_size=3, warmup=4))
    learner.run(PICTURES, 3)
    half = learner.averaged()
    assert losses(learner.log) == losses(log)[:3] and learner.step == 3
    scored = half.label_scores(to_pixels(draw_pairs(PICTURES, 8, 2).images), ["cow"])
    learner.run(PICTURES, 3)  # nothing left to do
    learner.run(PICTURES, 6)
    assert losses(learner.log) == losses(log)
    assert weights_hash(learner.averaged()) == weights_hash(whole)
    # a look at the average on the way is a copy: it neither moves nor is moved
    again = half.label_scores(to_pixels(draw_pairs(PICTURES, 8, 2).images), ["cow"])
    assert torch.equal(scored, again) and weights_hash(half) != weights_hash(whole)


def test_runs_repeat_exactly_and_seeds_differ():
    short = Recipe(steps=2, batch_size=3)
    found = {}
    for name, seed, pictures in (
        ("one", 0, PICTURES), ("again", 0, CaptionedPictures(64, seed=4, emoji=10)),
        ("weights", 1, PICTURES), ("pictures", 0, CaptionedPictures(64, seed=5, emoji=10)),
    ):
        method = fresh(seed)
        found[name] = losses(learn(method, pictures, short)), weights_hash(method)
    assert found["one"] == found["again"]
    assert len({each[1] for each in found.values()}) == 3


def test_it_ends_with_the_average_in_eval():
    method, looks = fresh(), []
    begun = {name: value.clone() for name, value in method.state_dict().items()}
    learn(method, PICTURES, Recipe(steps=1, batch_size=3, warmup=1),
          lambda learner: looks.append(
              {name: value.clone() for name, value in learner.method.state_dict().items()}))
    assert not method.training and len(looks) == 1
    ended = method.state_dict()
    for name in ("head.picture.weight", "trunk.trunk.stage1.1.running_mean"):
        # at the first step the average moves nine tenths of the way
        wanted = begun[name] + 0.9 * (looks[0][name] - begun[name])
        assert torch.allclose(ended[name], wanted, atol=1e-6), name
        assert not torch.equal(begun[name], looks[0][name]), name


def test_rates_warm_up_and_stay():
    learner, rates = Learner(fresh(), RECIPE), []
    learner.run(PICTURES, 6, lambda one: rates.append(
        sorted({group["lr"] for group in one.optimiser.param_groups})))
    assert [low for low, _ in rates] == pytest.approx([5e-4 * s for s in (.25, .5, .75, 1, 1, 1)])
    assert [high for _, high in rates] == pytest.approx([1e-3 * s for s in (.25, .5, .75, 1, 1, 1)])
    decayed = [group["weight_decay"] for group in learner.optimiser.param_groups]
    assert sorted(decayed) == [0, 0, 0.05, 0.05]


def test_a_loss_that_is_no_number_stops_it():
    method = fresh()
    with torch.no_grad():
        method.head.picture.weight.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="prefix: the loss is nan at step 0; lower lr"):
        learn(method, PICTURES, RECIPE)


@pytest.mark.parametrize(
    ("name", "value"),
    [("steps", -1), ("batch_size", 0), ("warmup", -1), ("lr", float("nan")), ("trunk_lr", -1.0),
     ("weight_decay", float("inf")), ("ema", 1.0), ("clip_norm", 0.0)],
)
def test_a_recipe_that_makes_no_sense_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} is"):
        Recipe(**{name: value})


def test_contrastive_losses_name_the_step_too():
    method = quick_method("clip", VOCABULARY)
    with pytest.raises(FloatingPointError, match=r"clip: .* at step \d; lower lr \(now 1e\+30\)"):
        learn(method, PICTURES, replace(RECIPE, steps=3, lr=1e30, trunk_lr=1e30, warmup=0))
