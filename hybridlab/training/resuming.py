"""What a checkpoint of a training holds besides the model's weights, and how it is taken up again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from hybridlab.training.averaging import MovingAverage
from hybridlab.training.checkpoints import (
    CheckpointStore,
    Snapshot,
    optimiser_tensors,
    restore_optimiser,
)
from hybridlab.training.processes import each_ones
from hybridlab.training.randomness import random_states, restore_random_states
from hybridlab.training.stage import Stage
from hybridlab.training.task import Task

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Tensors = dict[str, Tensor]


class ResumeError(ValueError):
    """A checkpoint that does not belong to this run; the differences are listed."""


@dataclass
class Progress:
    """How far a training has come.

    Attributes:
        stage, epoch, batch: the next batch to be computed.
        step: steps taken, over all stages.
        best, best_score: what learnt, at its best epoch of this stage, and its score; NaN before
            there is one.
        worse: epochs since then.
        parts: stage -> parts in which a batch is computed.
    """

    stage: int = 0
    epoch: int = 0
    batch: int = 0
    step: int = 0
    worse: int = 0
    best_score: float = math.nan
    parts: dict[int, int] = field(default_factory=dict)
    best: Tensors = field(default_factory=dict)

    def next_epoch(self) -> None:
        """Go to the first batch of the epoch after this."""
        self.epoch, self.batch = self.epoch + 1, 0

    def next_stage(self) -> None:
        """Go to the first batch of the stage after this."""
        self.stage, self.epoch, self.batch = self.stage + 1, 0, 0
        self.worse, self.best_score, self.best = 0, math.nan, {}


@dataclass(frozen=True)
class Learner:
    """What learns in a stage, and what makes it learn.

    Attributes:
        modules: that learn.
        optimiser: the plain one, that keeps the moments.
        wrapped, stepper: model with loss, and optimiser, as the devices have them.
        names: parameter of the model -> its name.
        average: of the modules; None for none.
    """

    modules: nn.ModuleDict
    optimiser: torch.optim.Optimizer
    wrapped: Any
    stepper: Any
    names: Mapping[Tensor, str]
    average: MovingAverage | None = None

    def best_weights(self) -> Tensors:
        """A copy of what would be kept of this epoch: the average, where there is one."""
        source = self.average.weights if self.average else self.modules.state_dict()
        return {name: value.detach().clone() for name, value in source.items()}


def settings_of(model: nn.Module, task: Task, stages: Sequence[Stage], seed: int) -> dict[str, Any]:
    """What a run that is resumed must have in common with the one that was stopped; plain data."""
    return {
        "seed": seed,
        "task": {"rows": task.n_samples, **task.describe()},
        "stages": [each.to_dict() for each in stages],
        "parameters": {name: list(value.shape) for name, value in model.named_parameters()},
    }


def save_training(
    store: CheckpointStore, model: nn.Module, learner: Learner, progress: Progress,
    settings: Mapping[str, Any], fabric: Fabric, score: float | None = None,
) -> None:
    """Write a checkpoint. All processes call it, for each has noise of its own; the first writes,
    and the others wait for it.

    Args:
        score: of the epoch that ends here; the checkpoint with the highest is kept, too.
    """
    states = random_states()
    noise = each_ones(fabric, states["torch"])
    cuda = each_ones(fabric, torch.cuda.get_rng_state(fabric.device)) if (
        fabric.device.type == "cuda") else []
    if fabric.is_global_zero:
        parts: dict[str, Mapping[str, Tensor]] = {
            "optimiser": optimiser_tensors(learner.optimiser, learner.names),
            "average": learner.average.state_dict() if learner.average else {},
            "best": progress.best,
            "random": states,
            "noise": {str(rank): value for rank, value in enumerate(noise)},
            "cuda_noise": {str(rank): value for rank, value in enumerate(cuda)},
        }
        at = asdict(progress)
        del at["best"]
        store.save(progress.step, Snapshot(
            model.state_dict(),
            {f"{part}.{key}": value for part, tensors in parts.items()
             for key, value in tensors.items()},
            {"progress": at, "processes": len(noise), "threads": torch.get_num_threads(),
             "settings": settings, "scaler": fabric._precision.state_dict(),
             "precision": fabric._precision.precision},
        ), score)
    fabric.barrier()


def saved_training(
    store: CheckpointStore, settings: Mapping[str, Any], fabric: Fabric, say: Callable[[str], None],
) -> tuple[Snapshot, Progress] | None:
    """The newest checkpoint that is whole, and how far it had come; None if there is none.

    Raises:
        ResumeError: it is of another run.
        DamagedCheckpointError: there are some, and none is whole.
    """
    found = store.latest()
    if found is None:
        return None
    for line in found.passed_over:
        say(f"passed over: {line}; going on from step {found.step}")
    facts = found.snapshot.facts
    if changed := differences(facts["settings"], settings):
        raise ResumeError(
            f"the checkpoint in {store.folder} is of another run: {'; '.join(changed)}. Resume "
            "with the same settings, or begin in another folder"
        )
    if facts["processes"] != fabric.world_size:
        say(
            f"the checkpoint is of {facts['processes']} processes and this run has "
            f"{fabric.world_size}: batches and steps stay the same, dropout draws anew"
        )
    elif facts["threads"] != torch.get_num_threads() and fabric.device.type == "cpu":
        say(
            f"the checkpoint is of a run on {facts['threads']} threads and this one is on "
            f"{torch.get_num_threads()}: sums may differ in their last bit; OMP_NUM_THREADS="
            f"{facts['threads']} makes it go on bit for bit"
        )
    then, now = facts.get("precision"), fabric._precision.precision
    if then is not None and then != now:
        say(f"the checkpoint is of a run in {then} and this one is in {now}: it goes on, but not "
            "as it would have")
    told = dict(facts["progress"])
    told["parts"] = {int(stage): parts for stage, parts in told["parts"].items()}
    if told["best_score"] is None:
        told["best_score"] = math.nan
    best = _under("best", found.snapshot.training)
    return found.snapshot, Progress(**told, best=best)


def restore_learner(saved: Snapshot, learner: Learner, fabric: Fabric) -> None:
    """Give optimiser, average and scaler back what they had."""
    restore_optimiser(learner.optimiser, learner.names, _under("optimiser", saved.training))
    if learner.average is not None:
        learner.average.load_state_dict(_under("average", saved.training))
    if saved.facts["scaler"]:  # of half precision alone; a run in another has none to go on with
        fabric._precision.load_state_dict(saved.facts["scaler"])


def restore_noise(saved: Snapshot, fabric: Fabric) -> None:
    """Bring this process's generators back to where they were; with another number of processes
    there is nothing to go back to."""
    if saved.facts["processes"] == fabric.world_size:
        own = _under("noise", saved.training)[str(fabric.global_rank)]
        restore_random_states({**_under("random", saved.training), "torch": own})
        cuda = _under("cuda_noise", saved.training).get(str(fabric.global_rank))
        if cuda is not None and fabric.device.type == "cuda":
            torch.cuda.set_rng_state(cuda.cpu(), fabric.device)


def differences(saved: Any, wanted: Any, where: str = "") -> list[str]:
    """What differs between two pieces of plain data, one line for each place."""
    if isinstance(saved, Mapping) and isinstance(wanted, Mapping):
        return [
            line for key in {**saved, **wanted}
            for line in differences(saved.get(key), wanted.get(key), f"{where}.{key}".lstrip("."))
        ]
    if isinstance(saved, list | tuple) and isinstance(wanted, list | tuple) and (
        len(saved) == len(wanted)
    ):
        return [
            line for at, (one, two) in enumerate(zip(saved, wanted, strict=True))
            for line in differences(one, two, f"{where}[{at}]")
        ]
    return [] if saved == wanted else [f"{where} was {saved} and is {wanted}"]


def _under(part: str, tensors: Mapping[str, Tensor]) -> Tensors:
    return {key.removeprefix(f"{part}."): value for key, value in tensors.items()
            if key.startswith(f"{part}.")}
