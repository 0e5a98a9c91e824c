"""Images per second of a network on a device: what a notebook and the benchmarks ask.

A GPU answers before it is done, so a clock that does not wait for it measures nothing; and the
first calls choose algorithms and fill caches, so they are not counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn

PRECISIONS = ("32-true", "bf16-mixed")


def throughput(
    network: Callable[[Tensor], Tensor], images: Tensor, *, learns: bool,
    precision: str = "32-true", rounds: int = 5, calls: int = 4,
) -> float:
    """Images per second, the median over rounds.

    Args:
        network: (B, 3, H, W) -> any tensor; on the device of the images, its mode already set.
        images: preprocessed.
        learns: forward and backward, to the network's parameters; else forward without gradients.
        precision: as Fabric names it; with "bf16-mixed" matrices are multiplied in bfloat16.
        rounds: of which the median counts, after one that is not counted.
        calls: of the network in a round.

    Raises:
        ValueError: an unknown precision, or rounds, calls or images below 1.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}; choose one of {', '.join(PRECISIONS)}")
    if min(rounds, calls, len(images)) < 1:
        raise ValueError(f"rounds is {rounds}, calls {calls}, images {len(images)}; give 1 or more")
    half = precision == "bf16-mixed"

    def once() -> None:
        with torch.set_grad_enabled(learns), torch.autocast(
            images.device.type, torch.bfloat16, enabled=half
        ):
            out = network(images)
        if learns:
            out.float().sum().backward()
            if isinstance(network, nn.Module):
                network.zero_grad(set_to_none=True)

    def seconds() -> float:
        finish(images.device)
        begun = time.perf_counter()
        for _ in range(calls):
            once()
        finish(images.device)
        return time.perf_counter() - begun

    seconds()
    return calls * len(images) / median(seconds() for _ in range(rounds))


def finish(device: torch.device) -> None:
    """Wait until the device has done what it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
