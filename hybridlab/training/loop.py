"""The loop: shuffle, step, report. Every stage of the course trains through it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hybridlab.training.schedules import warmup_cosine


@dataclass(frozen=True)
class Progress:
    """Where a stage stands after one step."""

    stage: str
    step: int
    steps: int
    loss: float


Report = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """Report to nobody."""


@torch.enable_grad()
def train(
    stage: str,
    groups: Iterable[tuple[nn.Module, float]],
    loss_of: Callable[[Tensor], Tensor],
    n_samples: int,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    weight_decay: float = 0.01,
    validate: Callable[[], float] | None = None,
    report: Report = silent,
) -> float:
    """Train modules with AdamW, warm-up and cosine; with `validate`, keep the best epoch.

    It does so inside a caller's `torch.no_grad()`, too: what is trained when it is first asked for
    may be asked for there.

    Args:
        stage: a name for progress and errors.
        groups: (module, peak learning rate) pairs; parameters that do not require a gradient are
            left out of the optimiser (trap 15).
        loss_of: row numbers (B,) long -> scalar loss. It closes over the data.
        n_samples: N rows to shuffle anew each epoch.
        epochs: passes over the rows; 0 trains nothing.
        seed: of the shuffling and of dropout; the caller's random state is left as it was.
        validate: called after each epoch with the modules in eval; returns a score, higher is
            better. At the end the trained modules hold the weights of the best epoch.
        report: called after each step.

    Returns:
        The best score, or NaN without `validate` or without any epoch.

    Raises:
        FloatingPointError: the loss is NaN or infinite; names the stage and step.
    """
    groups = list(groups)
    best, kept = float("nan"), None
    settings: list[dict[str, Any]] = []
    for module, peak in groups:
        parameters = [p for p in module.parameters() if p.requires_grad]
        if parameters:
            settings.append({"params": parameters, "lr": peak, "peak": peak})
    if not settings or epochs == 0 or n_samples == 0:
        return best
    optimiser = torch.optim.AdamW(settings, weight_decay=weight_decay)
    shuffle = torch.Generator().manual_seed(seed)
    per_epoch = math.ceil(n_samples / batch_size)
    steps = epochs * per_epoch
    step = 0
    with torch.random.fork_rng(devices=[]):  # dropout draws from the global generator
        torch.manual_seed(seed)
        for _ in range(epochs):
            order = torch.randperm(n_samples, generator=shuffle)
            for rows in order.split(batch_size):
                share = warmup_cosine(step, steps)
                for group in optimiser.param_groups:
                    group["lr"] = group["peak"] * share
                loss = loss_of(rows)
                value = float(loss.detach())
                if not math.isfinite(value):
                    raise FloatingPointError(
                        f"{stage}: the loss is {value} at step {step}; look for NaN in the data "
                        "or lower the learning rate"
                    )
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_([p for g in settings for p in g["params"]], 1.0)
                optimiser.step()
                step += 1
                report(Progress(stage, step, steps, value))
            if validate is not None:
                score = _in_eval([module for module, _ in groups], validate)
                if kept is None or score > best:
                    best, kept = score, [_copy(module) for module, _ in groups]
    if kept is not None:
        for (module, _), state in zip(groups, kept, strict=True):
            module.load_state_dict(state)
    return best


def _in_eval(modules: list[nn.Module], validate: Callable[[], float]) -> float:
    """The score with dropout at rest; every part goes on in the mode it was in."""
    modes = [(part, part.training) for module in modules for part in module.modules()]
    for part, _ in modes:
        part.training = False
    with torch.no_grad():
        score = validate()
    for part, training in modes:
        part.training = training
    return score


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}
