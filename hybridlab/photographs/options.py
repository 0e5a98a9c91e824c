"""Which photographs a training learns from. No torch here: the command line reads it to print its
help."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import arg


@dataclass(frozen=True)
class PhotoConfig:
    """Where the pictures and their labels are.

    Attributes:
        image_dir: train on the pictures of this folder, in place of scenes; or on a whole set, VOC,
            COCO or NUS-WIDE, as it unpacks.
        annotation_file: their labels: JSON as in seed 002, CSV, or COCO's JSON. One file is dealt
            out to splits; several are splits, such as train.json val.json test.json.
        num_classes: L, checked against the annotations; those that they do not name are called
            "class 7".
        labels: a text file with the labels' names, one on each line, in the order of their indices.
        layout: what kind of set it is, where its files do not tell.
        shares: of train, val and test, for the splits that are not given: dealt out so that every
            label has its share.
        split_seed: of that dealing.
        test_split: the split to measure on, where it is not called test, such as COCO's val2017.
        unreadable: the share of pictures that may be left out because they cannot be read; each is
            named, and above this the training does not begin.

    Raises:
        ValueError: an option that makes no sense, or is given without pictures.
    """

    image_dir: Annotated[Path | None, arg(metavar="FOLDER")] = None
    annotation_file: Annotated[tuple[Path, ...], arg(metavar="FILE [FILE ...]")] = ()
    num_classes: Annotated[int | None, arg(metavar="L")] = None
    labels: Annotated[Path | None, arg(metavar="FILE")] = None
    layout: Literal["auto", "folder", "voc", "coco", "nus-wide"] = "auto"
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1)
    split_seed: int = 0
    test_split: Annotated[str, arg(metavar="NAME")] = ""
    unreadable: float = 0.05

    def __post_init__(self) -> None:
        if self.image_dir is None:
            given = [name for name, value in asdict(self).items() if value != _DEFAULTS[name]]
            if given:
                raise ValueError(f"--{given[0].replace('_', '-')} is about pictures; give their "
                                 "folder as --image-dir")
        if self.num_classes is not None and self.num_classes < 1:
            raise ValueError(f"num_classes is {self.num_classes}; give 1 or more")
        if len(self.shares) != 3 or not all(0 < each < 1e9 for each in self.shares):
            raise ValueError(f"shares is {self.shares}; give three numbers above 0, of train, val "
                             "and test")
        if self.split_seed < 0:
            raise ValueError(f"split_seed is {self.split_seed}; give 0 or more")
        if not 0 <= self.unreadable <= 1:
            raise ValueError(f"unreadable is {self.unreadable}; give a share, from 0 to 1")

    def resolved(self) -> PhotoConfig:
        """With whole paths, so that a run goes on from any folder."""
        def whole(path: Path | None) -> Path | None:
            return None if path is None else path.absolute()

        files = tuple(path.absolute() for path in self.annotation_file)
        return PhotoConfig(**{**_fields(self), "image_dir": whole(self.image_dir),
                              "annotation_file": files, "labels": whole(self.labels)})

    def to_dict(self) -> dict[str, Any]:
        """Plain data, to be written; `from_dict` reads it."""
        return {
            **_fields(self), "image_dir": None if self.image_dir is None else str(self.image_dir),
            "annotation_file": [str(path) for path in self.annotation_file],
            "labels": None if self.labels is None else str(self.labels),
            "shares": list(self.shares),
        }

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> PhotoConfig:
        """The inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: it was not written by it.
        """
        return cls(**{
            **told, "image_dir": Path(told["image_dir"]), "shares": tuple(told["shares"]),
            "annotation_file": tuple(Path(path) for path in told["annotation_file"]),
            "labels": None if told["labels"] is None else Path(told["labels"]),
        })


def _fields(config: PhotoConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in _DEFAULTS}


_DEFAULTS: dict[str, Any] = {
    name: each.default for name, each in PhotoConfig.__dataclass_fields__.items()
}
