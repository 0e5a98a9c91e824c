"""Convolutions move with their picture, a stride breaks it between its multiples, RNNs do not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hybridlab.encoders.cnn import build_cnn
from hybridlab.encoders.equivariance import (
    delay_difference,
    mean_so_far,
    outputs_of,
    sharing,
    sharing_of,
    shift_errors,
)


def smooth(side: int) -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    noise = torch.randn(2, 3, side, side, generator=draw)
    return nn.functional.avg_pool2d(noise, 5, 1, 2)


def test_a_convolution_without_stride_moves_with_its_picture():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1))
    assert max(shift_errors(network, smooth(60), 40, range(8), margin=2)) < 1e-5


def test_a_stride_keeps_it_for_its_multiples_only():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, 2, 1))
    errors = shift_errors(network, smooth(80), 48, range(9), margin=2)
    assert max(errors[0], errors[4], errors[8]) < 1e-5
    assert min(errors[1], errors[2], errors[3], errors[5]) > 0.05


def test_a_real_cnn_is_equivariant_at_its_stride_and_less_between():
    cnn = build_cnn("efficientnet_lite0", stage="stage2").eval()
    stride = 256 // cnn(torch.zeros(1, 3, 256, 256)).feature_map.shape[-1]
    errors = shift_errors(
        lambda x: cnn(x).feature_map, smooth(200), 160, [0, stride // 2, stride], margin=3
    )
    assert errors[0] == 0 and errors[2] < 0.02 < errors[1]


def test_a_linear_layer_is_not():
    torch.manual_seed(0)
    linear = nn.Linear(3 * 12 * 12, 12 * 12)

    def network(x):
        return linear(x.flatten(1)).view(len(x), 1, 12, 12)

    assert shift_errors(network, smooth(20), 12, [2])[0] > 0.3


def test_every_convolution_of_a_network_is_told_with_the_map_it_reads():
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.Conv2d(8, 4, 1),
    )
    found = sharing_of(network, 10)
    assert list(found) == [
        "layer 1: 3 x 3, 3 to 8 channels", "layer 2: 3 x 3, 8 to 8 channels, each by itself",
        "layer 3: 1 x 1, 8 to 4 channels",
    ]
    assert list(found.values()) == [
        sharing(network[0], 10, 10), sharing(network[2], 5, 5), sharing(network[3], 5, 5)
    ]
    assert not any(each._forward_pre_hooks for each in network.modules())


def test_shared_weights_are_few():
    few, many = sharing(nn.Conv2d(3, 8, 3, padding=1), 10, 10)
    assert (few, many) == (3 * 8 * 9, 300 * 800)
    assert sharing(nn.Conv2d(4, 8, 3, stride=2, padding=1), 10, 10).dense == 400 * 200


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
@pytest.mark.parametrize("steps", [5, 50])
def test_an_rnn_feels_a_delay_and_a_mean_over_time_does_not(kind, steps):
    """However long the window: what comes early has been worked over more often."""
    torch.manual_seed(0)
    rnn, inputs = kind(3, 8, batch_first=True), torch.randn(4, steps, 3)
    assert delay_difference(outputs_of(rnn), inputs, 0) == 0
    assert delay_difference(outputs_of(rnn), inputs, 5) > 0.2
    assert delay_difference(mean_so_far, inputs, 5) < 1e-5


def test_what_is_no_reader_of_time_is_named():
    inputs = torch.randn(4, 5, 3)
    with pytest.raises(ValueError, match="batch_first=True"):
        outputs_of(nn.GRU(3, 8))
    with pytest.raises(ValueError, match="one for each step"):
        delay_difference(lambda x: x.mean(dim=1), inputs)
    with pytest.raises(ValueError, match="steps is -1"):
        delay_difference(mean_so_far, inputs, -1)


@pytest.mark.parametrize(("side", "shifts", "words"), [
    (40, [-1], "shifts of 0 or more"), (40, [30], "pictures of 70 px"), (8, [7], "leaves 1 of 8"),
])
def test_what_cannot_be_compared_is_named(side, shifts, words):
    with pytest.raises(ValueError, match=words):
        shift_errors(nn.Conv2d(3, 1, 3, padding=1), smooth(60), side, shifts)
