"""The trainer: stages one after another, on whatever devices `fabric` has, resumed at any step.

The loop is `_Run.stage`; everything it calls is in a file of its own. One step of it:

    rows of the batch -> own share -> forward, backward (in parts) -> clip -> step -> average
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
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
from hybridlab.training.freezing import FrozenCheck, only_these_learn
from hybridlab.training.guards import DivergedError, MemoryAdvice, culprit, out_of_memory
from hybridlab.training.interrupts import Stop, stop_on_signals
from hybridlab.training.parameter_groups import parameter_groups
from hybridlab.training.processes import each_ones, held_predictions, summed
from hybridlab.training.randomness import random_states, restore_random_states, seeded_everywhere
from hybridlab.training.sampling import Curriculum, batches, epoch_rows, own_share
from hybridlab.training.schedules import share_at
from hybridlab.training.stage import Stage
from hybridlab.training.task import Step, Task

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Tensors = dict[str, Tensor]
Names = Mapping[Tensor, str]


@dataclass(frozen=True)
class StepReport:
    """What one step did.

    Attributes:
        stage, epoch, step: where it was; `step` counts over all stages, from 1.
        steps: of all stages.
        loss, terms: of the whole batch, over all processes.
        lr: rate of the last layers of the first part.
        norm: of the gradient, before it was clipped; NaN where it is not known.
        rows: B.
    """

    stage: str
    epoch: int
    step: int
    steps: int
    loss: float
    terms: Mapping[str, float]
    lr: float
    norm: float
    rows: int


@dataclass(frozen=True)
class EpochReport:
    """What an epoch ended with: the score on the held rows, and whether it is the stage's best."""

    stage: str
    epoch: int
    step: int
    score: float
    best: bool


Report = Callable[[StepReport | EpochReport], None]


class StoppedError(Exception):
    """Somebody asked the run to stop; it was saved at the end of a step."""


class ResumeError(ValueError):
    """A checkpoint that does not belong to this run; the differences are listed."""


@dataclass
class Position:
    """The next batch to be computed."""

    stage: int = 0
    epoch: int = 0
    batch: int = 0
    step: int = 0


def train_stages(
    model: nn.Module,
    task: Task,
    stages: Sequence[Stage],
    fabric: Fabric,
    *,
    seed: int = 0,
    store: CheckpointStore | None = None,
    save_every: int = 0,
    resume: bool = False,
    report: Report = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
    stop: Stop | None = None,
) -> nn.Module:
    """Train a model stage by stage; at the end of each, what learnt holds its best epoch's weights.

    The caller's random state is left as it was. With dropout, several processes draw other noise
    than one; without, they follow the same curve.

    Args:
        model: trained in place.
        fabric: launched; carries devices, precision and processes.
        seed: of the order of rows and of dropout.
        store: where checkpoints go: at the end of every epoch, and before leaving.
        save_every: and after so many steps; 0 for never.
        resume: go on from the newest whole checkpoint, if there is one; it must be of the same
            stages, task and seed.
        report: called by the first process after each step and epoch.
        say: is told, line by line, of what is not as expected.
        stop: asks to leave; SIGTERM and SIGUSR1 do so, too.

    Returns:
        the model.

    Raises:
        ResumeError: the checkpoint is of another run; the differences are listed.
        DamagedCheckpointError: no checkpoint is whole.
        DivergedError: a number is not finite; names the stage, the step, rows and module. The
            checkpoints before it are untouched.
        MemoryAdvice: memory did not suffice for a single image.
        StoppedError: after a signal.
        FrozenChangedError: something that should rest was changed.
    """
    run = _Run(model, task, list(stages), fabric, seed, store, save_every, report, say,
               stop or Stop())
    own_seed = seed * 1009 + fabric.global_rank
    with seeded_everywhere(own_seed), torch.enable_grad(), stop_on_signals(run.stop):
        saved = run.saved() if resume and store is not None else None
        for index in range(run.at.stage, len(run.stages)):
            run.stage(index, saved)
            saved = None
    return model


