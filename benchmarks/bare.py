"""A bare PyTorch loop: what anybody would write who needs nothing but the steps."""

from __future__ import annotations

import torch
from torch import nn

from hybridlab.training.freezing import only_these_learn
from hybridlab.training.parameter_groups import parameter_groups
from hybridlab.training.sampling import batches, epoch_rows
from hybridlab.training.schedules import share_at
from hybridlab.training.stage import Stage
from hybridlab.training.task import Step, Task


def bare_loop(model: nn.Module, task: Task, stage: Stage, seed: int = 0) -> list[float]:
    """The same steps as the trainer's, on one device; its losses."""
    with only_these_learn(model, stage.parts) as modules:
        optimiser = torch.optim.AdamW(parameter_groups(
            [(module, part.lr, part.layer_decay)
             for part, module in zip(stage.parts, modules.values(), strict=True)],
            stage.weight_decay,
        ))
        step, losses, learning = Step(model, task, stage), [], list(modules.parameters())
        steps = stage.epochs * -(-task.n_samples // stage.batch_size)
        for epoch in range(stage.epochs):
            for rows in batches(epoch_rows(task.n_samples, seed, epoch), stage.batch_size):
                share = share_at(stage.schedule, len(losses), steps, stage.warmup)
                for group in optimiser.param_groups:
                    group["lr"] = group["peak"] * share
                optimiser.zero_grad()
                loss, _ = step(task.batch(rows, stage, epoch), task.counts(rows, stage))
                loss.backward()
                nn.utils.clip_grad_norm_(learning, stage.clip)
                optimiser.step()
                losses.append(loss.item())
    return losses
