"""`hybridlab train`: options, and what happens before and after `train.run_training`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import OmitArgPrefixes, arg

from hybridlab.configs import DemoConfig
from hybridlab.encoder_config import EncoderConfig
from hybridlab.photographs.options import PhotoConfig
from hybridlab.training.devices import DeviceConfig
from hybridlab.training.plans import TrainPlan

if TYPE_CHECKING:
    from hybridlab.photographs.preparing import Prepared

STOPPED_AND_SAVED = 75  # "try again later" of sysexits.h; 1 is also that of a crash


@dataclass(frozen=True)
class Train:
    """Train a hybrid stage by stage, on scenes or on your own pictures, on one device or several;
    stop it at any time and resume.

    On pictures, under the names of seed 002's script: hybridlab train --image-dir ./images
    --annotation-file ./annotations.json --num-classes 80 --batch-size 32 --learning-rate 0.001
    --num-epochs 50 --save-dir ./checkpoints. Add --model cnn-rnn for its model. Then hybridlab
    predict ./checkpoints/bundle FOLDER.
    """

    config: OmitArgPrefixes[DemoConfig]
    """Sizes, epochs and rates."""
    plan: OmitArgPrefixes[TrainPlan] = field(default_factory=TrainPlan)
    """Which stages."""
    devices: OmitArgPrefixes[DeviceConfig] = field(default_factory=DeviceConfig)
    """Where, and how fast."""
    photos: OmitArgPrefixes[PhotoConfig] = field(default_factory=PhotoConfig)
    """Which pictures, in place of scenes."""
    encoders: OmitArgPrefixes[EncoderConfig] = field(default_factory=EncoderConfig)
    """What looks at them."""
    quick: bool = False
    """A very small run of every stage, to see that it works; its figures mean nothing."""
    runs: Path = Path("runs")
    """Folder in which a new folder for this run is made."""
    folder: Annotated[Path | None, arg(metavar="PATH")] = None
    """The folder of this run, in place of one named by the time; it must be new."""
    save_dir: Annotated[Path | None, arg(metavar="PATH")] = None
    """Another name for --folder; the bundle to predict with is PATH/bundle."""
    learning_rate: Annotated[float | None, arg(metavar="RATE")] = None
    """Stands for --lr RATE --fusion-lr RATE: what is trained from the start. Encoders that come
    trained keep their own, lower rates."""
    num_epochs: Annotated[int | None, arg(metavar="N")] = None
    """Stands for --decoder-epochs N --fusion-epochs N; CLIP's tower keeps --tune-epochs."""
    resume: Annotated[Path | None, arg(metavar="PATH")] = None
    """The folder of a run that was stopped: go on, with the settings that it was begun with."""
    no_cache: bool = False
    """Do not keep the features of frozen encoders in RUNS/.cache for the next run."""

    def __post_init__(self) -> None:
        if self.learning_rate is not None and not 0 < self.learning_rate < float("inf"):
            raise ValueError(f"learning_rate is {self.learning_rate}; give a number above 0")
        if self.num_epochs is not None and self.num_epochs < 1:
            raise ValueError(f"num_epochs is {self.num_epochs}; give 1 or more")
        if self.folder is not None and self.save_dir is not None:
            raise ValueError("--save-dir is another name for --folder; give one of the two")

    def settings(self) -> tuple[DemoConfig, TrainPlan]:
        """Sizes and stages, with what the familiar names and the model stand for.

        Raises:
            ValueError: an option together with what stands for it, or a plan that the model cannot
                carry out.
        """
        config, plan, usual = self.config, self.plan, self._usual()
        for name, value, meant in (("learning_rate", self.learning_rate, ("lr", "fusion_lr")),
                                   ("num_epochs", self.num_epochs,
                                    ("decoder_epochs", "fusion_epochs"))):
            if value is None:
                continue
            for each in meant:
                if getattr(config, each) not in (getattr(usual, each), value):
                    raise ValueError(f"--{_dashed(name)} stands for --{_dashed(each)}, too; give "
                                     "one of the two")
            config = replace(config, **{each: value for each in meant})  # type: ignore[arg-type]
        if self.encoders.model == "cnn-rnn":
            if plan.plan in ("brutal", "gradual"):
                raise ValueError(f"plan {plan.plan!r} tunes CLIP's tower, which model 'cnn-rnn' "
                                 "does without; choose frozen, joined or end_to_end")
            if config.without == "cnn_rnn":
                raise ValueError("model 'cnn-rnn' without 'cnn_rnn' would see nothing; give one of "
                                 "the two")
            config = replace(config, without="clip")
            plan = replace(plan, plan="frozen") if plan.plan == "gentle" else plan
        return config, plan

    def run(self) -> int:
        from hybridlab.chosen_encoders import chosen_encoders
        from hybridlab.photographs.running import check_photo_plan
        from hybridlab.photographs.source import PhotoSource
        from hybridlab.train import begin, pictures_to_resume, run_training, settings_to_resume
        from hybridlab.training.devices import fabric_of
        from hybridlab.training.reports import StoppedError

        (config, plan), photos, encoders = self.settings(), self.photos, self.encoders
        if config.weights != "fixed":
            raise ValueError(
                f"weights is {config.weights!r}; a stage weighs its terms itself: give --alpha and "
                "--beta, or take `hybridlab demo` for learnt weights"
            )
        own_folder = self.folder or self.save_dir
        if self.resume is not None and own_folder is not None:
            raise ValueError("give --folder for a new run, or --resume for one that was stopped")
        if self.resume is not None:
            photos, encoders = pictures_to_resume(self.resume, photos, encoders)
            config, plan = settings_to_resume(self.resume, config, plan,
                                              (self._usual(), TrainPlan()))
            print(f"going on as it was begun, with plan {plan.plan}; see "
                  f"{self.resume / 'train.json'}", flush=True)
        elif photos.image_dir is not None:
            self._check_sizes()
        fabric = fabric_of(self.devices)

        def say(line: str) -> None:
            print(line, flush=True)

        def how_to_resume(why: str) -> None:
            if fabric.is_global_zero:
                print(f"{why}\ngo on with: hybridlab train --resume {folder}{self._options()}",
                      file=sys.stderr)

        config, prepared = self._prepared(
            config, photos, say if fabric.is_global_zero else lambda line: None)
        chosen = chosen_encoders(encoders, config)
        cache = None if self.no_cache else self.runs / ".cache"
        source = None
        if prepared is not None:
            source = PhotoSource(prepared.photos, cache or Path())
            check_photo_plan(config, plan, chosen, source)
        folder = self.resume or begin(
            self.runs, config, plan, fabric, own_folder, encoders=encoders,
            photos=None if prepared is None else (photos, prepared),
        )
        if source is not None and cache is None:
            source.keep = folder / ".pictures"
        if fabric.is_global_zero:
            say(f"run: {folder} ({fabric.world_size} x {fabric.device.type}, "
                f"{self.devices.precision})")
            if source is not None:
                say(", ".join(f"{len(data):,} {split}" for split, data in source.splits.items())
                    + f" pictures, {len(source.vocabulary)} labels")
        try:
            metrics = run_training(config, plan, self.devices, fabric, folder, cache, say,
                                   source=source, encoders=chosen)
        except StoppedError as stopped:
            how_to_resume(str(stopped))
            return STOPPED_AND_SAVED
        except KeyboardInterrupt:
            how_to_resume("stopped; what was saved is whole")
            raise
        if fabric.is_global_zero:
            if source is not None and cache is None:
                shutil.rmtree(source.keep, ignore_errors=True)
            say(_summary(config, metrics, folder))
        return 0

    def _prepared(
        self, config: DemoConfig, photos: PhotoConfig, say: Callable[[str], None]
    ) -> tuple[DemoConfig, Prepared | None]:
        """The photographs, if there are any, and the settings with their numbers."""
        from hybridlab.photographs.running import photos_of, sized

        if photos.image_dir is None:
            return config, None
        most = {"train": config.train, "val": config.val, "test": config.test}
        found = photos_of(photos, self.resume, most if self.quick else None, say)
        return sized(config, found), found

    def _usual(self) -> DemoConfig:
        return DemoConfig.quick() if self.quick else DemoConfig()

    def _check_sizes(self) -> None:
        """Sizes are of scenes; how many pictures there are, their annotations say.

        Raises:
            ValueError: one was given.
        """
        usual = self._usual()
        for name in ("train", "val", "test"):
            if getattr(self.config, name) != getattr(usual, name) and not self.quick:
                raise ValueError(
                    f"--{name} is a number of scenes; of pictures all are taken: say with --shares "
                    "how they are dealt out, or have a quick look at so many with --quick"
                )

    def _options(self) -> str:
        """The options of devices that were given, which a run does not keep: it may go on
        elsewhere."""
        usual = DeviceConfig()
        given = [(field.name, value) for field in fields(usual)
                 if (value := getattr(self.devices, field.name)) != getattr(usual, field.name)]
        return "".join(
            f" --{_dashed(name)} {value}" if not isinstance(value, bool) else
            f" --{'' if value else 'no-'}{_dashed(name)}" for name, value in given
        )


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _summary(config: DemoConfig, metrics: dict[str, Any], folder: Path) -> str:
    shot, noun = metrics["zero_shot_mean_ap"], "pictures" if "data" in metrics else "scenes"
    lines = [
        f"on {config.test} test {noun}: mAP {100 * metrics['mean_ap']:.1f}, OF1 "
        f"{100 * metrics['of1']:.1f}, CF1 {100 * metrics['cf1']:.1f}",
        f"CLIP's tower with words alone, before and after: mAP {100 * shot['before']:.1f} "
        f"and {100 * shot['after']:.1f} on these {noun}",
    ]
    if "naming" in metrics:
        named = metrics["naming"]
        lines[-1] += (f"; of things that no scene shows it names {100 * named['before']:.0f} % and "
                      f"{100 * named['after']:.0f} %")
    if shared := metrics.get("shared_threshold"):
        lines.append(f"{len(shared)} labels have too few validation pictures for a threshold of "
                     "their own and take that of all; see metrics.json")
    return "\n".join([
        *lines, f"written to {folder}: bundle/, metrics.json, logs/, checkpoints/",
        f"curves: tensorboard --logdir {folder / 'logs'}",
    ])
