"""Where the temperature starts, where it stops, and how it comes back."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from hybridlab.contrastive.softmax import clip_loss
from hybridlab.contrastive.temperature import ScaleAndBias, Temperature


def test_starts_are_the_papers():
    assert float(Temperature().logit_scale.detach()) == pytest.approx(1 / 0.07)
    assert list(dict(Temperature().named_parameters())) == ["log_scale"]
    siglip = ScaleAndBias()
    assert float(siglip.log_scale.detach()) == pytest.approx(math.log(10))
    assert [float(each.detach()) for each in siglip()] == pytest.approx([10.0, -10.0])


@pytest.mark.parametrize(("log_scale", "scale", "slope"), [
    (5.0, 100.0, 0.0), (-1.0, 1.0, 0.0), (2.0, math.exp(2), math.exp(2)),
])
def test_beyond_a_bound_the_gradient_is_0(log_scale, scale, slope):
    temperature = Temperature()
    temperature.log_scale.data.fill_(log_scale)
    temperature.logit_scale.backward()
    assert float(temperature().detach()) == pytest.approx(scale)
    assert float(temperature.log_scale.grad) == pytest.approx(slope)


@pytest.mark.parametrize(("log_scale", "scale"), [(9.0, 100.0), (-3.0, 1.0)])
def test_clamp_puts_it_on_the_bound_from_where_it_can_move(log_scale, scale):
    temperature = Temperature()
    temperature.log_scale.data.fill_(log_scale)
    temperature.clamp_()
    temperature.logit_scale.backward()
    assert float(temperature().detach()) == pytest.approx(scale)
    assert float(temperature.log_scale.grad) == pytest.approx(scale, rel=1e-5)


@pytest.mark.parametrize(("texts", "moves"), [([0, 1, 2], 1), ([1, 2, 0], -1)])
def test_the_loss_sharpens_when_right_and_softens_when_wrong(texts, moves):
    temperature = Temperature(10.0)
    optimiser = torch.optim.SGD(temperature.parameters(), lr=0.1)
    emb = F.normalize(torch.eye(3) + 0.6, dim=-1)
    clip_loss(emb, emb[texts], temperature()).backward()
    optimiser.step()
    assert (float(temperature().detach()) - 10) * moves > 1e-3


def test_bad_starts_are_named():
    for start in (0.07, 101.0, float("nan")):
        with pytest.raises(ValueError, match="scale from 1 to 100"):
            Temperature(start)
    with pytest.raises(ValueError, match="above 0"):
        ScaleAndBias(0.0)


def test_numbers_that_are_none_or_not_finite_are_refused():
    with pytest.raises(ValueError, match="start is None"):
        Temperature(None)
    with pytest.raises(ValueError, match="start is inf"):
        ScaleAndBias(float("inf"))
    with pytest.raises(ValueError, match="bias is nan"):
        ScaleAndBias(10.0, float("nan"))
