"""Independent heads on tokens: they learn, and pass by what is not annotated."""

from __future__ import annotations

import torch

from hybridlab.training.held import Held
from hybridlab.training.pooled_head import PooledHead, fit_pooled_head, head_probs
from hybridlab.training.recipes import DecoderRecipe


def task(count: int = 200, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    targets = (torch.rand(count, 4, generator=draw) < 0.4).float()
    tokens = 0.3 * torch.randn(count, 3, 6, generator=draw)
    tokens[:, 1, :4] += 2 * targets
    return tokens, targets


RECIPE = DecoderRecipe(dim=16, epochs=20, batch_size=16, lr=5e-3)


def test_they_learn_and_depend_on_the_seed_alone():
    tokens, targets = task()
    held = Held((task(seed=1)[0],), task(seed=1)[1])
    one, again = (fit_pooled_head(tokens, targets, held, RECIPE, 3) for _ in range(2))
    probs = head_probs(one, held.inputs[0])
    assert held.score(probs) > 0.7 and torch.equal(probs, head_probs(again, held.inputs[0]))
    assert float(probs.min()) >= 0 and float(probs.max()) <= 1


def test_entries_that_are_not_annotated_teach_nothing():
    tokens, targets = task()
    hidden = targets.clone()
    hidden[:, 0] = -1
    head = fit_pooled_head(tokens, hidden, None, RECIPE, 0)
    before = fit_pooled_head(tokens, hidden, None, DecoderRecipe(dim=16, epochs=0), 0)
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
