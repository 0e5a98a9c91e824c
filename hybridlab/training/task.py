"""What the trainer asks of the thing it trains: rows in, sums and counts out.

A mean over a batch that W processes share, or that is computed in parts, is the sum of all its sums
divided by the count of all (trap 15). So a task never gives means. Its counts come from the rows
alone, which every process knows, and need no communication.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from hybridlab.training.stage import Stage


class Task(Protocol):
    """Data, loss and score of a training."""

    n_samples: int
    """N, the rows to train on."""
    n_held: int
    """Rows to validate on; 0 for none."""
    rows_meet: bool
    """Whether the loss of a row depends on the others of its batch, as in CLIP's; such a batch
    cannot be computed in parts."""

    def describe(self) -> Mapping[str, Any]:
        """What a resumed run must agree with: sizes, names, hashes of the data; plain JSON."""

    def difficulty(self, name: str) -> tuple[float, ...]:
        """How hard each training row is, for a curriculum of that name."""

    def batch(self, rows: Tensor, stage: Stage, epoch: int) -> Any:
        """The data of training rows (b,), on the CPU. The same rows, stage and epoch give the same
        data, whoever asks, and in whatever company."""

    def counts(self, rows: Tensor, stage: Stage) -> Mapping[str, float]:
        """What each term of the loss is divided by, for all rows (B,) of a batch."""

    def sums(self, model: nn.Module, batch: Any, stage: Stage) -> Mapping[str, Tensor]:
        """Each term of the loss, as a sum over the given rows, which may be none."""

    def predict(self, model: nn.Module, rows: Tensor, stage: Stage) -> Tensor:
        """Scores (n, ...) of rows to validate on, which may be none."""

    def score(self, predictions: Tensor) -> float:
        """How good the scores (n_held, ...) are; higher is better."""


class Step(nn.Module):
    """A model and its loss as one module, so that whatever wraps it (several processes, half
    precision, a compiler) sees one forward.

    Shape:
        batch of a task -> scalar: the weighted sum of sum / count over the terms
    """

    def __init__(self, model: nn.Module, task: Task, stage: Stage):
        super().__init__()
        self.model, self.task, self.stage = model, task, stage

    def forward(self, batch: Any, counts: Mapping[str, float]) -> tuple[Tensor, dict[str, Tensor]]:
        sums = self.task.sums(self.model, batch, self.stage)
        if sums.keys() != counts.keys():
            raise ValueError(
                f"the task sums {', '.join(sums)} but counts {', '.join(counts)}; give the same"
            )
        weights = self.stage.weights
        named = {name for name, weight in weights.items() if weight}  # 0 leaves a term out
        if strange := sorted(named - sums.keys()):
            raise ValueError(
                f"stage {self.stage.name!r} weighs {', '.join(strange)}, which the task does not "
                f"sum; it sums {', '.join(sums)}"
            )
        terms = {name: value / max(counts[name], 1) for name, value in sums.items()}
        loss = torch.stack([weights.get(name, 1.0) * each for name, each in terms.items()]).sum()
        return loss, {name: each.detach() for name, each in terms.items()}


def annotations_hash(*splits: Tensor) -> str:
    """Names the annotations of several splits (N, L) exactly, for `Task.describe`."""
    data = hashlib.sha256()
    for targets in splits:
        data.update(targets.to(torch.int8).contiguous().numpy().tobytes())
    return data.hexdigest()[:16]


def pictures_hash(*splits: Tensor | None) -> str:
    """Names the pictures of several splits (N, 3, H, W) uint8 exactly; those that are not there
    have a name, too."""
    data = hashlib.sha256()
    for images in splits:
        data.update(b"none" if images is None else images.contiguous().numpy().data)
    return data.hexdigest()[:16]


def label_counts(targets: Tensor) -> tuple[float, ...]:
    """How many labels each image of a split (N, L) has: a curriculum's "labels"."""
    return tuple((targets > 0).sum(dim=1).tolist())


def zero_of(module: nn.Module) -> Tensor:
    """0, with gradients of 0 on all of a module: the loss of a process whose share is empty."""
    return 0.0 * torch.stack([each.sum() for each in module.parameters()]).sum()
