"""The linear baseline is trained to be a fair opponent."""

from __future__ import annotations

from dataclasses import replace

import torch

from hybridlab.configs import DemoConfig
from hybridlab.training.held import Held
from hybridlab.training.probe import train_linear

CONFIG = replace(DemoConfig.quick(), batch_size=8)


def problem():
    torch.manual_seed(0)
    features = 7 + 3 * torch.randn(200, 12)
    return features, (features[:, :4] > 7).float()


def test_it_standardises_and_learns():
    features, targets = problem()
    held = Held((features,), targets)
    probe = train_linear("probe", features, targets, held, replace(CONFIG, linear_epochs=40))
    assert torch.allclose(probe.scale.mean, features.mean(0)) and not probe.training
    assert ((probe(features) > 0) == targets.bool()).float().mean() > 0.9


def test_the_rate_is_the_best_on_the_held_scenes_whatever_their_order():
    features, targets = problem()
    held = Held((features,), targets)
    scores = {}
    for rates in ((1e-6,), (1e-2,), (1e-6, 1e-2), (1e-2, 1e-6)):
        config = replace(CONFIG, linear_rates=rates, linear_epochs=3)
        probe = train_linear("p", features, targets, held, config)
        scores[rates] = held.score(probe(features).detach())
    assert scores[(1e-2,)] > scores[(1e-6,)]
    assert scores[(1e-6, 1e-2)] == scores[(1e-2, 1e-6)] == scores[(1e-2,)]


def test_without_a_single_positive_it_still_gives_a_probe():
    features, targets = problem()
    none = torch.zeros_like(targets)
    assert train_linear("p", features, none, Held((features,), none), CONFIG) is not None
