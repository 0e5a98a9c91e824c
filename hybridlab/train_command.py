"""`hybridlab train`: options, and what happens before and after `train.run_training`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, arg

from hybridlab.configs import DemoConfig
from hybridlab.training.devices import DeviceConfig
from hybridlab.training.plans import TrainPlan

STOPPED_AND_SAVED = 75  # "try again later" of sysexits.h; 1 is also that of a crash


@dataclass(frozen=True)
class Train:
    """Train a hybrid stage by stage, on one device or several; stop it at any time and resume."""

    config: OmitArgPrefixes[DemoConfig]
    """Sizes, epochs and rates."""
    plan: OmitArgPrefixes[TrainPlan] = field(default_factory=TrainPlan)
    """Which stages."""
    devices: OmitArgPrefixes[DeviceConfig] = field(default_factory=DeviceConfig)
    """Where, and how fast."""
    quick: bool = False
    """A very small run of every stage, to see that it works; its figures mean nothing."""
    runs: Path = Path("runs")
    """Folder in which a new folder for this run is made."""
    folder: Annotated[Path | None, arg(metavar="PATH")] = None
    """The folder of this run, in place of one named by the time; it must be new."""
    resume: Annotated[Path | None, arg(metavar="PATH")] = None
    """The folder of a run that was stopped: go on, with the settings that it was begun with."""
    no_cache: bool = False
    """Do not keep the features of frozen encoders in RUNS/.cache for the next run."""

    def run(self) -> int:
        from hybridlab.train import begin, run_training, settings_to_resume
        from hybridlab.training.devices import fabric_of
        from hybridlab.training.reports import StoppedError

        config, plan = self.config, self.plan
        if config.weights != "fixed":
            raise ValueError(
                f"weights is {config.weights!r}; a stage weighs its terms itself: give --alpha and "
                "--beta, or take `hybridlab demo` for learnt weights"
            )
        if self.resume is not None and self.folder is not None:
            raise ValueError("give --folder for a new run, or --resume for one that was stopped")
        if self.resume is not None:
            usual = DemoConfig.quick() if self.quick else DemoConfig()
            config, plan = settings_to_resume(self.resume, config, plan, (usual, TrainPlan()))
            print(f"going on as it was begun, with plan {plan.plan}; see "
                  f"{self.resume / 'train.json'}", flush=True)
        fabric = fabric_of(self.devices)
        folder = self.resume or begin(self.runs, config, plan, fabric, self.folder)

        def say(line: str) -> None:
            print(line, flush=True)

        def how_to_resume(why: str) -> None:
            if fabric.is_global_zero:
                print(f"{why}\ngo on with: hybridlab train --resume {folder}{self._options()}",
                      file=sys.stderr)

        if fabric.is_global_zero:
            say(f"run: {folder} ({fabric.world_size} x {fabric.device.type}, "
                f"{self.devices.precision})")
        cache = None if self.no_cache else self.runs / ".cache"
        try:
            metrics = run_training(config, plan, self.devices, fabric, folder, cache, say)
        except StoppedError as stopped:
            how_to_resume(str(stopped))
            return STOPPED_AND_SAVED
        except KeyboardInterrupt:
            how_to_resume("stopped; what was saved is whole")
            raise
        if fabric.is_global_zero:
            shot, named = metrics["zero_shot_mean_ap"], metrics["naming"]
            say(
                f"on {config.test} test scenes: mAP {100 * metrics['mean_ap']:.1f}, OF1 "
                f"{100 * metrics['of1']:.1f}, CF1 {100 * metrics['cf1']:.1f}\n"
                f"CLIP's tower with words alone, before and after: mAP {100 * shot['before']:.1f} "
                f"and {100 * shot['after']:.1f} on these scenes; of things that no scene shows it "
                f"names {100 * named['before']:.0f} % and {100 * named['after']:.0f} %\n"
                f"written to {folder}: bundle/, metrics.json, logs/, checkpoints/\n"
                f"curves: tensorboard --logdir {folder / 'logs'}"
            )
        return 0

    def _options(self) -> str:
        """The options of devices that were given, which a run does not keep: it may go on
        elsewhere."""
        usual = DeviceConfig()
        given = [(field.name, value) for field in fields(usual)
                 if (value := getattr(self.devices, field.name)) != getattr(usual, field.name)]
        return "".join(
            f" --{name.replace('_', '-')} {value}" if not isinstance(value, bool) else
            f" --{'' if value else 'no-'}{name.replace('_', '-')}" for name, value in given
        )
