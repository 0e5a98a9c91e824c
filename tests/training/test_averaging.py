"""The average is torch's, and swapping it in leaves no trace."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from hybridlab.training.averaging import MovingAverage


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


def stepped(module: nn.Module) -> None:
    module.train()
    module(torch.randn(4, 2))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter))


def test_what_is_loaded_comes_to_the_device_of_the_module():
    """A file comes on the CPU, and a mean of numbers on two devices is an error."""
    state = MovingAverage(model(), 0.9).state_dict()
    elsewhere = MovingAverage(model().to("meta"), 0.9)
    elsewhere.load_state_dict(state)
    assert {value.device.type for value in elsewhere.weights.values()} == {"meta"}


def test_without_a_warm_start_it_is_torchs():
    module = model()
    ours = MovingAverage(module, 0.9, warm=False)
    theirs = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    theirs.update_parameters(module)  # its first update copies
    for _ in range(5):
        stepped(module)
        ours.update(module)
        theirs.update_parameters(module)
    for name, value in theirs.module.state_dict().items():
        if value.dtype.is_floating_point:
            assert torch.allclose(ours.weights[name], value, atol=1e-6), name
    assert ours.weights["1.num_batches_tracked"] == 5


def test_a_warm_start_follows_the_weights_at_first():
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, 0.0)
    warm, fixed = MovingAverage(module, 0.999), MovingAverage(module, 0.999, warm=False)
    nn.init.constant_(module.weight, 1.0)
    for step in range(3):
        before = float(warm.weights["weight"])
        warm.update(module)
        fixed.update(module)
        decay = (1 + step) / (10 + step)
        assert float(warm.weights["weight"]) == pytest.approx(decay * before + 1 - decay)
    assert float(warm.weights["weight"]) > 0.99 and float(fixed.weights["weight"]) < 0.01
    zero = MovingAverage(module, 0.0)
    stepped_weight = nn.init.constant_(module.weight, 7.0)
    zero.update(module)
    assert torch.equal(zero.weights["weight"], stepped_weight)


def test_swapping_in_leaves_no_trace_even_after_an_error():
    module = model()
    average = MovingAverage(module, 0.5)
    first = {name: value.clone() for name, value in module.state_dict().items()}
    stepped(module)
    own = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises(KeyError), average.swapped_in(module):
        assert all(torch.equal(value, first[name])
                   for name, value in module.state_dict().items())
        raise KeyError
    assert all(torch.equal(value, own[name]) for name, value in module.state_dict().items())


def test_it_goes_on_from_its_state():
    module = model()
    one, two = MovingAverage(module, 0.9), MovingAverage(model(), 0.9)
    stepped(module)
    one.update(module)
    two.load_state_dict(one.state_dict())
    stepped(module)
    for each in (one, two):
        each.update(module)
    assert all(torch.equal(one.weights[name], two.weights[name]) for name in one.weights)
    assert one.steps == two.steps == 2


def test_mistakes_are_named():
    for decay in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match="decay is"):
            MovingAverage(model(), decay)
    average = MovingAverage(model())
    with pytest.raises(ValueError, match="names differ from those of the average"):
        average.update(nn.Linear(2, 3))
    for state in ({}, MovingAverage(nn.Linear(2, 3)).state_dict()):
        with pytest.raises(ValueError, match="another module"):
            average.load_state_dict(state)
