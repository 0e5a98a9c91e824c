"""One batch over several processes: gathered rows whose gradients find the way home (trap 15).

A contrastive loss needs every row of the batch. Each process computes the part of the loss that
belongs to its own rows, against all rows of all processes, and the gradient that falls on another
process's rows is sent there. Parameters' gradients, averaged as DDP averages them, then equal those
of one process with the whole batch. `torch.distributed.all_gather` alone sends nothing back: the
encoders then get 1/W of their gradient and no error is raised.

Without a process group each function does what it does for one process. All of them are
collective: every process must call them, in the same order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from hybridlab.contrastive.checks import mask_problem

Key = TypeVar("Key")


@dataclass(frozen=True)
class Shards:
    """How many rows each process holds, and which process this is."""

    sizes: tuple[int, ...]
    rank: int

    @property
    def total(self) -> int:
        """Rows of the whole batch."""
        return sum(self.sizes)

    @property
    def own(self) -> slice:
        """Where this process's rows lie in the whole batch."""
        start = sum(self.sizes[: self.rank])
        return slice(start, start + self.sizes[self.rank])


def rank_and_world() -> tuple[int, int]:
    """(this process's number, how many there are); (0, 1) without a process group."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def gather_with_gradients(tensor: Tensor, shards: Shards | None = None) -> Tensor:
    """Rows of all processes, in the order of their rank, with exact gradients.

    The gradient of a row is the sum of what all processes' losses put on it, so it equals the
    gradient of the *sum* of their losses.

    Args:
        tensor: floating point; processes may hold different numbers of rows.
        shards: the rows of each process, where they are known already; else they are asked for.

    Shape:
        (B of this process, ...) -> (B of all, ...)

    Raises:
        ValueError: a tensor without rows (0-d) or not floating point; rows of another size or dtype
            on another process (raised by all of them, so that none waits for ever).
    """
    problem = None
    if not isinstance(tensor, Tensor):
        problem = f"the rows are a {type(tensor).__name__}; expected a tensor: torch.as_tensor(...)"
    elif tensor.dim() == 0 or not tensor.is_floating_point():
        problem = (
            f"the tensor is {tensor.dtype} {tuple(tensor.shape)}; expected floating point with "
            "rows to gather: reshape a scalar to (1,)"
        )
    if shards is None or problem is not None:
        shards = agree_on_shards(tensor, problem)
    if rank_and_world()[1] == 1:
        return tensor
    return _Gather.apply(tensor, shards)


def gather_keys(keys: Sequence[Key]) -> list[Key]:
    """Keys of all processes in the order of the gathered rows, for `positives_of`."""
    world = rank_and_world()[1]
    if world == 1:
        return list(keys)
    found: list[Any] = [None] * world
    dist.all_gather_object(found, list(keys))
    return [key for each in found for key in each]


def agree_on_shards(rows: Tensor, problem: str | None, gathered: bool = True) -> Shards:
    """Rows of each process, after every process has said that its input is in order.

    A process that refused its input on its own would leave the others waiting in a collective.

    Args:
        rows: this process's rows; looked at only where `problem` is None.
        problem: what is wrong with this process's input, or None.
        gathered: False: this process stands for itself.

    Raises:
        ValueError: this process has a problem, another one has, or their rows differ in size or
            dtype.
    """
    rank, world = rank_and_world()
    if not gathered or world == 1:
        if problem is not None:
            raise ValueError(problem)
        return Shards((rows.shape[0],), 0)
    fine = problem is None
    mine = [len(rows), math.prod(rows.shape[1:]), rows.element_size(), 1] if fine else [0, 0, 0, 0]
    device = rows.device if isinstance(rows, Tensor) else torch.get_default_device()
    sent = torch.tensor(mine, dtype=torch.int64, device=device)
    received = [torch.empty_like(sent) for _ in range(world)]
    dist.all_gather(received, sent)
    all_of_them = torch.stack(received).tolist()
    if problem is not None:
        raise ValueError(problem)
    refusing = [other for other, each in enumerate(all_of_them) if not each[3]]
    if refusing:
        raise ValueError(
            f"process {refusing[0]} of {world} refuses its input, so process {rank} stops too; "
            "the message of that process says why"
        )
    if len({tuple(each[1:3]) for each in all_of_them}) > 1:
        told = ", ".join(f"{each[1]} x {each[2]}" for each in all_of_them)
        raise ValueError(
            f"numbers in a row x bytes of each differ between processes ({told}); give every "
            "process the same model and dtype"
        )
    return Shards(tuple(each[0] for each in all_of_them), rank)


def agree_on_batch(
    rows: Tensor,
    problem: str | None,
    masks: dict[str, Tensor | None],
    gathered: bool,
) -> Shards:
    """`agree_on_shards`, and then that the masks of every process cover the whole batch.

    Raises:
        ValueError: as `agree_on_shards`; or a mask is not bool (B of all, B of all).
    """
    shards = agree_on_shards(rows, problem, gathered)
    given = {name: mask for name, mask in masks.items() if mask is not None}
    if given:
        problems = [mask_problem(name, mask, shards.total) for name, mask in given.items()]
        agree_on_shards(rows, next(filter(None, problems), None), gathered)
    return shards


def share_value(loss: Tensor, shards: Shards) -> Tensor:
    """The mean of all processes' losses as the value, this process's own as the gradient."""
    if len(shards.sizes) == 1:
        return loss
    own = loss.detach()
    whole = own.clone()
    dist.all_reduce(whole)
    return loss + (whole / len(shards.sizes) - own)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, shards: Shards) -> Tensor:
        ctx.shards = shards
        most = max(shards.sizes)  # all_gather wants equal shapes: pad, and cut again
        padded = tensor.new_zeros((most, *tensor.shape[1:]))
        padded[: len(tensor)] = tensor
        received = [torch.empty_like(padded) for _ in shards.sizes]
        dist.all_gather(received, padded)
        return torch.cat([part[:n] for part, n in zip(received, shards.sizes, strict=True)])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        # a reduce_scatter would send less, but gloo, which runs on any machine, has none
        gradient = gradients[0].contiguous().clone()
        dist.all_reduce(gradient)
        return gradient[ctx.shards.own], None
