"""Images per second counts what was asked for, in the precision that was asked for."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn

from hybridlab.training.throughput import throughput


class Slow(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.seen, self.learnt = nn.Linear(4, 2), [], 0
        self.layer.weight.register_hook(self.count)

    def count(self, gradient):
        self.learnt += 1

    def forward(self, x):
        time.sleep(0.01)
        out = self.layer(x.flatten(1))
        self.seen.append((out.dtype, out.requires_grad))
        return out


def test_it_counts_images_and_calls():
    slow, images = Slow(), torch.randn(3, 1, 2, 2)
    found = throughput(slow, images, learns=True, rounds=2, calls=2)
    assert 100 < found < 300  # three images in 10 ms or a little more
    assert len(slow.seen) == 6 and slow.learnt == 6
    assert slow.layer.weight.grad is None
    throughput(slow, images, learns=False, rounds=1, calls=1)
    assert slow.seen[-1] == (torch.float32, False) and slow.learnt == 6
    throughput(slow, images, learns=True, precision="bf16-mixed", rounds=1, calls=1)
    assert slow.seen[-1] == (torch.bfloat16, True) and slow.layer.weight.dtype == torch.float32


@pytest.mark.parametrize(("images", "options", "told"), [
    (3, {"precision": "8-true"}, "precision is '8-true'; choose one of 32-true"),
    (3, {"rounds": 0}, "rounds is 0"), (3, {"calls": 0}, "calls 0"), (0, {}, "images 0"),
])
def test_bad_input_is_named(images, options, told):
    with pytest.raises(ValueError, match=told):
        throughput(Slow(), torch.randn(images, 1, 2, 2), learns=False, **options)
