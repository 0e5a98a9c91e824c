"""What a training step costs in floating-point operations, and how many steps a budget pays for.

Counted: the multiplications and additions of matrix products, attention and convolutions, forward
and backward. Left out, as usual: normalisation, activations, the optimiser, drawing the pictures.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from hybridlab.data.captioned import CaptionedPictures
from hybridlab.pretraining.methods import Method
from hybridlab.pretraining.pairs import Pairs, draw_pairs
from hybridlab.pretraining.trunk import to_pixels

TERA = 1e12


def step_flops(method: Method, pairs: Pairs) -> int:
    """FLOP of one training step on a batch, forward and backward.

    The method is left as it was: its copy takes the step.
    """
    trial = copy.deepcopy(method).train()
    pixels = to_pixels(pairs.images)
    convolution = {torch.ops.aten.convolution_backward: convolution_backward_flops}
    with FlopCounterMode(display=False, custom_mapping=convolution) as counter:
        trial.loss(pixels, pairs).backward()
    return counter.get_total_flops()


def mean_step_flops(
    method: Method, pictures: CaptionedPictures, batch_size: int, batches: int = 4
) -> float:
    """FLOP of a training step, mean over the first batches: captions differ in length.

    Raises:
        ValueError: batches or batch_size is below 1.
    """
    if batches < 1:
        raise ValueError(f"batches is {batches}; give 1 or more")
    drawn = (draw_pairs(pictures, step, batch_size) for step in range(batches))
    return sum(step_flops(method, pairs) for pairs in drawn) / batches


def steps_within(budget: float, flops: float) -> int:
    """How many whole steps a budget pays for.

    Args:
        budget: FLOP.
        flops: FLOP of one step.

    Raises:
        ValueError: not even one step, or numbers that are no cost.
    """
    if not 0 < flops < float("inf") or not 0 < budget < float("inf"):
        raise ValueError(f"budget is {budget} and a step costs {flops}; give numbers above 0")
    if budget < flops:
        raise ValueError(
            f"a budget of {budget:.3g} FLOP does not pay for one step of {flops:.3g}; give more, "
            "or take smaller batches"
        )
    return int(budget // flops)


def convolution_backward_flops(
    grad_out: Sequence[int], inputs: Sequence[int], weight: Sequence[int], bias: Any, stride: Any,
    padding: Any, dilation: Any, transposed: bool, output_padding: Any, groups: int,
    output_mask: Sequence[bool], **others: Any,
) -> int:
    """FLOP of a convolution's gradients: for its input and its weight as much as forward, each.

    Both gradients are made of the products of the forward pass. torch 2.15's own formula forgets
    the groups in that of the weight: for a depthwise convolution of C channels it counts C times
    too much, most of all that this trunk would seem to cost.
    """
    forward = conv_flop_count(list(inputs), list(weight), list(grad_out), transposed=transposed)
    return forward * (bool(output_mask[0]) + bool(output_mask[1]))
