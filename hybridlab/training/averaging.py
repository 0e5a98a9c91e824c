"""The moving average of the weights (EMA): what is validated, kept and shipped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class MovingAverage:
    """An exponential moving average of a module's weights and buffers.

    average <- decay * average + (1 - decay) * weights, after each step. With a fixed decay the
    first weights, which are random, would stay in it for 1 / (1 - decay) steps; `warm` begins with
    a smaller one, min(decay, (1 + t) / (10 + t)) at step t, as TensorFlow's average does. Counters
    (BatchNorm's number of batches) are copied.

    Args:
        module: as it is now; it is neither kept nor changed.
        decay: in [0, 1); 0 keeps the last weights.

    Raises:
        ValueError: `decay` outside [0, 1).
    """

    def __init__(self, module: nn.Module, decay: float = 0.999, warm: bool = True):
        if not 0 <= decay < 1:
            raise ValueError(f"decay is {decay}; give a number from 0 to below 1, such as 0.999")
        self.decay, self.warm, self.steps = decay, warm, 0
        self.weights = {name: value.detach().clone()
                        for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Take in the weights after a step.

        Raises:
            ValueError: another module; the names that differ are told.
        """
        state = module.state_dict()
        if strange := sorted(state.keys() ^ self.weights.keys()):
            raise ValueError(
                f"{len(strange)} names differ from those of the average, such as {strange[0]!r}; "
                "make a new average for another module"
            )
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps)) if self.warm else self.decay
        for name, value in state.items():
            if value.dtype.is_floating_point:
                self.weights[name].lerp_(value.to(self.weights[name].dtype), 1 - decay)
            else:
                self.weights[name].copy_(value)
        self.steps += 1

    @contextmanager
    def swapped_in(self, module: nn.Module) -> Iterator[None]:
        """The module with averaged weights for the length of a block; then its own come back, also
        after an error."""
        own = {name: value.detach().clone() for name, value in module.state_dict().items()}
        module.load_state_dict(self.weights)
        try:
            yield
        finally:
            module.load_state_dict(own)

    def state_dict(self) -> dict[str, Tensor]:
        """Weights by their names, and the steps taken."""
        return {**self.weights, "__steps__": torch.tensor(self.steps)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from `state_dict`.

        Raises:
            ValueError: names or shapes differ.
        """
        given = dict(state)
        steps = given.pop("__steps__", None)
        if steps is None or given.keys() != self.weights.keys() or any(
            given[name].shape != value.shape for name, value in self.weights.items()
        ):
            raise ValueError("this is the average of another module; its names or shapes differ")
        self.weights = {name: given[name].to(value.device, copy=True)  # a file comes on the CPU
                        for name, value in self.weights.items()}
        self.steps = int(steps)
