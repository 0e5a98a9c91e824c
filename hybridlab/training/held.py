"""What stages share: a split to be validated on, and modules that depend on a seed alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from hybridlab.evaluation.metrics import mean_ap

ModuleT = TypeVar("ModuleT", bound=nn.Module)


@dataclass(frozen=True)
class Held:
    """What a stage is validated on: its inputs, in the stage's own form, and targets (N, L)."""

    inputs: tuple[Any, ...]
    targets: Tensor

    def score(self, logits: Tensor) -> float:
        """Mean average precision of (N, L) logits or probabilities."""
        return mean_ap(logits.numpy(), self.targets.numpy()).value


def seeded(seed: int, build: Callable[[], ModuleT]) -> ModuleT:
    """Build a module with weights that depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()
