"""Frozen means frozen, and is checked: no gradients, no statistics, not in the optimiser (trap 15).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hybridlab.training.stage import Part


class FrozenChangedError(RuntimeError):
    """Something that should rest was changed."""


def modules_of(model: nn.Module, parts: Sequence[Part]) -> nn.ModuleDict:
    """The modules of a stage, by their numbers.

    Raises:
        ValueError: the model has no such module; its own are listed.
    """
    found = nn.ModuleDict()
    for number, part in enumerate(parts):
        try:
            found[str(number)] = model.get_submodule(part.module)
        except AttributeError as error:
            known = ", ".join(name for name, _ in model.named_children())
            raise ValueError(
                f"the model has no part {part.module!r}; it has {known}, and what is in them"
            ) from error
    return found


@contextmanager
def only_these_learn(model: nn.Module, parts: Sequence[Part]) -> Iterator[nn.ModuleDict]:
    """Set what learns and what rests, for the length of a block; then all is as it was.

    What learns needs gradients and is in training mode, though its BatchNorms keep their
    statistics unless the part says otherwise; all else needs none and is in eval mode.
    """
    learning = modules_of(model, parts)
    needed = {parameter: parameter.requires_grad for parameter in model.parameters()}
    modes = {module: module.training for module in model.modules()}
    try:
        _set(model, parts, learning)
        yield learning
    finally:
        for parameter, need in needed.items():
            parameter.requires_grad_(need)
            parameter.grad = None
        for module, mode in modes.items():
            module.training = mode


def _set(model: nn.Module, parts: Sequence[Part], learning: nn.ModuleDict) -> None:
    model.requires_grad_(False)
    for module in model.modules():
        module.training = False
    for part, module in zip(parts, learning.values(), strict=True):
        module.requires_grad_(True)
        for each in module.modules():
            each.training = part.statistics or not isinstance(each, _BatchNorm)


class FrozenCheck:
    """Tells whether parameters or statistics that rest have been written to.

    Every tensor counts the writes to it, so the check costs no copy and no comparison.

    Args:
        model: with what rests already set to rest.
        learning: the modules that learn.
        optimiser: may hold nothing that rests.
    """

    def __init__(
        self, model: nn.Module, learning: nn.ModuleDict, optimiser: torch.optim.Optimizer
    ):
        own = {id(each) for each in (*learning.parameters(), *learning.buffers())}
        learns = set(learning.modules())
        self.optimiser = optimiser
        self.resting = {name: value for name, value in _tensors(model) if id(value) not in own}
        self.modules = [
            (name, module) for name, module in model.named_modules()
            if module not in learns and isinstance(module, _BatchNorm | nn.Dropout)
        ]
        self.writes = {name: value._version for name, value in self.resting.items()}

    def __call__(self) -> None:
        """Look.

        Raises:
            FrozenChangedError: names what was changed, or would be.
        """
        held = {id(each) for group in self.optimiser.param_groups for each in group["params"]}
        for name, value in self.resting.items():
            why = ""
            if value._version != self.writes[name]:
                why = "was written to"
            elif value.requires_grad:
                why = "needs gradients"
            elif id(value) in held:
                why = "is in the optimiser"
            if why:
                raise FrozenChangedError(
                    f"{name} should rest in this stage, but {why} (trap 15); change nothing of a "
                    "stage while it runs"
                )
        for name, module in self.modules:
            if module.training:
                raise FrozenChangedError(
                    f"{name} should rest in this stage, but is in training mode (trap 15): do not "
                    "call train() on the whole model"
                )


def _tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()
