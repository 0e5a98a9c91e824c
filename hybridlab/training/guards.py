"""What can go wrong in a step: numbers that are not finite, memory that does not suffice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn


class DivergedError(FloatingPointError):
    """A loss or a gradient is NaN or infinite."""


class MemoryAdvice(RuntimeError):
    """Memory did not suffice, even for one image at a time."""


def is_finite(value: Any) -> bool:
    """Whether all floating-point numbers in tensors, lists and mappings are finite."""
    if isinstance(value, Tensor):
        return not value.is_floating_point() or bool(value.isfinite().all())
    if isinstance(value, Mapping):
        return all(is_finite(each) for each in value.values())
    if isinstance(value, list | tuple):
        return all(is_finite(each) for each in value)
    if hasattr(value, "__dict__") and not isinstance(value, type | nn.Module):
        return all(is_finite(each) for each in vars(value).values())
    return True


LARGEST = 1e8  # no weight of a network that works is near it


def overgrown(module: nn.Module) -> str:
    """The first parameter of which a number is not finite or above `LARGEST`, in words; "" if none
    is. One step at an absurd rate leaves such weights, and a finite loss before it.
    """
    named = list(module.named_parameters())
    if not named:
        return ""
    most = torch.stack([each.detach().abs().amax().float() if each.numel() else torch.tensor(0.0)
                        for _, each in named])
    bad = (~(most <= LARGEST)).nonzero()[:, 0].tolist()
    return f"a weight of {named[bad[0]][0]} is {float(most[bad[0]]):.3g}" if bad else ""


def culprit(model: nn.Module, forward: Callable[[], object]) -> str:
    """Where the first numbers that are not finite come from, in words.

    Args:
        model: its modules are watched during `forward`, which is run once more.
    """
    for name, value in model.named_parameters():
        if not is_finite(value.detach()):
            return f"the weights {name} are not finite"
    found: list[str] = []
    names = {module: name for name, module in model.named_modules()}

    def look(module: nn.Module, given: Any, result: Any) -> None:
        if not found and not is_finite(result):
            where = names[module] or "the whole model"
            found.append(f"the input of {where} is not finite: look at the data of these rows"
                         if not is_finite(given) else f"they first come out of {where}")

    hooks = [module.register_forward_hook(look) for module in names]
    try:
        with torch.no_grad():
            forward()
    finally:
        for hook in hooks:
            hook.remove()
    if found:
        return found[0]
    return "all modules give finite numbers: they arise in the loss, or in its gradient"


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device's memory, or this machine's, did not suffice."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError)
        and any(words in str(error) for words in ("out of memory", "can't allocate memory"))
    )
