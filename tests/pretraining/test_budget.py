"""What a step costs: linear in the batch, right for depthwise convolutions, and paid in whole."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hybridlab.data.captioned import CaptionedPictures
from hybridlab.encoders.base import weights_hash
from hybridlab.pretraining.budget import (
    convolution_backward_flops,
    mean_step_flops,
    step_flops,
    steps_within,
)
from hybridlab.pretraining.methods import build_method
from hybridlab.pretraining.pairs import Pairs, draw_pairs
from hybridlab.pretraining.trunk import to_pixels
from hybridlab.pretraining.words import caption_vocabulary

from .helpers import quick_method

VOCABULARY = caption_vocabulary(10)
PICTURES = CaptionedPictures(64, seed=4, emoji=10)


@pytest.fixture(scope="module")
def methods():
    return {name: quick_method(name, VOCABULARY) for name in ("clip", "bow", "prefix", "cross")}


def test_cost_grows_with_the_batch(methods):
    one = draw_pairs(PICTURES, 0, 1)
    more = Pairs(one.images.expand(4, -1, -1, -1), one.captions * 4, one.shown * 4,
                 torch.ones(4, 4, dtype=torch.bool))
    for name, method in methods.items():
        cheap, dear = step_flops(method, one), step_flops(method, more)
        assert dear == pytest.approx(4 * cheap, rel=1e-4), name  # B x B cosines are all but free
        assert cheap > 0


def test_the_method_is_left_as_it_was(methods):
    method = methods["bow"]
    before = weights_hash(method)
    step_flops(method, draw_pairs(PICTURES, 0, 2))
    assert weights_hash(method) == before
    assert all(each.grad is None for each in method.parameters())


def test_a_step_costs_three_times_its_forward_products():
    """Counted here layer by layer, from what each gives; the gradients cost as much twice."""
    method, products = build_method("bow", VOCABULARY), []

    def note(layer, given, out):
        inner = (given[0].shape[1] if isinstance(layer, nn.Linear)
                 else layer.weight[0].numel())  # channels of its group x places of the kernel
        products.append(out.numel() * inner)

    for layer in method.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(note)
    pairs = draw_pairs(PICTURES, 0, 2)
    found = step_flops(copy.deepcopy(method), pairs)
    products.clear()
    method.loss(to_pixels(pairs.images), pairs)
    # the first layer's gradient for the picture is asked for by nobody
    wanted = 2 * (3 * sum(products) - products[0])
    assert found == wanted
    # EfficientNet-Lite0 is published with 407 million multiply-adds at 224 px
    at_224 = sum(products[:-1]) / 2 * (224 / 64) ** 2
    assert at_224 == pytest.approx(407e6, rel=0.1)


@pytest.mark.parametrize(("groups", "stride"), [(1, 1), (1, 2), (2, 1), (8, 2)])
def test_convolutions_cost_what_their_products_are(groups, stride):
    layer = nn.Conv2d(8, 8, 3, stride, padding=1, groups=groups, bias=False)
    inputs = torch.zeros(2, 8, 6, 6, requires_grad=True)

    def counted(**options):
        with FlopCounterMode(display=False, **options) as counter:
            layer(inputs).sum().backward()
        return counter.get_total_flops()

    places = (6 // stride) ** 2
    forward = 2 * 2 * places * 8 * (8 // groups) * 9
    ours = counted(custom_mapping={
        torch.ops.aten.convolution_backward: convolution_backward_flops
    })
    assert ours == 3 * forward
    if groups == 1:  # torch's own formula is right where there are no groups
        assert counted() == ours
    first = nn.Conv2d(3, 8, 3, bias=False)  # of a picture, which needs no gradient
    with FlopCounterMode(display=False, custom_mapping={
        torch.ops.aten.convolution_backward: convolution_backward_flops
    }) as counter:
        first(torch.zeros(1, 3, 3, 3)).sum().backward()
    assert counter.get_total_flops() == 2 * (2 * 3 * 8 * 9)


def test_a_budget_pays_for_whole_steps():
    assert steps_within(10.0, 3.0) == 3 and steps_within(3.0, 3.0) == 1
    with pytest.raises(ValueError, match="does not pay for one step"):
        steps_within(2.9, 3.0)
    for budget, flops in ((0, 1), (1, 0), (float("nan"), 1), (1, float("inf"))):
        with pytest.raises(ValueError, match="give numbers above 0"):
            steps_within(budget, flops)


def test_the_mean_is_over_the_first_batches(methods):
    each = [step_flops(methods["prefix"], draw_pairs(PICTURES, step, 2)) for step in range(3)]
    found = mean_step_flops(methods["prefix"], PICTURES, 2, batches=3)
    assert found == pytest.approx(sum(each) / 3) and len(set(each)) > 1
    with pytest.raises(ValueError, match="batches is 0"):
        mean_step_flops(methods["prefix"], PICTURES, 2, batches=0)
