"""What a CNN and an RNN make of a shift, measured (seed 001: complementary strengths).

A convolution sees the same at every place: move the picture, and its map moves along, f(T x) = T
f(x). A stride keeps that for whole multiples of itself only. A recurrent net is the opposite: what
comes a step later meets another state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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


def dense_weights(convolution: nn.Conv2d, height: int, width: int) -> tuple[int, int]:
    """Parameter sharing in numbers: weights of a convolution, and of the full matrix without it.

    Args:
        height, width: of the map that it reads, in places.

    Returns:
        its weights, and those of a linear layer between the same two maps (biases left out).
    """
    with torch.device("meta"):
        twin = nn.Conv2d(
            convolution.in_channels, convolution.out_channels, convolution.kernel_size,  # type: ignore[arg-type]
            convolution.stride, convolution.padding, convolution.dilation, convolution.groups,  # type: ignore[arg-type]
        )
        after = twin(torch.empty(1, convolution.in_channels, height, width))
    return (
        convolution.weight.numel(),
        convolution.in_channels * height * width * after[0].numel(),
    )


@torch.no_grad()
def delay_difference(rnn: nn.RNNBase, inputs: Tensor, steps: int = 1) -> float:
    """Time-shift sensitivity of an RNN: how far its last state moves if the same inputs come later.

    Args:
        rnn: batch_first.
        inputs: (B, T, D).
        steps: of zeros before them.

    Returns:
        The length of the difference over the length of the state; 0 is invariant.
    """
    late = torch.cat([inputs.new_zeros(len(inputs), steps, inputs.shape[2]), inputs], dim=1)
    now, then = rnn(inputs)[0][:, -1], rnn(late)[0][:, -1]
    return float((now - then).norm() / now.norm().clamp(min=1e-12))
