"""Which images make up each batch: a function of seed and epoch, shared out among processes.

Nothing here has a state. A run that is resumed asks for the same epoch again and goes on at the
batch where it stopped; W processes take every W-th image of the same batches that one would have.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


def epoch_order(n_samples: int, seed: int, epoch: int, turn: int = 0) -> Tensor:
    """All N rows in an order (N,) of its own for each seed, epoch, and turn within an epoch."""
    drawn = np.random.SeedSequence([seed, epoch, turn]).generate_state(1, np.uint64)[0]
    generator = torch.Generator().manual_seed(int(drawn >> 1))
    return torch.randperm(n_samples, generator=generator)


@dataclass(frozen=True)
class Curriculum:
    """Easy images first: only a share of them is drawn from, which grows to all (Bengio et al.
    2009; seed 001 for the length of captions).

    A curriculum by label count shows other label frequencies in its first epochs (trap 17), so
    every epoch has as many steps as without it: compare at an equal number of steps.

    Attributes:
        difficulty: one number for each of the N rows, such as its count of labels; more is harder.
        begin: the share that is admitted at the start, in (0, 1].
        full: the share of the training after which all rows are admitted, in [0, 1].
        seed: decides among rows that are equally hard.

    Raises:
        ValueError: no rows, a difficulty that is not finite, or a share out of its range.
    """

    difficulty: tuple[float, ...]
    begin: float = 0.3
    full: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.difficulty or not np.isfinite(self.difficulty).all():
            raise ValueError("difficulty must be a finite number for each row, of one or more")
        if not 0 < self.begin <= 1:
            raise ValueError(f"begin is {self.begin}; give a share above 0, up to 1")
        if not 0 <= self.full <= 1:
            raise ValueError(f"full is {self.full}; give a share of the training, from 0 to 1")

    def share(self, progress: float) -> float:
        """The share of rows that is admitted, growing evenly from `begin` to 1."""
        if progress >= self.full:
            return 1.0
        return self.begin + (1 - self.begin) * progress / self.full

    def admitted(self, progress: float) -> Tensor:
        """The easiest rows (A,), in their order of rows; at least one.

        Args:
            progress: share of the training that is done, in [0, 1].

        Raises:
            ValueError: progress outside [0, 1].
        """
        if not 0 <= progress <= 1:
            raise ValueError(f"progress is {progress}; give a share of the training, from 0 to 1")
        n_samples = len(self.difficulty)
        count = min(n_samples, max(1, math.ceil(self.share(progress) * n_samples - 1e-9)))
        lots = np.random.default_rng(self.seed).permutation(n_samples)
        easy = np.lexsort((lots, np.asarray(self.difficulty)))[:count]
        return torch.from_numpy(np.sort(easy).copy())


def epoch_rows(
    n_samples: int, seed: int, epoch: int, curriculum: Curriculum | None = None,
    progress: float = 0.0,
) -> Tensor:
    """The N rows (N,) that an epoch goes through.

    Without a curriculum, and once it admits all rows, each row comes once, in the order of
    `epoch_order`. Before, those that are admitted come again and again, each as often as any other
    or once more, until there are N.

    Raises:
        ValueError: no rows, or a curriculum for another number of rows.
    """
    if n_samples < 1:
        raise ValueError("there are no rows to draw from; give a data set of 1 image or more")
    if curriculum is None:
        return epoch_order(n_samples, seed, epoch)
    if len(curriculum.difficulty) != n_samples:
        raise ValueError(
            f"the curriculum ranks {len(curriculum.difficulty)} rows and there are {n_samples}; "
            "give one difficulty for each row"
        )
    admitted = curriculum.admitted(progress)
    turns = math.ceil(n_samples / len(admitted))
    rows = [admitted[epoch_order(len(admitted), seed, epoch, turn)] for turn in range(turns)]
    return torch.cat(rows)[:n_samples]


def batches(rows: Tensor, batch_size: int) -> list[Tensor]:
    """Rows in batches of `batch_size`; the last one may be smaller.

    Raises:
        ValueError: `batch_size` below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; give 1 or more")
    return list(rows.split(batch_size))


def own_share(batch: Tensor, rank: int, world: int) -> Tensor:
    """The rows of a global batch that one of W processes computes: every W-th.

    The shares make up the batch with nothing twice. One may be empty, where the batch has fewer
    rows than there are processes: a mean over the batch has to be a sum divided by the count of all
    (trap 15).

    Raises:
        ValueError: a rank outside 0 to world - 1.
    """
    if not 0 <= rank < world:
        raise ValueError(f"rank is {rank} of {world} processes; expected 0 to {world - 1}")
    return batch[rank::world]
