"""What a CNN and an RNN make of a shift, measured (seed 001: complementary strengths).

A convolution sees the same at every place: move the picture, and its map moves along, f(T x) = T
f(x). A stride keeps that for whole multiples of itself only. A recurrent net is no such thing: what
comes earlier has been worked over more often when the end is reached.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

Network = Callable[[Tensor], Tensor]  # pixels (B, 3, H, W) -> map (B, C, h, w)


@torch.no_grad()
def shift_errors(
    network: Network, pixels: Tensor, side: int, shifts: Sequence[int], margin: int = 1
) -> list[float]:
    """How far the map of a moved picture is from the moved map of the picture, for each shift.

    Two windows of a larger picture are compared, so that what moves out at one side is not filled
    with anything at the other. Where the shift is no whole number of places, the map is moved by
    linear interpolation: the best that a coarse map can do.

    Args:
        network: maps (B, 3, side, side) to a map whose places are side / w pixels apart.
        pixels: (B, 3, H, W), H and W at least side + the largest shift.
        side: of the windows, in pixels.
        shifts: to the left, in pixels, 0 or more.
        margin: columns that are left out at both edges of the map, where padding is seen.

    Returns:
        For each shift the length of the difference over the length of the moved map; 0 is
        equivariant.

    Raises:
        ValueError: the pictures are too small, a shift is negative, or nothing is left to compare.
    """
    largest = max(shifts, default=0)
    if min(shifts, default=0) < 0 or min(pixels.shape[2:]) < side + largest:
        raise ValueError(
            f"pixels is {tuple(pixels.shape)} for windows of {side} px that move by "
            f"{list(shifts)}; give shifts of 0 or more and pictures of {side + largest} px or more"
        )
    still = network(pixels[..., :side, :side])
    width = still.shape[-1]
    stride = side / width
    errors = []
    for shift in shifts:
        moved = network(pixels[..., :side, shift : shift + side])
        places = shift / stride
        whole, part = int(places), places - int(places)
        last = width - whole - (1 if part else 0)  # columns that both windows see
        if last - 2 * margin < 1:
            raise ValueError(
                f"a shift of {shift} px leaves {last} of {width} columns, and {margin} at either "
                "edge are left out; take larger windows or smaller shifts"
            )
        expected = (1 - part) * still[..., whole : whole + last]
        if part:
            expected = expected + part * still[..., whole + 1 : whole + 1 + last]
        inner = slice(margin, last - margin)
        rows = slice(margin, still.shape[-2] - margin)
        got, wanted = moved[..., rows, :last][..., inner], expected[..., rows, inner]
        errors.append(float((got - wanted).norm() / wanted.norm().clamp(min=1e-12)))
    return errors


class Weights(NamedTuple):
    """Parameter sharing in numbers: weights of a convolution, and of a linear layer for it."""

    shared: int
    dense: int


def sharing(convolution: nn.Conv2d, height: int, width: int) -> Weights:
    """How many weights a convolution has, and how many a linear layer between the same two maps
    would have (biases left out).

    Args:
        height, width: of the map that it reads, in places.
    """
    with torch.device("meta"):
        twin = nn.Conv2d(
            convolution.in_channels, convolution.out_channels, convolution.kernel_size,  # type: ignore[arg-type]
            convolution.stride, convolution.padding, convolution.dilation, convolution.groups,  # type: ignore[arg-type]
        )
        after = twin(torch.empty(1, convolution.in_channels, height, width))
    dense = convolution.in_channels * height * width * after[0].numel()
    return Weights(convolution.weight.numel(), dense)


@torch.no_grad()
def sharing_of(network: nn.Module, size: int) -> dict[str, Weights]:
    """`sharing` of every convolution of a network, first to last.

    Args:
        network: takes pixels (1, 3, size, size).

    Returns:
        "layer NUMBER: KERNEL, IN to OUT channels" -> its weights; only those that were run.
    """
    found: dict[str, Weights] = {}

    def look(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, nn.Conv2d)
        height, width = layer.kernel_size[0], layer.kernel_size[1]
        name = (f"layer {len(found) + 1}: {height} x {width}, {layer.in_channels} to "
                f"{layer.out_channels} channels")
        alone = ", each by itself" if layer.groups == layer.in_channels > 1 else ""
        found[name + alone] = sharing(layer, *inputs[0].shape[2:])

    hooks = [each.register_forward_pre_hook(look) for each in network.modules()
             if isinstance(each, nn.Conv2d)]
    try:
        network(torch.zeros(1, 3, size, size))
    finally:
        for hook in hooks:
            hook.remove()
    return found


@torch.no_grad()
def delay_difference(reader: Callable[[Tensor], Tensor], inputs: Tensor, steps: int = 1) -> float:
    """Time-shift sensitivity: how far the last output moves if the same inputs come later.

    Both times the window is T + steps long: once the inputs stand at its beginning and zeros
    behind them, once at its end and zeros before them. A mean over time does not feel that; a
    recurrent net ends in another state.

    Args:
        reader: maps (B, T, D) to outputs (B, T, E), such as `outputs_of(rnn)`.
        inputs: (B, T, D).
        steps: by which they come later, 0 or more.

    Returns:
        The length of the difference over the mean length of the two; 0 is invariant.

    Raises:
        ValueError: steps is negative, or the outputs are not one for each step.
    """
    if steps < 0:
        raise ValueError(f"steps is {steps}; give 0 or more")
    blank = inputs.new_zeros(len(inputs), steps, inputs.shape[2])
    ends = []
    for window in (torch.cat([inputs, blank], dim=1), torch.cat([blank, inputs], dim=1)):
        outputs = reader(window)
        if outputs.shape[:2] != window.shape[:2]:
            raise ValueError(
                f"outputs are {tuple(outputs.shape)} for inputs {tuple(window.shape)}; expected "
                "(B, T, E), one for each step"
            )
        ends.append(outputs[:, -1])
    early, late = ends
    return float(2 * (early - late).norm() / (early.norm() + late.norm()).clamp(min=1e-12))


def outputs_of(rnn: nn.RNNBase) -> Callable[[Tensor], Tensor]:
    """An RNN as a reader for `delay_difference`.

    Raises:
        ValueError: it is not batch_first: images would be taken for steps.
    """
    if not rnn.batch_first:
        raise ValueError("the RNN is not batch_first; build it with batch_first=True")
    return lambda inputs: rnn(inputs)[0]


def mean_so_far(inputs: Tensor) -> Tensor:
    """The mean of all inputs up to each step: a reader of time without any sense of it."""
    count = torch.arange(1, inputs.shape[1] + 1, device=inputs.device)[:, None]
    return inputs.cumsum(dim=1) / count
