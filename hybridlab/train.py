"""`hybridlab train`: the folder of a run, made, locked, and taken up again.

    RUN/train.json                  what is trained, and how; a resumed run reads it again
    RUN/pictures.json               of photographs, which ones: see `photographs.record`
    RUN/checkpoints/PART/           of each part: CNN, decoder, decoders without a fold, joint
    RUN/logs/PART/                  steps.csv, epochs.csv, and what TensorBoard reads
    RUN/bundle/, RUN/metrics.json   at the end
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from filelock import FileLock, Timeout

from hybridlab.chosen_encoders import Encoders
from hybridlab.configs import DemoConfig
from hybridlab.encoder_config import EncoderConfig
from hybridlab.files import new_run_folder, write_json
from hybridlab.photographs.options import PhotoConfig
from hybridlab.photographs.preparing import Prepared
from hybridlab.photographs.record import write_record
from hybridlab.picture_source import PictureSource
from hybridlab.staged import StagedRun
from hybridlab.staged_views import Say
from hybridlab.training.devices import DeviceConfig
from hybridlab.training.interrupts import Stop, stop_on_signals
from hybridlab.training.plans import TrainPlan, check_plan
from hybridlab.training.resuming import ResumeError, differences

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Settings = TypeVar("Settings")
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
    def settings(told: dict[str, Any]) -> tuple[DemoConfig, TrainPlan]:
        rates = tuple(told["config"]["linear_rates"])
        return DemoConfig(**{**told["config"], "linear_rates": rates}), TrainPlan(**told["plan"])

    found = _told(folder, settings)
    changed: list[str] = []
    for given, usual, its in ((config, defaults[0], found[0]), (plan, defaults[1], found[1])):
        changed += _asked(given.to_dict(), usual.to_dict(), its.to_dict())
    _refuse(folder, changed)
    return found[0], replace(found[1], save_every=plan.save_every)


def pictures_to_resume(
    folder: Path, photos: PhotoConfig, encoders: EncoderConfig
) -> tuple[PhotoConfig, EncoderConfig]:
    """Which photographs and encoders a run that is resumed was begun with.

    Args:
        photos, encoders: as they were given now; as `settings_to_resume`. Folder and files may be
            elsewhere by now: what is in them is compared in `photographs.record`.

    Raises:
        ResumeError: as `settings_to_resume`.
    """
    def settings(told: dict[str, Any]) -> tuple[PhotoConfig, EncoderConfig]:
        begun = told.get("photos")
        return (PhotoConfig() if begun is None else PhotoConfig.from_dict(begun),
                EncoderConfig(**told.get("encoders", {})))

    begun, its = _told(folder, settings)
    named = [{**each.to_dict(), "cnn": each.cnn_name} for each in (encoders, EncoderConfig(), its)]
    changed = _asked(*named)
    if photos.image_dir is not None and begun.image_dir is None:
        changed.append("the pictures were scenes, and --image-dir is given")
    given = photos.resolved()
    moved = {name: value for name in ("image_dir", "annotation_file", "labels")
             if (value := getattr(given, name))}
    now, usual, then = given.to_dict(), PhotoConfig().to_dict(), begun.to_dict()
    for each in (now, usual, then):
        for name in ("image_dir", "annotation_file", "labels"):
            del each[name]
    changed += _asked(now, usual, then)
    _refuse(folder, changed)
    return (replace(begun, **moved) if moved else begun), its


def _told(folder: Path, settings: Callable[[dict[str, Any]], Settings]) -> Settings:
    """What stands in `train.json`, as settings."""
    path = folder / SETTINGS
    try:
        return settings(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResumeError(
            f"there is no run to resume in {folder} ({path.name}: {type(error).__name__}: {error});"
            " give the folder that `hybridlab train` named"
        ) from error


def _asked(given: dict[str, Any], usual: dict[str, Any], then: dict[str, Any]) -> list[str]:
    """What was given now, is not at its default, and differs from what the run was begun with."""
    given, usual, then = (json.loads(json.dumps(each)) for each in (given, usual, then))
    asked = {name for name, value in given.items() if value != usual[name]} - FREE
    return differences({name: then[name] for name in asked}, {name: given[name] for name in asked})


def _refuse(folder: Path, changed: list[str]) -> None:
    if changed:
        raise ResumeError(
            f"the run in {folder} was begun otherwise: {'; '.join(changed)}. Resume without these "
            "options, or begin a new run"
        )


def run_training(
    config: DemoConfig, plan: TrainPlan, devices: DeviceConfig, fabric: Fabric, folder: Path,
    cache: Path | None = None, say: Say = lambda line: None, stop: Stop | None = None, *,
    source: PictureSource | None = None, encoders: Encoders | None = None,
) -> dict[str, Any]:
    """Train, or go on training, and write bundle and metrics.

    Args:
        fabric: launched.
        folder: of the run, which is made by `begin`.
        cache: of the features of frozen encoders.
        say: is told, line by line, what is being done.
        stop: asks to leave.
        source, encoders: as `StagedRun`.

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
        run = StagedRun(config, plan, devices, fabric, folder, cache, say, stop, source=source,
                        encoders=encoders)
        begun = time.perf_counter()
        trained = run.all_parts()
        return run.write(trained, time.perf_counter() - begun)


def begin(
    parent: Path, config: DemoConfig, plan: TrainPlan, fabric: Fabric, folder: Path | None = None,
    *, photos: tuple[PhotoConfig, Prepared] | None = None, encoders: EncoderConfig | None = None,
) -> Path:
    """A new folder for a run, with its settings; the first process makes it, all learn of it.

    Args:
        parent: a new folder is made in it.
        folder: or this one.
        photos: in place of scenes; which they are is written down, too.
        encoders: in place of the usual ones.

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
            told: dict[str, Any] = {"config": config.to_dict(), "plan": plan.to_dict()}
            if encoders is not None and encoders != EncoderConfig():
                told["encoders"] = encoders.to_dict()
            if photos is not None:
                told["photos"] = photos[0].resolved().to_dict()
                write_record(folder, photos[1])
            write_json(folder / SETTINGS, told)
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
