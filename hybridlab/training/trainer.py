"""The trainer: stages one after another, on whatever devices `fabric` has, resumed at any step.

One step: rows of the batch -> own share -> forward and backward -> clip -> step -> average. The
loop is `_Run`; what it calls has files of its own: `sampling`, `gradients`, `schedules`,
`averaging`, `processes`, `resuming`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
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
from hybridlab.training.gradients import gradients, within_memory
from hybridlab.training.guards import (
    DivergedError,
    MemoryAdvice,
    culprit,
    out_of_memory,
    overgrown,
)
from hybridlab.training.interrupts import Stop, stop_on_signals
from hybridlab.training.loading import Ahead, in_parts
from hybridlab.training.parameter_groups import parameter_groups
from hybridlab.training.processes import held_predictions, summed
from hybridlab.training.randomness import (
    random_states,
    restore_random_states,
    seeded_everywhere,
)
from hybridlab.training.reports import EpochReport, Report, StepReport, StoppedError
from hybridlab.training.resuming import (
    Learner,
    Progress,
    restore_learner,
    restore_noise,
    save_training,
    saved_training,
    settings_of,
)
from hybridlab.training.sampling import Curriculum, batches, epoch_rows, own_share
from hybridlab.training.schedules import share_at
from hybridlab.training.speed import compiled, encoder_bodies
from hybridlab.training.stage import Stage
from hybridlab.training.task import Step, Task

if TYPE_CHECKING:
    from lightning_fabric import Fabric


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
    workers: int = 0,
    compiles: bool = False,
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
        workers: processes that make data ahead of time; the data is the same.
        compiles: compile the encoders; where that fails, `say` is told, and the run goes on.

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
    first = fabric.is_global_zero
    run = _Run(
        model, task, list(stages), fabric, seed, store, save_every,
        report if first else _nobody, say if first else _nobody, stop or Stop(), workers,
        compiles,
    )
    own_seed = seed * 1009 + fabric.global_rank
    with seeded_everywhere(own_seed), torch.enable_grad(), stop_on_signals(run.stop):
        run.all_stages(resume)
    return model


def _nobody(_: object) -> None:
    """Reports of all processes but the first go here."""


@dataclass
class _Run:
    """A training as it stands."""

    model: nn.Module
    task: Task
    stages: list[Stage]
    fabric: Fabric
    seed: int
    store: CheckpointStore | None
    save_every: int
    report: Report
    say: Callable[[str], None]
    stop: Stop
    workers: int
    compiles: bool

    def __post_init__(self) -> None:
        self.whole = self.no_parts()
        for each in self.stages:
            if each.accumulate > 1 and self.task.rows_meet:
                raise ValueError(
                    f"stage {each.name!r} computes its batches in {each.accumulate} parts, but "
                    f"{self.whole}; give accumulate=1 and, if memory is short, a smaller batch"
                )
            if each.curriculum and each.epochs and self.epochs_of(each.curriculum) < 2:
                raise ValueError(
                    f"stage {each.name!r} has a curriculum and a single epoch, in which the hard "
                    "rows would never be seen; give 2 epochs or more, or no curriculum"
                )
        self.at = Progress()
        self.moments: dict[str, Tensor] = {}  # of the optimiser of the stage before
        self.saved: Snapshot | None = None  # until it is taken up
        self.settings = settings_of(self.model, self.task, self.stages, self.seed)
        self.steps = sum(
            each.epochs * math.ceil(self.task.n_samples / each.batch_size) for each in self.stages
        )

    def epochs_of(self, curriculum: str) -> int:
        """Epochs of all stages with a curriculum of that name."""
        return sum(each.epochs for each in self.stages if each.curriculum == curriculum)

    def all_stages(self, resume: bool) -> None:
        """From the beginning, or from the newest checkpoint."""
        found = None
        if resume and self.store is not None:
            found = saved_training(self.store, self.settings, self.fabric, self.say)
        if found is not None:
            self.saved, self.at = found
            self.model.load_state_dict(dict(self.saved.weights))
        while self.at.stage < len(self.stages):
            stage = self.stages[self.at.stage]
            if stage.epochs:
                try:
                    self.one_stage(stage)
                except RuntimeError as error:  # in validation, or for the optimiser's moments
                    if isinstance(error, MemoryAdvice) or not out_of_memory(error):
                        raise
                    raise MemoryAdvice(
                        f"{stage.name}: memory does not suffice; give a smaller batch_size than "
                        f"{stage.batch_size}, accumulate, smaller images, or precision bf16-mixed"
                        + self.untouched()
                    ) from error
            self.at.next_stage()

    def one_stage(self, stage: Stage) -> None:
        """Its epochs; then what learnt takes the weights of the best one."""
        with only_these_learn(self.model, stage.parts) as modules:
            learner = self.learner(stage, modules)
            if self.compiles:
                self.compiles = self.compile(stage, learner)
            rests = FrozenCheck(self.model, modules, learner.optimiser)
            if self.saved is not None:
                restore_learner(self.saved, learner, self.fabric)
            while self.at.epoch < stage.epochs and not 0 < stage.patience <= self.at.worse:
                self.one_epoch(stage, learner)
                rests()
                score = self.validate(stage, learner)
                self.at.next_epoch()
                self.save(learner, score)
            self.take_up_noise()  # of a checkpoint at the very end of the stage
            self.moments = optimiser_tensors(learner.optimiser, learner.names)
            if self.task.n_held and self.at.best and math.isnan(self.at.best_score):
                self.say(
                    f"{stage.name}: no epoch has a score (is there a positive among the validation "
                    "rows?); the last one is kept"
                )
            modules.load_state_dict(self.at.best or learner.best_weights())

    def learner(self, stage: Stage, modules: nn.ModuleDict) -> Learner:
        """An optimiser for what learns in a stage, both placed on the devices. What learnt in the
        stage before keeps its moments (trap 15)."""
        optimiser = torch.optim.AdamW(parameter_groups(
            [(module, part.lr, part.layer_decay)
             for part, module in zip(stage.parts, modules.values(), strict=True)],
            stage.weight_decay,
        ))
        wrapped, stepper = self.fabric.setup(Step(self.model, self.task, stage), optimiser)
        names: dict[Tensor, str] = {
            value: name for name, value in self.model.named_parameters()
        }
        learning = {names[each] for group in optimiser.param_groups for each in group["params"]}
        restore_optimiser(optimiser, names, {
            label: value for label, value in self.moments.items()
            if label.rpartition(":")[0] in learning
        })
        return Learner(
            modules, optimiser, wrapped, stepper, names,
            MovingAverage(modules, stage.ema) if stage.ema else None,
        )

    def compile(self, stage: Stage, learner: Learner) -> bool:
        """Compile the encoders, tried on the first rows, without a trace; whether it worked."""
        rows = self.own(torch.arange(min(self.task.n_samples, stage.batch_size)))
        noise, weights = random_states(), {
            name: value.clone() for name, value in learner.modules.state_dict().items()
        }

        def trial() -> None:
            def load(some: Tensor) -> Any:
                return self.task.batch(some, stage, self.at.epoch)

            gradients(self.fabric, learner.wrapped, load, rows,
                      self.task.counts(rows, stage), self.parts(stage))

        worked = compiled(encoder_bodies(self.model), trial, self.say)
        learner.wrapped.zero_grad(set_to_none=True)
        learner.modules.load_state_dict(weights)  # BatchNorm may have measured
        restore_random_states(noise)
        return worked

    def one_epoch(self, stage: Stage, learner: Learner) -> None:
        """All batches from `at.batch` on."""
        whole = batches(self.rows(stage), stage.batch_size)
        left = whole[self.at.batch:]
        load = Ahead(
            self.task, stage, self.at.epoch,
            [piece for batch in left for piece in in_parts(self.own(batch), self.parts(stage))],
            self.workers, pin=self.fabric.device.type == "cuda",
        )
        self.take_up_noise()  # only now: what was drawn up to here must not move it on
        for batch in left:
            share = share_at(
                stage.schedule, self.at.epoch * len(whole) + self.at.batch,
                stage.epochs * len(whole), stage.warmup,
            )
            for group in learner.optimiser.param_groups:
                group["lr"] = group["peak"] * share
            told = self.one_step(stage, learner, batch, load)
            if learner.average is not None:
                learner.average.update(learner.modules)
            self.at.batch, self.at.step = self.at.batch + 1, self.at.step + 1
            self.report(told)
            self.save_or_leave(learner)

    def take_up_noise(self) -> None:
        """Let the generators go on where the checkpoint has them; then it is used up."""
        if self.saved is not None:
            restore_noise(self.saved, self.fabric)
            self.saved = None

    def rows(self, stage: Stage) -> Tensor:
        """The rows of this epoch, in their order."""
        curriculum = None
        if stage.curriculum:
            hard = self.task.difficulty(stage.curriculum)
            curriculum = Curriculum(hard, stage.begin, stage.full, self.seed)
        return epoch_rows(
            self.task.n_samples, self.seed, self.at.epoch, curriculum, self.progress(stage)
        )

    def progress(self, stage: Stage) -> float:
        """The share of all epochs with this stage's curriculum that is done: it does not begin
        anew with each stage, or one of a single epoch would never see the hard rows."""
        done = sum(each.epochs for each in self.stages[: self.at.stage]
                   if each.curriculum == stage.curriculum)
        return (done + self.at.epoch) / self.epochs_of(stage.curriculum)

    def no_parts(self) -> str:
        """Why a batch cannot be computed in more parts; "" where it can."""
        if self.task.rows_meet:
            return "rows of a batch meet in this loss, and parts of it would be another loss"
        several = self.fabric.world_size > 1
        return "one process cannot begin a batch anew while others wait for it" if several else ""

    def own(self, batch: Tensor) -> Tensor:
        """The rows of a batch that this process computes."""
        return own_share(batch, self.fabric.global_rank, self.fabric.world_size)

    def parts(self, stage: Stage) -> int:
        """In how many parts it computes them, one after another."""
        return self.at.parts.get(self.at.stage, stage.accumulate)

    def one_step(
        self, stage: Stage, learner: Learner, batch: Tensor, load: Callable[[Tensor], Any]
    ) -> StepReport:
        """Learn from one batch."""
        fabric, at = self.fabric, self.at
        rows, counts = self.own(batch), self.task.counts(batch, stage)
        at.parts[at.stage], (loss, terms) = within_memory(
            lambda parts: gradients(fabric, learner.wrapped, load, rows, counts, parts),
            self.parts(stage), len(rows), stage, self.whole, self.say,
        )
        norm = math.nan
        if stage.clip:
            found = fabric.clip_gradients(
                learner.wrapped, learner.stepper, max_norm=stage.clip, error_if_nonfinite=False
            )
            norm = math.nan if found is None else float(found)
        # half precision's scaler passes over a step whose gradient is too large, and scales less
        scaled = fabric._precision.precision == "16-mixed"
        if not math.isfinite(loss) or (stage.clip and not scaled and not math.isfinite(norm)):
            self.diverged(stage, learner, batch, loss, norm)
        learner.stepper.step()
        return StepReport(
            stage.name, at.epoch, at.step + 1, self.steps, loss, terms,
            learner.optimiser.param_groups[0]["lr"], norm, len(batch),
        )

    def diverged(
        self, stage: Stage, learner: Learner, batch: Tensor, loss: float, norm: float
    ) -> None:
        """Say where numbers cease to be finite."""
        rows, counts = self.own(batch), self.task.counts(batch, stage)
        data = self.fabric.to_device(self.task.batch(rows, stage, self.at.epoch))
        why = culprit(self.model, lambda: learner.wrapped(data, counts))
        bad_loss = not math.isfinite(loss)
        what = f"the loss is {loss}" if bad_loss else f"the gradient's norm is {norm}"
        shown = ", ".join(map(str, batch[:8].tolist())) + (", ..." if len(batch) > 8 else "")
        raise DivergedError(
            f"{stage.name}: {what} at step {self.at.step + 1} (rows {shown}); {why}. Lower the "
            "rate, or look at the data" + self.untouched()
        )

    def untouched(self) -> str:
        """Which checkpoint is still there, in words."""
        last = self.store.steps()[-1:] if self.store else []
        return f"; the checkpoint of step {last[0]} is untouched" if last else ""

    def validate(self, stage: Stage, learner: Learner) -> float:
        """Score the epoch, and keep its weights if it is the best so far."""
        score, best = math.nan, False
        if self.task.n_held:
            average = learner.average
            with (
                average.swapped_in(learner.modules) if average else nullcontext(),
                self.fabric.autocast(),
            ):
                found = held_predictions(self.model, self.task, stage, self.fabric)
            score = self.task.score(found)
            best = math.isnan(self.at.best_score) or score > self.at.best_score
            self.at.worse += 1
            if best:
                self.at.best, self.at.best_score = learner.best_weights(), score
                self.at.worse = 0
        self.report(EpochReport(stage.name, self.at.epoch, self.at.step, score, best))
        return score

    def save_or_leave(self, learner: Learner) -> None:
        """Save when it is time to; leave if any process is asked to. All ask each other at every
        step, or one would wait for the others."""
        leave = summed(self.fabric, [float(bool(self.stop.asked))])[0] > 0
        if leave or (self.save_every and self.at.step % self.save_every == 0):
            self.save(learner)
        if leave:
            raise StoppedError(
                f"stopped by {self.stop.asked or 'another process'} after step {self.at.step} of "
                f"{self.steps}; "
                + ("resume to go on" if self.store else "nothing was saved: give a folder")
            )

    def save(self, learner: Learner, score: float | None = None) -> None:
        """Write a checkpoint, where there is a place for it, and weights that are worth it."""
        if self.store is not None:
            if found := overgrown(learner.modules):
                raise DivergedError(
                    f"{self.stages[self.at.stage].name}: {found} after step {self.at.step}, so "
                    "nothing is saved. Lower the rate" + self.untouched()
                )
            save_training(
                self.store, self.model, learner, self.at, self.settings, self.fabric, score
            )
