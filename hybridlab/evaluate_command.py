"""`hybridlab evaluate`: its options. Nothing heavy is imported up here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import OmitArgPrefixes, Positional, UseAppendAction, arg

from hybridlab.data.world import SceneConfig


@dataclass(frozen=True)
class Evaluate:
    """Measure a bundle on labelled scenes: metrics with intervals, and a table of its labels."""

    bundle: Annotated[Positional[str], arg(metavar="BUNDLE")]
    """A bundle's folder, such as runs/TIME/bundle, or the word "shipped"."""
    config: OmitArgPrefixes[SceneConfig] = field(default_factory=SceneConfig)
    """The dials of the world; with others than in training, how well the bundle bears a change."""
    split: Literal["train", "val", "test"] = "test"
    """Which scenes; a bundle may have learnt from the others."""
    scenes: int = 1000
    """How many of them."""
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

    def __post_init__(self) -> None:
        for name in ("scenes", "resamples"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; give 1 or more")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold is {self.threshold}; give a number from 0 to 1")

    def run(self) -> int:
        from hybridlab.bundle import bundle_named
        from hybridlab.data.scenes import SceneDataset
        from hybridlab.evaluate import METRICS, main_evaluate

        return main_evaluate(
            bundle_named(self.bundle),
            SceneDataset(self.scenes, self.split, self.config),
            out=self.out,
            threshold=self.threshold,
            metrics=self.metric or METRICS,
            shared_labels=self.shared_labels,
            resamples=self.resamples,
        )
