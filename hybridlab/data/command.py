"""`hybridlab data check`, `hybridlab data label` and `hybridlab data sample`.

Nothing heavy is imported up here, so that `hybridlab --help` answers at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import (
    OmitArgPrefixes,
    OmitSubcommandPrefixes,
    Positional,
    UseAppendAction,
    arg,
    subcommand,
)

from hybridlab.data.world import SceneConfig


@dataclass(frozen=True)
class Check:
    """Check a data set: files, labels, duplicates, leakage between splits, imbalance.

    Exit status: 0, nothing stands against using it; 1, something must be mended; 2, it could not be
    checked.
    """

    folder: Annotated[Positional[Path], arg(metavar="FOLDER")]
    """The folder of the pictures, or of a whole set: VOC, COCO or NUS-WIDE as they unpack."""
    annotation_file: Annotated[tuple[Path, ...], arg(metavar="FILE [FILE ...]")] = ()
    """JSON as in seed 002, CSV, or COCO's JSON; several are splits, such as train.json val.json."""
    layout: Literal["auto", "folder", "voc", "coco", "nus-wide"] = "auto"
    """What kind of set it is, where its files do not tell."""
    num_classes: Annotated[int | None, arg(metavar="L")] = None
    """How many labels there are, where indices go beyond those in the file."""
    labels: Annotated[Path | None, arg(metavar="FILE")] = None
    """A text file with the labels' names, one on each line, in the order of their indices."""
    out: Annotated[Path | None, arg(metavar="FILE")] = None
    """Also write the whole report as JSON; an existing file is never replaced."""
    show: Annotated[int, arg(metavar="N")] = 10
    """How many problems of each kind are printed."""
    no_pixels: bool = False
    """Do not decode the pictures: faster, but what is cut off goes unseen."""

    def __post_init__(self) -> None:
        if self.show < 0:
            raise ValueError(f"show is {self.show}; give 0 or more")

    def run(self) -> int:
        from hybridlab.data.check_command import main_check

        return main_check(
            self.folder, self.annotation_file, layout=self.layout, num_classes=self.num_classes,
            labels=self.labels, out=self.out, show=self.show, pixels=not self.no_pixels,
        )


@dataclass(frozen=True)
class Label:
    """Guess the labels of a folder's pictures from words alone, to be looked through by you.

    A CLIP is asked whether each label's sentence fits. What it writes are guesses, not annotations.
    Exit status: 0, all pictures labelled; 1, some; 2, none; 130, stopped.
    """

    folder: Annotated[Positional[Path], arg(metavar="FOLDER")]
    """The folder of the pictures; those in folders below it count, too."""
    labels: Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...] | FILE.txt")]
    """The labels' names; or a text file with one on each line."""
    output: Annotated[Path, arg(metavar="FILE.json")]
    """The annotation file to write; no file is ever replaced. Others go beside it: who guessed, and
    every probability."""
    model: Annotated[str, arg(metavar="MODEL")] = "tiny"
    """The course's tiny CLIP, of use on its scenes alone; or MODEL:TAG of open_clip, such as
    ViT-B-32:laion2b_s34b_b79k; or local-dir:FOLDER."""
    weights: Annotated[Path | None, arg(metavar="FILE")] = None
    """A local file with the weights of MODEL:TAG."""
    threshold: Annotated[float | None, arg(metavar="P")] = None
    """Give the labels whose probability is P or more; 0.5 unless --top-k is given."""
    top_k: Annotated[int | None, arg(metavar="K")] = None
    """Give the K most probable labels; with --threshold, at most so many above it."""
    view: Literal["auto", "whole", "patch"] = "auto"
    """Score the whole picture, or the best of its patches; auto: patches for the tiny CLIP."""
    prompt: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="TEXT")] = ()
    """A sentence with {} for the label ("a photo of {}"); may be given several times, and then
    stands in place of the usual ones."""
    review: bool = False
    """Also write a CSV with the pictures whose labels are most in doubt first."""
    resume: bool = False
    """Go on where the same command was stopped."""

    def __post_init__(self) -> None:
        if not self.labels:
            raise ValueError("no label was given; name one or more, or a text file of names")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold is {self.threshold}; give a number from 0 to 1")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k is {self.top_k}; give 1 or more")
        if self.output.suffix.lower() != ".json":
            raise ValueError(f"output is {self.output}; give a name that ends in .json")

    def run(self) -> int:
        from hybridlab.prelabel import main_label
        from hybridlab.zeroshot.prompts import DEFAULT_PROMPTS

        return main_label(
            self.folder, self.labels, self.output, model=self.model, weights=self.weights,
            view=None if self.view == "auto" else self.view,
            templates=self.prompt or DEFAULT_PROMPTS, threshold=self.threshold, top_k=self.top_k,
            review=self.review, resume=self.resume,
        )


@dataclass(frozen=True)
class SampleSet:
    """Write scenes as files with annotations, in the form that seed 002's commands read."""

    folder: Annotated[Positional[Path], arg(metavar="DIR")]
    """A new folder: images/, annotations.json, test_images/, test_image.jpg."""
    config: OmitArgPrefixes[SceneConfig] = field(default_factory=SceneConfig)
    """The dials of the world."""
    count: Annotated[int, arg(metavar="N")] = 200
    """Scenes to train on."""
    test: Annotated[int, arg(metavar="N")] = 20
    """Scenes to predict."""

    def __post_init__(self) -> None:
        for name in ("count", "test"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; give 1 or more")

    def run(self) -> int:
        from hybridlab.data.images import shown
        from hybridlab.data.openmoji import CREDIT
        from hybridlab.data.sample_files import write_sample

        folder = write_sample(self.folder, self.config, count=self.count, test=self.test)
        print(f"{self.count} scenes with annotations.json and {self.test} more in test_images/ "
              f"written to {shown(folder)}")
        if self.config.style == "openmoji":
            print(CREDIT)
        return 0


@dataclass(frozen=True)
class Data:
    """Data sets of files: check one, guess labels of pictures, or write one of scenes."""

    what: OmitSubcommandPrefixes[
        Annotated[Check, subcommand("check")]
        | Annotated[Label, subcommand("label")]
        | Annotated[SampleSet, subcommand("sample")]
    ]

    def run(self) -> int:
        return self.what.run()
