"""What a fusion costs: its parameters, and the operations of one forward pass."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from hybridlab.fusion.view import View


@dataclass(frozen=True)
class Cost:
    """Attributes:
    parameters: those that are learnt.
    flop: of one image's forward pass: matrix products (2 for each multiply-add), attention and
        FFTs; what goes element by element is not counted.
    """

    parameters: int
    flop: int


def cost_of(fusion: nn.Module, a: View, b: View) -> Cost:
    """Count a fusion's parameters, and the operations that it does on these views.

    Measured on the module itself as it runs on the first image, so it holds for any fusion, and
    depends on how many tokens the views have. What is done once for a whole batch (queries of
    texts) counts in full.

    Raises:
        ValueError: the views hold no image.
    """
    from torch.utils.flop_counter import FlopCounterMode

    if len(a) == 0:
        raise ValueError("the views are empty; give at least one image to count on")
    aten = torch.ops.aten
    was_training = fusion.training
    fusion.eval()
    try:
        counter = FlopCounterMode(display=False, custom_mapping={
            aten._fft_r2c: _real_fft, aten._fft_c2r: _inverse_fft,
        })
        with counter, torch.enable_grad():  # without it the counter trips over views of weights
            fusion(*(view.rows(torch.arange(1)) for view in (a, b)))
    finally:
        fusion.train(was_training)
    learnt = sum(each.numel() for each in fusion.parameters() if each.requires_grad)
    return Cost(learnt, counter.get_total_flops())


def _real_fft(shape: Any, *_: Any, **__: Any) -> int:
    """Some 2.5 n log2 n operations for each row of n real numbers."""
    *rows, size = shape
    return round(2.5 * math.prod(rows) * size * math.log2(max(2, size)))


def _inverse_fft(shape: Any, dims: Any, mode: Any, size: int, *_: Any, **__: Any) -> int:
    *rows, _half = shape
    return round(2.5 * math.prod(rows) * size * math.log2(max(2, size)))
