"""Switches that make a step faster and change nothing else: memory layout and compilation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from hybridlab.encoders.clip import ClipEncoder
from hybridlab.encoders.cnn import CNNEncoder


def with_channels_last(model: nn.Module) -> nn.Module:
    """Let convolutions keep their weights as they read them fastest; in place. On two CPU cores
    Lite0 takes about half the time."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.to(memory_format=torch.channels_last)
    return model


def encoder_bodies(model: nn.Module) -> list[nn.Module]:
    """The parts of encoders in which the time goes, and which are called as modules: of a CNN its
    trunk, of a tower its blocks."""
    found: list[nn.Module] = []
    for module in model.modules():
        if isinstance(module, CNNEncoder):
            found.append(module.trunk)
        elif isinstance(module, ClipEncoder):
            vision = module.vision
            inner = getattr(vision, "trunk", vision)
            found += [part for name, part in inner.named_children()
                      if name in ("blocks", "stages", "transformer")]
    return found


def compiled(
    modules: Sequence[nn.Module], trial: Callable[[], object], say: Callable[[str], None]
) -> bool:
    """Compile modules in place, their names and weights untouched; without, if that fails.

    Compiling needs a C++ compiler on a CPU and Triton on a GPU, and may fail on a model of which it
    does not understand something. So it is tried before it is relied on.

    Args:
        trial: runs the modules forward and backward; noise and gradients are its caller's to put
            back.
        say: is told why it failed.

    Returns:
        whether they are compiled.
    """
    for module in modules:
        module.compile()
    try:
        trial()
    except Exception as error:  # whatever it is, it comes from compiling: the trial works without
        for module in modules:
            module._compiled_call_impl = None
        torch._dynamo.reset()
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        say(f"compiling failed ({reason}); going on without")
        return False
    return True
