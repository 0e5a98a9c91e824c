"""The gradient of one batch: each process its share, in as many parts as memory asks for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from hybridlab.training.guards import MemoryAdvice, out_of_memory
from hybridlab.training.loading import in_parts
from hybridlab.training.processes import summed
from hybridlab.training.stage import Stage

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def gradients(
    fabric: Fabric, wrapped: Any, load: Callable[[Tensor], Any], rows: Tensor,
    counts: Mapping[str, float], parts: int,
) -> tuple[float, dict[str, float]]:
    """Forward and backward of a process's rows, in parts one after another.

    The parts add up to the batch, for each sum is divided by the counts of the whole. That does
    not hold for a loss in which the rows of a batch meet each other, as CLIP's.

    Args:
        load: rows -> their data, on the CPU.

    Returns:
        the loss of the whole batch over all processes, and its terms.
    """
    wrapped.zero_grad(set_to_none=True)
    pieces = in_parts(rows, parts)
    loss, terms = 0.0, dict.fromkeys(counts, 0.0)
    for number, piece in enumerate(pieces, start=1):
        data = fabric.to_device(load(piece))
        last = number == len(pieces)
        with nullcontext() if last else fabric.no_backward_sync(wrapped):
            value, each = wrapped(data, counts)
            # gradients are averaged over processes; sums / counts of all are to be added up
            fabric.backward(fabric.world_size * value)
        loss += float(value.detach())
        for name, term in each.items():
            terms[name] += float(term)
    loss, *rest = summed(fabric, [loss, *terms.values()])
    return loss, dict(zip(terms, rest, strict=True))


def within_memory(
    compute: Callable[[int], tuple[float, dict[str, float]]], parts: int, rows: int, stage: Stage,
    whole: str, say: Callable[[str], None],
) -> tuple[int, tuple[float, dict[str, float]]]:
    """Compute in parts, and where memory does not suffice, anew in twice as many.

    The same rows, the same noise: only the peak of memory changes.

    Args:
        compute: parts -> what `gradients` gives.
        parts: to begin with.
        rows: that there are.
        whole: why a batch cannot be computed in more parts; "" where it can.
        say: is told when it takes more parts.

    Returns:
        the number of parts that it took, and what came of it.

    Raises:
        MemoryAdvice: one image at a time is too much, or more parts are not possible.
    """
    noise = torch.get_rng_state()
    on_gpu = torch.cuda.is_available()
    gpu_noise = torch.cuda.get_rng_state_all() if on_gpu else []
    while True:
        try:
            return parts, compute(parts)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            at_once = math.ceil(rows / parts)
            if parts >= rows or whole:
                more = "" if whole.startswith("rows") else f"accumulate above {parts}, "
                raise MemoryAdvice(
                    f"{stage.name}: memory does not suffice for {at_once} images at a time"
                    f"{whole and f' ({whole})'}; give a smaller batch_size than "
                    f"{stage.batch_size}, {more}smaller images, or precision bf16-mixed"
                ) from error
            parts = min(2 * parts, rows)
            say(
                f"{stage.name}: memory does not suffice for {at_once} images at a time; going on "
                f"with {parts} parts of each batch, one after another: the same batch, the same "
                "steps"
            )
        torch.set_rng_state(noise)
        if on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.set_rng_state_all(gpu_noise)
