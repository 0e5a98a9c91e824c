"""What several processes of one training have to agree on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hybridlab.training.sampling import own_share
from hybridlab.training.stage import Stage
from hybridlab.training.task import Task

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def summed(fabric: Fabric, values: Sequence[float]) -> list[float]:
    """Each number, added up over all processes."""
    if fabric.world_size == 1:
        return list(values)
    found = fabric.all_reduce(torch.tensor(values, device=fabric.device), reduce_op="sum")
    assert isinstance(found, Tensor)
    return found.tolist()


def each_ones(fabric: Fabric, value: Tensor) -> list[Tensor]:
    """The tensor of each process, in their order; all must have one shape."""
    if fabric.world_size == 1:
        return [value]
    found = fabric.all_gather(value.to(fabric.device))
    assert isinstance(found, Tensor)
    return list(found.cpu())


@torch.no_grad()
def held_predictions(model: nn.Module, task: Task, stage: Stage, fabric: Fabric) -> Tensor:
    """Scores (n_held, ...) of all held rows, on every process, with the model at rest.

    Each row is computed by one process. Samplers that give all processes equally many rows count
    some twice, and move the score.
    """
    modes = {module: module.training for module in model.modules()}
    for module in modes:
        module.training = False
    rows, world = torch.arange(task.n_held), fabric.world_size
    own = task.predict(model, own_share(rows, fabric.global_rank, world), stage).float().cpu()
    for module, mode in modes.items():
        module.training = mode
    padded = own.new_zeros(math.ceil(task.n_held / world), *own.shape[1:])
    padded[: len(own)] = own
    whole = own.new_empty(task.n_held, *own.shape[1:])
    for rank, found in enumerate(each_ones(fabric, padded)):
        its = own_share(rows, rank, world)
        whole[its] = found[: len(its)]
    return whole
