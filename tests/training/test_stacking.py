"""What others add: a bound that never reads the label itself, and a net that finds a dependency."""

from __future__ import annotations

import pytest
import torch

from hybridlab.evaluation.metrics import mean_ap
from hybridlab.training.held import Held
from hybridlab.training.stacking import KINDS, StackedHeads, ToldHeads, fit_stacking

N = 600


def world(together: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Opinions and targets of four labels; 1 is a copy of 0 if `together`, and is hard to see."""
    draw = torch.Generator().manual_seed(0)
    targets = (torch.rand(N, 4, generator=draw) < 0.3).float()
    if together:
        targets[:, 1] = targets[:, 0]
    noise = torch.tensor([0.3, 8.0, 1.0, 1.0]) * torch.randn(N, 4, generator=draw)
    return 4 * targets - 2 + noise, targets


def test_both_start_out_as_the_opinions():
    opinions = torch.randn(5, 4)
    stacked = StackedHeads(opinions.mean(0), opinions.std(0)).eval()
    assert torch.equal(stacked(opinions), opinions)
    assert torch.equal(ToldHeads(4)(opinions, torch.ones(5, 4)), opinions)


def test_a_labels_own_truth_never_enters_its_logit():
    told = ToldHeads(4)
    torch.nn.init.normal_(told.weight)
    opinions, truth = torch.randn(6, 4), torch.randint(0, 2, (6, 4)).float()
    before = told(opinions, truth)
    for label in range(4):
        other = truth.clone()
        other[:, label] = 1 - other[:, label]
        after = told(opinions, other)
        assert torch.equal(after[:, label], before[:, label])
        assert not torch.equal(after, before)
    unknown = truth.clone()
    unknown[truth == 0] = -1
    assert torch.equal(told(opinions, unknown), before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("together", [True, False])
def test_a_dependency_is_found_and_none_is_invented(kind, together):
    opinions, targets = world(together)
    half = N // 2
    held = Held((opinions[half:],), targets[half:])
    model = fit_stacking(kind, opinions[:half], targets[:half], held, 0, epochs=60)
    with torch.no_grad():
        found = model(opinions[half:], targets[half:])
    before, after = (mean_ap(each[:, 1:2].numpy(), targets[half:, 1:2].numpy()).value
                     for each in (opinions[half:], found))
    assert after > before + 0.2 if together else after < before + 0.08


def test_mistakes_are_named():
    opinions, targets = world(True)
    with pytest.raises(ValueError, match="choose one of stacked, told"):
        fit_stacking("magic", opinions, targets, Held((opinions,), targets), 0)
    with pytest.raises(ValueError, match=r"targets \(600, 3\)"):
        fit_stacking("told", opinions, targets[:, :3], Held((opinions,), targets), 0)
