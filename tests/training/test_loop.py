"""The loop trains what it is given, leaves random state alone, and stops at NaN."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hybridlab.training.loop import train


def test_it_fits_a_line_and_reports_each_step():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(50, 2, generator=generator)
    y = x @ torch.tensor([2.0, -1.0]) + 0.5
    model, seen = nn.Linear(2, 1), []
    train(
        "line", [(model, 0.1)], lambda rows: (model(x[rows])[:, 0] - y[rows]).pow(2).mean(), 50,
        epochs=60, batch_size=16, seed=0, weight_decay=0.0, report=seen.append,
    )
    assert torch.allclose(model.weight[0], torch.tensor([2.0, -1.0]), atol=0.05)
    assert [p.step for p in seen] == list(range(1, 241)) and seen[0].steps == 240
    assert seen[-1].loss < 0.01 and seen[0].stage == "line"


def test_every_row_is_seen_once_an_epoch_in_an_order_of_the_seed():
    def rows_seen(seed: int) -> list[int]:
        model, rows = nn.Linear(1, 1), []

        def loss_of(batch):
            rows.extend(batch.tolist())
            return model.weight.sum()

        train("rows", [(model, 0.0)], loss_of, 10, epochs=2, batch_size=4, seed=seed)
        return rows

    first = rows_seen(0)
    assert sorted(first[:10]) == sorted(first[10:]) == list(range(10))
    assert first == rows_seen(0) != rows_seen(1) and first[:10] != first[10:]


def test_it_trains_where_the_caller_wants_no_gradients():
    model = nn.Linear(1, 1)
    before = model.weight.item()
    with torch.no_grad():
        train("line", [(model, 0.1)], lambda rows: model(torch.ones(len(rows), 1)).mean(), 4,
              epochs=1, batch_size=2, seed=0)
        assert not torch.is_grad_enabled()
    assert model.weight.item() != before


def test_the_callers_random_state_is_left_alone():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    before = torch.random.get_rng_state()
    train("d", [(model, 0.1)], lambda r: model(torch.ones(len(r), 2)).sum(), 8,
          epochs=2, batch_size=4, seed=3)
    assert torch.equal(before, torch.random.get_rng_state())


def test_frozen_parameters_stay_and_rates_differ():
    frozen, slow, fast = nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1)
    frozen.requires_grad_(False)
    start = {m: m.weight.clone() for m in (frozen, slow, fast)}
    train(
        "g", [(frozen, 1.0), (slow, 1e-4), (fast, 1e-2)],
        lambda rows: frozen.weight.sum() + slow.weight.sum() + fast.weight.sum(), 4,
        epochs=5, batch_size=4, seed=0, weight_decay=0.0,
    )
    moved = {m: float((m.weight - w).detach().abs()) for m, w in start.items()}
    assert moved[frozen] == 0 and moved[fast] == pytest.approx(100 * moved[slow], rel=0.05)


def test_nan_stops_before_the_weights_are_touched():
    model = nn.Linear(1, 1)
    before = model.weight.clone()
    with pytest.raises(FloatingPointError, match=r"phase 1: the loss is nan at step 0"):
        train("phase 1", [(model, 0.1)], lambda r: model.weight.sum() * float("nan"), 4,
              epochs=1, batch_size=2, seed=0)
    assert torch.equal(model.weight, before)


def test_nothing_to_do_does_nothing():
    model, steps = nn.Linear(1, 1), []
    for epochs, samples in ((0, 4), (3, 0)):
        train("n", [(model, 0.1)], lambda r: 1 / 0, samples, epochs=epochs, batch_size=2, seed=0,
              report=steps.append)
    model.requires_grad_(False)
    train("n", [(model, 0.1)], lambda r: 1 / 0, 4, epochs=2, batch_size=2, seed=0,
          report=steps.append)
    assert steps == []


def test_the_best_epoch_is_kept_and_validated_at_rest():
    model = nn.Sequential(nn.Linear(1, 1), nn.Dropout(0.5))
    scores, weights, modes = iter([0.2, 0.9, 0.5, 0.9]), [], []

    def validate():
        weights.append(model[0].weight.detach().clone())
        modes.append(model.training or model[1].training)
        return next(scores)

    best = train("b", [(model, 0.1)], lambda r: model(torch.ones(len(r), 1)).sum(), 4,
                 epochs=4, batch_size=2, seed=0, validate=validate)
    assert best == 0.9 and torch.equal(model[0].weight, weights[1])  # the first of equals
    assert not torch.equal(weights[1], weights[3])
    assert not any(modes) and model.training and model[1].training