class _Run:
    """A training as it stands."""

    def __init__(
        self, model: nn.Module, task: Task, stages: list[Stage], fabric: Fabric, seed: int,
        store: CheckpointStore | None, save_every: int, report: Report,
        say: Callable[[str], None], stop: Stop,
    ):
        self.model, self.task, self.stages, self.fabric = model, task, stages, fabric
        self.seed, self.store, self.save_every = seed, store, save_every
        self.report = report if fabric.is_global_zero else lambda _: None
        self.say = say if fabric.is_global_zero else lambda _: None
        self.stop = stop
        self.at = Position()
        self.steps = sum(each.epochs * self._per_epoch(each) for each in stages)
        self.best: Tensors = {}
        self.best_score, self.worse = math.nan, 0
        self.doubled: dict[int, int] = {}  # stage -> parts of a batch, where memory asked for more

    def _per_epoch(self, stage: Stage) -> int:
        return math.ceil(self.task.n_samples / stage.batch_size)

    # one stage

    def stage(self, index: int, saved: Snapshot | None) -> None:
        """Train one stage, from `self.at` on."""
        stage = self.stages[index]
        if stage.epochs == 0:
            self.at = Position(index + 1, 0, 0, self.at.step)
            return
        with only_these_learn(self.model, stage.parts) as learning:
            optimiser = torch.optim.AdamW(self._groups(stage, learning))
            wrapped, stepper = self.fabric.setup(Step(self.model, self.task, stage), optimiser)
            check = FrozenCheck(self.model, learning, optimiser)
            average = MovingAverage(learning, stage.ema) if stage.ema else None
            names: Names = {value: name for name, value in self.model.named_parameters()}
            if saved is not None:
                self._restore(saved, optimiser, average, names)
            kept = (optimiser, average, names)
            while self.at.epoch < stage.epochs and not self._patience_is_over(stage):
                self._epoch(stage, wrapped, stepper, learning, kept, saved)
                saved = None
                check()
                self._end_of_epoch(stage, learning, kept)
            if self.best:
                learning.load_state_dict(self.best)
            elif average is not None:
                learning.load_state_dict(average.weights)
        self.best, self.best_score, self.worse = {}, math.nan, 0
        self.at = Position(index + 1, 0, 0, self.at.step)

    def _groups(self, stage: Stage, learning: nn.ModuleDict) -> list[dict[str, Any]]:
        return parameter_groups(
            [(module, part.lr, part.layer_decay)
             for part, module in zip(stage.parts, learning.values(), strict=True)],
            stage.weight_decay,
        )

    def _patience_is_over(self, stage: Stage) -> bool:
        return bool(stage.patience) and self.worse >= stage.patience

    def _epoch(
        self, stage: Stage, wrapped: Any, stepper: Any, learning: nn.ModuleDict, kept: Any,
        saved: Snapshot | None,
    ) -> None:
        curriculum = None
        if stage.curriculum:
            curriculum = Curriculum(
                self.task.difficulty(stage.curriculum), stage.begin, stage.full, self.seed
            )
        rows = epoch_rows(
            self.task.n_samples, self.seed, self.at.epoch, curriculum, self.at.epoch / stage.epochs
        )
        whole = batches(rows, stage.batch_size)
        if saved is not None:  # only now: what was drawn up to here must not move them on
            self._restore_randomness(saved)
        per_epoch, total = len(whole), stage.epochs * len(whole)
        for batch in whole[self.at.batch:]:
            share = share_at(
                stage.schedule, self.at.epoch * per_epoch + self.at.batch, total, stage.warmup
            )
            for group in kept[0].param_groups:
                group["lr"] = group["peak"] * share
            told = self._step(stage, wrapped, stepper, batch, kept[0])
            if kept[1] is not None:
                kept[1].update(learning)
            self.at.batch += 1
            self.at.step += 1
            self.report(told)
            leave = self._asked_to_leave()
            if leave or (self.save_every and self.at.step % self.save_every == 0):
                self.save(*kept)
            if leave:
                raise StoppedError(
                    f"stopped by {leave} after step {self.at.step} of {self.steps}; "
                    + ("resume to go on" if self.store else "nothing was saved: give a folder")
                )

    # one step

    def _step(
        self, stage: Stage, wrapped: Any, stepper: Any, batch: Tensor,
        optimiser: torch.optim.Optimizer,
    ) -> StepReport:
        rows = own_share(batch, self.fabric.global_rank, self.fabric.world_size)
        counts = self.task.counts(batch, stage)
        loss, terms = self._gradients(stage, wrapped, rows, counts)
        norm = math.nan
        if stage.clip:
            found = self.fabric.clip_gradients(
                wrapped, stepper, max_norm=stage.clip, error_if_nonfinite=False
            )
            norm = math.nan if found is None else float(found)
        halved = self.fabric._precision.precision == "16-mixed"  # its scaler skips such a step
        if not math.isfinite(loss) or (stage.clip and not halved and not math.isfinite(norm)):
            self._diverged(stage, wrapped, batch, rows, counts, loss, norm)
        stepper.step()
        return StepReport(
            stage.name, self.at.epoch, self.at.step + 1, self.steps, loss, terms,
            optimiser.param_groups[0]["lr"], norm, len(batch),
        )

    def _gradients(
        self, stage: Stage, wrapped: Any, rows: Tensor, counts: Mapping[str, float]
    ) -> tuple[float, dict[str, float]]:
        """Forward and backward of a process's share, in as many parts as memory asks for."""
        before = random_states()
        while True:
            parts = self.doubled.get(self.at.stage, stage.accumulate)
            try:
                return self._in_parts(stage, wrapped, rows, counts, parts)
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                if parts >= len(rows) or self.fabric.world_size > 1:
                    raise MemoryAdvice(
                        f"{stage.name}: memory does not suffice for {math.ceil(len(rows) / parts)} "
                        f"images at a time; give a smaller batch_size than {stage.batch_size}, "
                        f"accumulate above {parts}, smaller images, or precision bf16"
                    ) from error
                self.doubled[self.at.stage] = min(2 * parts, len(rows))
                self.say(
                    f"{stage.name}: memory does not suffice for {math.ceil(len(rows) / parts)} "
                    f"images at a time; going on with {self.doubled[self.at.stage]} parts of each "
                    "batch, one after another: the same batch, the same steps"
                )
                wrapped.zero_grad(set_to_none=True)
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
                restore_random_states(before)

    def _in_parts(
        self, stage: Stage, wrapped: Any, rows: Tensor, counts: Mapping[str, float], parts: int
    ) -> tuple[float, dict[str, float]]:
        wrapped.zero_grad(set_to_none=True)
        pieces = rows.tensor_split(min(parts, max(1, len(rows))))
        loss, terms = 0.0, dict.fromkeys(counts, 0.0)
        world = self.fabric.world_size
        for number, piece in enumerate(pieces, start=1):
            last = number == len(pieces)
            data = self.fabric.to_device(self.task.batch(piece, stage, self.at.epoch))
            quiet = nullcontext() if last else self.fabric.no_backward_sync(wrapped)
            with quiet:
                value, each = wrapped(data, counts)
                # gradients are averaged over processes; sums / counts of all are to be added up
                self.fabric.backward(world * value)
            loss += float(value.detach())
            for name, term in each.items():
                terms[name] += float(term)
        loss, *rest = summed(self.fabric, [loss, *terms.values()])
        return loss, dict(zip(terms, rest, strict=True))

    def _diverged(
        self, stage: Stage, wrapped: Any, batch: Tensor, rows: Tensor,
        counts: Mapping[str, float], loss: float, norm: float,
    ) -> None:
        data = self.fabric.to_device(self.task.batch(rows, stage, self.at.epoch))
        why = culprit(self.model, lambda: wrapped(data, counts))
        bad_loss = not math.isfinite(loss)
        what = f"the loss is {loss}" if bad_loss else f"the gradient's norm is {norm}"
        shown = ", ".join(map(str, batch[:8].tolist())) + (", ..." if len(batch) > 8 else "")
        last = self.store.steps()[-1:] if self.store else []
        raise DivergedError(
            f"{stage.name}: {what} at step {self.at.step + 1} (rows {shown}); {why}. Lower the "
            "rate, or look at the data"
            + (f"; the checkpoint of step {last[0]} is untouched" if last else "")
        )

    # the end of an epoch

    def _end_of_epoch(self, stage: Stage, learning: nn.ModuleDict, kept: Any) -> None:
        score, best = math.nan, False
        average = kept[1]
        if self.task.n_held:
            with average.swapped_in(learning) if average else nullcontext():
                score = self.task.score(held_predictions(self.model, self.task, self.fabric))
            best = not self.best or score > self.best_score
            if best:
                self.best_score, self.worse = score, 0
                source = average.weights if average else learning.state_dict()
                self.best = {name: value.detach().clone() for name, value in source.items()}
            else:
                self.worse += 1
        told = EpochReport(stage.name, self.at.epoch, self.at.step, score, best)
        self.at.epoch, self.at.batch = self.at.epoch + 1, 0
        self.report(told)
        self.save(*kept)

    # leaving and coming back

    def _asked_to_leave(self) -> str:
        """Why to leave, if any process is asked to; all ask each other, or one would wait."""
        some = summed(self.fabric, [float(bool(self.stop.asked))])[0] > 0
        return (self.stop.asked or "another process") if some else ""

    def _settings(self) -> dict[str, Any]:
        return {"stages": [each.to_dict() for each in self.stages], "seed": self.seed,
                "task": {"rows": self.task.n_samples, **self.task.describe()},
                "parameters": {name: list(value.shape)
                               for name, value in self.model.named_parameters()}}

    def save(
        self, optimiser: torch.optim.Optimizer, average: MovingAverage | None,
        names: Names,
    ) -> None:
        """Write a checkpoint, by the first process; the others wait for it."""
        if self.store is None:
            return
        states = random_states()
        noise = each_ones(self.fabric, states["torch"])
        if self.fabric.is_global_zero:
            training = {f"optimiser.{key}": value
                        for key, value in optimiser_tensors(optimiser, names).items()}
            training |= {f"best.{key}": value for key, value in self.best.items()}
            training |= {f"random.{key}": value for key, value in states.items()}
            training |= {f"rank{rank}.torch": value for rank, value in enumerate(noise)}
            if average is not None:
                training |= {f"average.{key}": value
                             for key, value in average.state_dict().items()}
            facts = {
                "at": asdict(self.at), "world": len(noise), "settings": self._settings(),
                "best_score": self.best_score, "worse": self.worse,
                "doubled": {str(key): value for key, value in self.doubled.items()},
                "scaler": self.fabric._precision.state_dict(),
            }
            self.store.save(self.at.step, Snapshot(self.model.state_dict(), training, facts))
        self.fabric.barrier()

    def saved(self) -> Snapshot | None:
        """The checkpoint to go on from; brings position and model to it.

        Raises:
            ResumeError: it is of another run.
        """
        assert self.store is not None
        found = self.store.latest()
        if found is None:
            return None
        for line in found.passed_over:
            self.say(f"passed over: {line}; going on from step {found.step}")
        facts = found.snapshot.facts
        if changed := _differences(facts["settings"], self._settings()):
            raise ResumeError(
                f"the checkpoint in {self.store.folder} is of another run: {'; '.join(changed)}. "
                "Resume with the same settings, or begin in another folder"
            )
        if facts["world"] != self.fabric.world_size:
            self.say(
                f"the checkpoint is of {facts['world']} processes and this run has "
                f"{self.fabric.world_size}: batches and steps stay the same, dropout draws anew"
            )
        self.at = Position(**facts["at"])
        self.best_score = math.nan if facts["best_score"] is None else facts["best_score"]
        self.worse = facts["worse"]
        self.doubled = {int(key): value for key, value in facts["doubled"].items()}
        self.model.load_state_dict(dict(found.snapshot.weights))
        return found.snapshot

    def _restore(
        self, saved: Snapshot, optimiser: torch.optim.Optimizer, average: MovingAverage | None,
        names: Names,
    ) -> None:
        restore_optimiser(optimiser, names, _under("optimiser.", saved.training))
        if average is not None:
            average.load_state_dict(_under("average.", saved.training))
        self.best = _under("best.", saved.training)
        self.fabric._precision.load_state_dict(saved.facts["scaler"] or {})

    def _restore_randomness(self, saved: Snapshot) -> None:
        states = _under("random.", saved.training)
        if saved.facts["world"] == self.fabric.world_size:
            own = saved.training[f"rank{self.fabric.global_rank}.torch"]
            restore_random_states({**states, "torch": own})


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> Tensors:
    return {key.removeprefix(prefix): value for key, value in tensors.items()
            if key.startswith(prefix)}


def _differences(saved: Any, wanted: Any, where: str = "") -> list[str]:
    """What differs between two pieces of plain data, line by line."""
    if isinstance(saved, Mapping) and isinstance(wanted, Mapping):
        return [
            line for key in {**saved, **wanted}
            for line in _differences(saved.get(key), wanted.get(key), f"{where}.{key}".lstrip("."))
        ]
    if isinstance(saved, list | tuple) and isinstance(wanted, list | tuple) and (
        len(saved) == len(wanted)
    ):
        return [
            line for at, (one, two) in enumerate(zip(saved, wanted, strict=True))
            for line in _differences(one, two, f"{where}[{at}]")
        ]
    return [] if saved == wanted else [f"{where} was {saved} and is {wanted}"]
