"""The data of the batches to come, made ahead of time by worker processes, or when asked for.

A task's batch depends on rows, stage and epoch alone, so workers make the same data as the process
itself would, in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from hybridlab.training.stage import Stage
from hybridlab.training.task import Task


class Ahead:
    """Data of pieces of batches, one after another.

    Args:
        pieces: rows (b,) of each, in the order in which they will be asked for.
        workers: processes that make them; 0 makes each when it is asked for.
        pin: into memory that a GPU reads fast.
    """

    def __init__(
        self, task: Task, stage: Stage, epoch: int, pieces: Sequence[Tensor], workers: int = 0,
        pin: bool = False,
    ):
        self.task, self.stage, self.epoch = task, stage, epoch
        self.pieces = list(pieces) if workers else []
        self.made: Iterator[Any] = iter(DataLoader(
            _Pieces(task, stage, epoch, self.pieces), batch_size=None, num_workers=workers,
            pin_memory=pin,
            generator=torch.Generator(),  # else it draws from the generator of dropout
        )) if workers else iter(())

    def __call__(self, rows: Tensor) -> Any:
        """The data of the rows. Other rows than those that are next, because a batch is computed in
        more parts than was foreseen, are made here, as are all after them."""
        if self.pieces and torch.equal(self.pieces[0], rows):
            del self.pieces[0]
            return next(self.made)
        self.pieces = []
        return self.task.batch(rows, self.stage, self.epoch)


class _Pieces(Dataset):
    def __init__(self, task: Task, stage: Stage, epoch: int, pieces: Sequence[Tensor]):
        self.task, self.stage, self.epoch, self.pieces = task, stage, epoch, list(pieces)

    def __len__(self) -> int:
        return len(self.pieces)

    def __getitem__(self, at: int) -> Any:
        return self.task.batch(self.pieces[at], self.stage, self.epoch)


def in_parts(rows: Tensor, parts: int) -> list[Tensor]:
    """Rows in as many parts as asked for, or as there are rows; one, if there are none."""
    return list(rows.tensor_split(min(parts, max(1, len(rows)))))
