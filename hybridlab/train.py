"""`hybridlab train`: the folder of a run, made, locked, and taken up again.

    RUN/train.json                  what is trained, and how; a resumed run reads it again
    RUN/checkpoints/PART/           of each part: CNN, decoder, decoders without a fold, joint
    RUN/logs/PART/                  steps.csv, epochs.csv, and what TensorBoard reads
    RUN/bundle/, RUN/metrics.json   at the end
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from hybridlab.configs import DemoConfig
from hybridlab.files import new_run_folder, write_json
from hybridlab.staged import Say, StagedRun
from hybridlab.training.devices import DeviceConfig
from hybridlab.training.interrupts import Stop, stop_on_signals
from hybridlab.training.plans import TrainPlan, check_plan
from hybridlab.training.resuming import ResumeError, differences

if TYPE_CHECKING:
    from lightning_fabric import Fabric

SETTINGS = "train.json"
FREE = {"save_every"}  # what a resumed run may change


class BusyError(RuntimeError):
    """Another process trains in this folder."""


def settings_to_resume(
    folder: Path, config: DemoConfig, plan: TrainPlan, defaults: tuple[DemoConfig, TrainPlan]
) -> tuple[DemoConfig, TrainPlan]:
    """What a run that is resumed was begun with.

    Args:
        config, plan: as they were given now; what is not at its default must agree with the run.

    Raises:
        ResumeError: the folder holds no run, or other settings were given; they are listed.
    """
    path = folder / SETTINGS
    try:
        told = json.loads(path.read_text("utf-8"))
        begun = told["config"], told["plan"]
        rates = tuple(begun[0]["linear_rates"])
        found = DemoConfig(**{**begun[0], "linear_rates": rates}), TrainPlan(**begun[1])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResumeError(
            f"there is no run to resume in {folder} ({path.name}: {type(error).__name__}: {error});"
            " give the folder that `hybridlab train` named"
        ) from error
    changed: list[str] = []
    for given, usual, its in ((config, defaults[0], found[0]), (plan, defaults[1], found[1])):
        given_now, as_usual, then = (json.loads(json.dumps(each.to_dict()))
                                     for each in (given, usual, its))
        asked = {name for name, value in given_now.items() if value != as_usual[name]} - FREE
        changed += differences({name: then[name] for name in asked},
                               {name: given_now[name] for name in asked})
    if changed:
        raise ResumeError(
            f"the run in {folder} was begun otherwise: {'; '.join(changed)}. Resume without these "
            "options, or begin a new run"
        )
    return found[0], replace(found[1], save_every=plan.save_every)


def run_training(
    config: DemoConfig, plan: TrainPlan, devices: DeviceConfig, fabric: Fabric, folder: Path,
    cache: Path | None = None, say: Say = lambda line: None, stop: Stop | None = None,
) -> dict[str, Any]:
    """Train, or go on training, and write bundle and metrics.

    Args:
        fabric: launched.
        folder: of the run, which is made by `begin`.
        cache: of the features of frozen encoders.
        say: is told, line by line, what is being done.
        stop: asks to leave.

    Returns:
        what `metrics.json` holds.

    Raises:
        BusyError: another process trains in this folder.
        StoppedError: somebody asked to stop; the run was saved.
        besides, as `trainer.train_stages`.
    """
    with ExitStack() as stack:
        if fabric.is_global_zero:
            stack.enter_context(_alone(folder))
        stop = stack.enter_context(stop_on_signals(stop or Stop()))
        run = StagedRun(config, plan, devices, fabric, folder, cache, say, stop)
        begun = time.perf_counter()
        trained = run.all_parts()
        return run.write(trained, time.perf_counter() - begun)


def begin(
    parent: Path, config: DemoConfig, plan: TrainPlan, fabric: Fabric, folder: Path | None = None,
) -> Path:
    """A new folder for a run, with its settings; the first process makes it, all learn of it.

    Args:
        parent: a new folder is made in it.
        folder: or this one.

    Raises:
        FileExistsError: there is such a folder already.
        ValueError: the plan cannot be carried out; see `plans.check_plan`.
    """
    check_plan(config, plan)
    name, taken = "", ""
    if fabric.is_global_zero:
        if folder is None:
            folder = new_run_folder(parent)
        else:
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                taken = (f"{folder} exists and is kept; resume it (--resume {folder}), or name "
                         "another")
        if not taken:
            write_json(folder / SETTINGS, {"config": config.to_dict(), "plan": plan.to_dict()})
        name = str(folder)
    name, taken = fabric.broadcast((name, taken))  # all stop, or the others would wait for ever
    if taken:
        raise FileExistsError(taken)
    return Path(name)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BusyError(
            f"another process trains in {folder}; wait for it, or begin another run"
        ) from None
    try:
        yield
    finally:
        lock.release()
