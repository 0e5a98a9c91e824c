"""Where a training has its pictures and targets from: the small world, or any other source.

Whoever trains asks for three things only: the targets of a split, its pictures as an encoder wants
them, few at a time, and all pictures of a split to be looked at again and again. Scenes are drawn;
photographs come from files (`photographs.source`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from hybridlab.data.sample import SampleSource, Vocabulary
from hybridlab.data.scenes import SPLITS, SceneDataset, label_matrix
from hybridlab.data.world import WORLD, SceneConfig, with_article
from hybridlab.encoders.preprocessing import Preprocessing
from hybridlab.frozen import drawn
from hybridlab.training.augmentation import ObjectBoxes, object_boxes
from hybridlab.training.hybrid_data import clutter_of

Leave = Callable[[], None]


class PictureSource(Protocol):
    """Three splits of pictures with the same labels."""

    @property
    def noun(self) -> str:
        """What the pictures are, in the plural, for messages."""

    @property
    def scenes(self) -> bool:
        """Whether they are scenes of the small world, about which more is known."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The names of the L columns."""

    @property
    def texts(self) -> tuple[str, ...]:
        """The labels as they stand in a sentence, in the order of the columns."""

    @property
    def splits(self) -> Mapping[str, SampleSource]:
        """"train", "val" and "test"; features are kept under the fingerprint of each."""

    @property
    def targets(self) -> Mapping[str, Tensor]:
        """Split -> (N, L), 1 present, 0 absent, -1 not annotated."""

    def chunks(
        self, split: str, begin: int, end: int, preprocessing: Preprocessing
    ) -> Iterator[Tensor]:
        """Pictures begin to end of a split, few at a time, (n, 3, H, W) uint8, for an encoder that
        looks at each once."""

    def pictures(
        self, split: str, looks: Sequence[Preprocessing], leave: Leave = lambda: None
    ) -> Tensor:
        """All pictures of a split (N, 3, H, W) uint8, to be looked at again and again.

        Args:
            looks: of the encoders that will look at them, one or two.
            leave: is called now and then, and raises if somebody asked to stop.
        """

    def boxes(self, split: str, looks: Sequence[Preprocessing]) -> ObjectBoxes | None:
        """Where the objects stand in `pictures`; None where nobody knows."""

    def clutter(self, split: str) -> Tensor:
        """How crowded each picture is (N,)."""

    def label_sets(self, count: int) -> Tensor:
        """(count, L): more sets of labels, of pictures that are in no split."""

    def facts(self) -> dict[str, Any]:
        """What a bundle and `metrics.json` say of the data; plain JSON."""


class SceneSource:
    """Scenes of the small world: nothing is read, and all is known.

    Args:
        sizes: scenes to learn from, to tune on and to measure on.
        config: the dials.
    """

    noun = "scenes"
    vocabulary = WORLD
    texts = tuple(with_article(name) for name in WORLD)
    scenes = True

    def __init__(self, sizes: tuple[int, int, int], config: SceneConfig):
        self.splits: dict[str, SceneDataset] = {
            split: SceneDataset(size, split, config)
            for split, size in zip(SPLITS, sizes, strict=True)
        }
        self.targets = {split: torch.from_numpy(label_matrix(data))
                        for split, data in self.splits.items()}

    def chunks(
        self, split: str, begin: int, end: int, preprocessing: Preprocessing
    ) -> Iterator[Tensor]:
        """Of the scenes as they were drawn, at once: they are small, and in memory."""
        yield drawn(self.splits[split])[begin:end]

    def pictures(
        self, split: str, looks: Sequence[Preprocessing] = (), leave: Leave = lambda: None
    ) -> Tensor:
        """As they were drawn; every encoder resizes them by itself."""
        return drawn(self.splits[split])

    def boxes(self, split: str, looks: Sequence[Preprocessing] = ()) -> ObjectBoxes | None:
        """Of all that was drawn."""
        return object_boxes(self.splits[split])

    def clutter(self, split: str) -> Tensor:
        """By the objects, and by what they cover of each other."""
        return clutter_of(self.splits[split])

    def label_sets(self, count: int) -> Tensor:
        """Of scenes that are never drawn. Those of the training scenes are not among them: a
        decoder without a fold must not have read its labels either (trap 6)."""
        scenes = self.splits["train"]
        more = SceneDataset(len(scenes) + count, "train", scenes.config)
        return torch.from_numpy(label_matrix(more)[len(scenes):])

    def facts(self) -> dict[str, Any]:
        """Nothing: the configuration says it all."""
        return {}
