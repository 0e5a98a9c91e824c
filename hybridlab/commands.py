"""The commands of `hybridlab`: each a dataclass with its options as fields, and `run`.

Nothing heavy is imported up here: torch costs seconds, and `hybridlab --help` should answer at
once. The strings under the fields are the help texts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tyro.conf import OmitArgPrefixes

from hybridlab.ablation.command import Ablate
from hybridlab.ablation.report_command import Report
from hybridlab.configs import DemoConfig, PretrainConfig
from hybridlab.data.command import Data
from hybridlab.data.world import SceneConfig
from hybridlab.evaluate_command import Evaluate
from hybridlab.export_command import Export
from hybridlab.grading.command import Grade
from hybridlab.predict_command import Predict
from hybridlab.studies.reproduce import Reproduce
from hybridlab.train_command import Train

# A sheet is drawn in memory, about a quarter of a megabyte a scene.
MOST_SCENES = 400


@dataclass(frozen=True)
class Demo:
    """Train, calibrate and try a hybrid classifier on the small world: a few minutes."""

    config: OmitArgPrefixes[DemoConfig]
    """Sizes, epochs and rates."""
    quick: bool = False
    """A very small run of every stage, to see that it works; its figures mean nothing."""
    runs: Path = Path("runs")
    """Folder in which a new folder for this run is made."""
    no_cache: bool = False
    """Do not keep the features of frozen encoders in RUNS/.cache for the next run."""

    def run(self) -> int:
        from hybridlab.demo import run_demo

        run_demo(self.config, self.runs, None if self.no_cache else self.runs / ".cache")
        return 0


@dataclass(frozen=True)
class World:
    """Draw scenes of the small world with their labels into one PNG picture."""

    config: OmitArgPrefixes[SceneConfig] = field(default_factory=SceneConfig)
    """The dials of the world."""
    out: Path = Path("scenes.png")
    """The picture to write; a file of that name is never replaced."""
    count: int = 12
    """Scenes to draw."""
    split: Literal["train", "val", "test"] = "train"
    """Which scenes."""
    first: int = 0
    """Index of the first scene."""

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_SCENES:
            raise ValueError(f"count is {self.count}; give 1 to {MOST_SCENES}")
        if self.first < 0:
            raise ValueError(f"first is {self.first}; give 0 or more")
        if self.out.suffix.lower() != ".png":
            raise ValueError(f"out is {self.out}; give a name that ends in .png")

    def run(self) -> int:
        from hybridlab.data.openmoji import CREDIT
        from hybridlab.data.scenes import SceneDataset
        from hybridlab.files import atomic_path
        from hybridlab.viz.world import scene_sheet

        title = f"{self.count} scenes. {CREDIT}" if self.config.style == "openmoji" else None

        with atomic_path(self.out) as part:  # first: a taken name costs no drawing
            scenes = SceneDataset(self.first + self.count, self.split, self.config)
            samples = [scenes[index] for index in range(self.first, len(scenes))]
            scene_sheet(samples, scenes.vocabulary.names, title).savefig(part, dpi=100)
        print(f"{self.count} scenes written to {self.out}")
        return 0


@dataclass(frozen=True)
class Doctor:
    """Check this machine for the course; say what to do about whatever is wrong."""

    no_speed: bool = False
    """Leave out the measurement of speed (some seconds)."""

    def run(self) -> int:
        from hybridlab.doctor import as_text, diagnose, worst

        findings = diagnose(speed=not self.no_speed)
        print(as_text(findings))
        return 1 if worst(findings) == "fail" else 0


@dataclass(frozen=True)
class Lab:
    """Open the course in JupyterLab, reachable from this machine only."""

    no_browser: bool = False
    """Do not open a browser; the address is printed."""
    port: int = 8888
    """Port to try first; the next free one is taken."""

    def run(self) -> int:
        from hybridlab.lab import run_lab

        return run_lab(browser=not self.no_browser, port=self.port)


@dataclass(frozen=True)
class PretrainClip:
    """Pretrain the course's tiny CLIP; an interrupted run goes on where it stopped."""

    config: OmitArgPrefixes[PretrainConfig] = field(default_factory=PretrainConfig)
    """Steps, rates and weights of the losses."""
    folder: Path = Path("runs/tiny_clip")
    """Where checkpoints go, and at the end the weights with their card, in FOLDER/release."""
    install: bool = False
    """Also put them in place of the package's own weights."""

    def run(self) -> int:
        from hybridlab.training.clip_release import main_pretrain

        main_pretrain(self.folder, self.config, install=self.install)
        return 0


@dataclass(frozen=True)
class Ship:
    """Train the hybrid that comes with the package, with its card."""

    config: OmitArgPrefixes[DemoConfig]
    """Sizes, epochs and rates."""
    quick: bool = False
    """A very small run of every stage, to see that it works; its figures mean nothing."""

    runs: Path = Path("runs")
    """Folder in which a new folder for this run is made."""
    no_cache: bool = False
    """Do not keep the features of frozen encoders in RUNS/.cache for the next run."""
    install: bool = False
    """Also put the bundle in place of the one that comes with the package."""

    def run(self) -> int:
        from hybridlab.ship import main_ship

        cache = None if self.no_cache else self.runs / ".cache"
        main_ship(self.config, runs=self.runs, cache=cache, install=self.install)
        return 0


Command = (
    Demo | Predict | World | Doctor | Lab | Grade | Ablate | Report | Reproduce
    | PretrainClip | Ship | Train | Data | Evaluate | Export
)
