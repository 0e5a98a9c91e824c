"""`hybridlab evaluate`: its options. Nothing heavy is imported up here."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import OmitArgPrefixes, Positional, UseAppendAction, arg

from hybridlab.data.world import SceneConfig

if TYPE_CHECKING:
    from hybridlab.data.photos import PhotoDataset


@dataclass(frozen=True)
class Evaluate:
    """Measure a bundle on labelled scenes or pictures: metrics with intervals, every label."""

    bundle: Annotated[Positional[str], arg(metavar="BUNDLE")]
    """A bundle's folder, such as runs/TIME/bundle, or the word "shipped"."""
    config: OmitArgPrefixes[SceneConfig] = field(default_factory=SceneConfig)
    """The dials of the world; with others than in training, how well the bundle bears a change."""
    split: str = "test"
    """Which scenes, "train", "val" or "test"; a bundle may have learnt from the others. Of a whole
    set the name of one of its splits."""
    scenes: int = 1000
    """How many of them."""
    images: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Measure on the pictures of this folder instead; or on a whole set, VOC, COCO or NUS-WIDE, as
    it unpacks: then --split says which of its splits."""
    annotation_file: Annotated[Path | None, arg(metavar="FILE")] = None
    """Their labels, as JSON or CSV; see docs/data.md."""
    labels: Annotated[str, arg(metavar="FILE")] = ""
    """A text file with the labels' names in the order of their indices; or the word "bundle", where
    the annotations have the bundle's labels in its order, and a label may have no picture."""
    out: Annotated[Path | None, arg(metavar="FILE")] = None
    """A JSON file for all figures; it must be new."""
    threshold: Annotated[float | None, arg(metavar="P")] = None
    """One threshold for all labels instead of the bundle's own, from 0 to 1."""
    metric: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME")] = ()
    """Measure this in place of the usual metrics, such as cf1@3 or mean_ap_voc07; may be given
    several times."""
    shared_labels: bool = False
    """Where the bundle's labels are not the data's, measure those that both have."""
    resamples: int = 1000
    """Of the bootstrap."""
    card: Annotated[Path | None, arg(metavar="FILE.md")] = None
    """Also write a model card from the bundle and these figures; it must be new."""

    def __post_init__(self) -> None:
        for name in ("scenes", "resamples"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; give 1 or more")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold is {self.threshold}; give a number from 0 to 1")
        for name in ("annotation_file", "labels"):
            if getattr(self, name) and self.images is None:
                raise ValueError(
                    f"--{name.replace('_', '-')} needs --images, the folder of the pictures")

    def run(self) -> int:
        from hybridlab.bundle import bundle_named
        from hybridlab.data.scenes import SceneDataset
        from hybridlab.evaluate import METRICS, evaluate_photos, main_evaluate

        bundle = bundle_named(self.bundle)
        options: dict[str, Any] = {
            "out": self.out, "threshold": self.threshold, "metrics": self.metric or METRICS,
            "shared_labels": self.shared_labels, "resamples": self.resamples,
            "card": self.card, "command": self.command(),
        }
        if self.images is not None:
            options["guessed"] = self._guessed()
            return evaluate_photos(bundle, self._photos(self.images, bundle), **options)
        return main_evaluate(
            bundle, SceneDataset(self.scenes, self.split, self.config), **options)

    def _guessed(self) -> bool:
        """Whether `hybridlab data label` made the annotation file; it is said if so."""
        from hybridlab.guesses import GUESSES, beside

        made = self.annotation_file is not None and beside(self.annotation_file, GUESSES).exists()
        if made:
            print(
                f"hybridlab: {self.annotation_file} was guessed by a model, as the file beside it "
                "says; unless you have looked it through, the figures say how alike two models "
                "are, not how right one is", file=sys.stderr,
            )
        return made

    def command(self) -> str:
        """What repeats these figures: the options that are not the defaults."""
        words = ["hybridlab", "evaluate", self.bundle]
        told: list[tuple[Any, Any]] = [(self, each) for each in fields(self)]
        told += [(self.config, each) for each in fields(self.config)]
        for owner, each in told:
            value = getattr(owner, each.name)
            if each.name in ("bundle", "config", "out", "card") or value == each.default:
                continue
            option = "--" + each.name.replace("_", "-")
            if value is True:
                words.append(option)
            else:
                for one in value if isinstance(value, tuple) else (value,):
                    words += [option, str(one)]
        return shlex.join(words)

    def _photos(self, folder: Path, bundle: Path) -> PhotoDataset:
        """The pictures that were asked for.

        Raises:
            ValueError: the set has no split of that name; its own are listed.
        """
        from hybridlab.bundle_format import read_manifest
        from hybridlab.data.layouts import read_labels, read_splits

        labels = None
        if self.labels:
            own = self.labels == "bundle"
            labels = read_manifest(bundle).vocabulary if own else read_labels(self.labels)
        files = () if self.annotation_file is None else (self.annotation_file,)
        splits = read_splits(folder, files, vocabulary=labels)
        if len(splits) == 1:
            return next(iter(splits.values()))
        if self.split not in splits:
            raise ValueError(
                f"{folder} has no split {self.split!r}; give --split, one of {', '.join(splits)}"
            )
        return splits[self.split]
