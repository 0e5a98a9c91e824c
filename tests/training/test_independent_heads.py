"""Independent heads on tokens: they learn, and pass by what is not annotated."""

from __future__ import annotations

import pytest
import torch

from hybridlab.training import independent_heads
from hybridlab.training.held import Held
from hybridlab.training.independent_heads import (
    LookingHead,
    PooledHead,
    cross_fitted_heads,
    fit_heads,
    head_probs,
)
from hybridlab.training.recipes import DecoderRecipe


def task(count: int = 200, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    targets = (torch.rand(count, 4, generator=draw) < 0.4).float()
    tokens = 0.3 * torch.randn(count, 3, 6, generator=draw)
    tokens[:, 1, :4] += 2 * targets
    return tokens, targets


RECIPE = DecoderRecipe(dim=16, epochs=20, batch_size=16, lr=5e-3)


@pytest.mark.parametrize("kind", ["mean", "look"])
def test_they_learn_and_depend_on_the_seed_alone(kind):
    tokens, targets = task()
    held = Held((task(seed=1)[0],), task(seed=1)[1])
    one, again = (fit_heads(tokens, targets, held, RECIPE, 3, kind) for _ in range(2))
    probs = head_probs(one, held.inputs[0])
    assert held.score(probs) > 0.7 and torch.equal(probs, head_probs(again, held.inputs[0]))
    assert float(probs.min()) >= 0 and float(probs.max()) <= 1


def test_entries_that_are_not_annotated_teach_nothing():
    tokens, targets = task()
    hidden = targets.clone()
    hidden[:, 0] = -1
    head = fit_heads(tokens, hidden, None, RECIPE, 0)
    before = fit_heads(tokens, hidden, None, DecoderRecipe(dim=16, epochs=0), 0)
    # no gradient reaches the label's row; weight decay alone shortens it
    now, then = head.score[3].weight[0], before.score[3].weight[0]
    assert torch.allclose(torch.nn.functional.normalize(now, dim=0),
                          torch.nn.functional.normalize(then, dim=0), atol=1e-4)


def test_the_mean_commutes_with_the_projection_and_places_do_not_matter():
    tokens, _ = task()
    head = PooledHead(6, 4, dim=8).eval()
    places = torch.tensor([2, 0, 1])
    assert torch.allclose(head(tokens), head(tokens[:, places]), atol=1e-6)
    first = head.score[0]
    slow = head.score[1:](first(head.read(tokens)).mean(dim=1))
    assert torch.allclose(head(tokens), slow, atol=1e-5)


@torch.no_grad()
def test_a_looking_head_weighs_places_for_each_label_by_itself():
    tokens, _ = task(4)
    torch.manual_seed(0)
    head = LookingHead(6, 4, dim=8).eval()
    seen = head.read(tokens)
    weights, values = head.weigh(seen).softmax(dim=1), head.score(seen)
    for row in range(4):
        for label in range(4):
            mean = sum(float(weights[row, p, label] * values[row, p, label]) for p in range(3))
            assert float(head(tokens)[row, label]) == pytest.approx(mean, abs=1e-5)
    places = torch.tensor([2, 0, 1])
    assert torch.allclose(head(tokens), head(tokens[:, places]), atol=1e-6)


def test_an_unknown_kind_is_named():
    tokens, targets = task(4)
    with pytest.raises(ValueError, match="kind is 'max'; choose one of mean, look"):
        fit_heads(tokens, targets, None, RECIPE, 0, "max")


def test_cross_fitted_opinions_come_from_heads_that_have_not_seen_the_image(monkeypatch):
    tokens, targets = task(30)
    fitted = []

    def fit(some, *others):
        fitted.append(some)
        return None

    def say(head, some):
        assert not any((row == other).all() for row in some for other in fitted[-1])
        return torch.full((len(some), 4), 0.25 + 0.1 * len(fitted))

    monkeypatch.setattr(independent_heads, "fit_heads", fit)
    monkeypatch.setattr(independent_heads, "head_probs", say)
    found = cross_fitted_heads(tokens, targets, None, RECIPE, 0, 3)
    assert len(fitted) == 3 and sorted(found[:, 0].tolist()) == pytest.approx(
        [0.35] * 10 + [0.45] * 10 + [0.55] * 10)
    for folds in (1, 31):
        with pytest.raises(ValueError, match="give 2 or more"):
            cross_fitted_heads(tokens, targets, None, RECIPE, 0, folds)
