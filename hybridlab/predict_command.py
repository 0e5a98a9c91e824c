"""`hybridlab predict`: its options, also under the names that published scripts have.

Nothing heavy is imported up here, so that `hybridlab --help` answers at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, UseAppendAction, arg


@dataclass(frozen=True)
class Predict:
    """Label pictures: .jpg and .png files, or folders of them."""

    bundle: Annotated[Positional[str], arg(metavar="BUNDLE")] = ""
    """A bundle's folder, such as runs/TIME/bundle, or the word "shipped"."""
    images: Annotated[
        Positional[tuple[Path, ...]],
        arg(metavar="IMAGE [IMAGE ...]", help_behavior_hint="(one or more)"),
    ] = ()
    """Pictures, and folders of pictures."""
    output: Literal["table", "json", "jsonl", "csv", "picture"] = "table"
    """A table or one JSON document; for many pictures a line of JSON or CSV for each; or each
    picture with its labels under it."""
    out: Annotated[Path | None, arg(metavar="PATH")] = None
    """Where to write: a file, which must be new; for pictures a folder, else "labelled"."""
    resume: bool = False
    """Go on where the same command was stopped: with --output jsonl or csv into a file, or with
    pictures."""
    top: Annotated[int | None, arg(metavar="K")] = None
    """Give this many labels for each picture, whatever their probability."""
    threshold: Annotated[float | None, arg(metavar="P")] = None
    """One threshold for all labels instead of the bundle's own, from 0 to 1."""
    model_path: Annotated[str, arg(metavar="BUNDLE")] = ""
    """Another name for BUNDLE. A .pth file is refused: loading one can run any code."""
    image_path: Annotated[UseAppendAction[tuple[Path, ...]], arg(metavar="IMAGE")] = ()
    """Another name for IMAGE; may be given several times."""
    batch_mode: bool = False
    """Nothing to switch on: a folder is always taken as all its pictures."""
    num_classes: Annotated[int | None, arg(metavar="L")] = None
    """Refuse a bundle that has another number of labels; it knows its own."""
    save_dir: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Another name for --output picture --out FOLDER."""

    def __post_init__(self) -> None:
        if self.top is not None and self.top < 1:
            raise ValueError(f"top is {self.top}; give 1 or more")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold is {self.threshold}; give a number from 0 to 1")
        if self.num_classes is not None and self.num_classes < 1:
            raise ValueError(f"num_classes is {self.num_classes}; give 1 or more")
        if not self.model():
            raise ValueError("no BUNDLE was given; name its folder, or the word shipped")
        if not self.pictures():
            raise ValueError("no picture was given; name one or more files or folders")
        other = self.out is not None or self.output not in ("table", "picture")
        if self.save_dir is not None and other:
            raise ValueError("save_dir is a folder for pictures; give it, or --output and --out")

    def model(self) -> str:
        """The bundle, under either name."""
        return self.model_path or self.bundle

    def pictures(self) -> list[Path]:
        """The pictures, under either name; with --model-path the first word is one of them."""
        first = (Path(self.bundle),) if self.model_path and self.bundle else ()
        return [*first, *self.images, *self.image_path]

    def run(self) -> int:
        from hybridlab.bundle import bundle_named
        from hybridlab.predict import main_predict

        return main_predict(
            bundle_named(self.model()),
            self.pictures(),
            output=self.output if self.save_dir is None else "picture",
            out=self.save_dir or self.out,
            top=self.top,
            threshold=self.threshold,
            resume=self.resume,
            n_labels=self.num_classes,
        )
