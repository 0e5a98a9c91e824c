"""A stage of training as data: what learns, how fast, for how long, and on what (seed 000, 4).

No torch here: the command line reads stages to print and to check them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

SCHEDULES = ("constant", "cosine", "one_cycle")


@dataclass(frozen=True)
class Part:
    """A module that learns in a stage.

    Attributes:
        module: its name in the model, such as "clip.vision"; "" is the whole model.
        lr: peak rate of its last layers.
        layer_decay: the share of the rate that each layer leaves to the one below; 1 for none.
        statistics: its BatchNorms go on measuring. A pretrained network's should not: the batches
            of a stage are small, and shift what all layers above have learnt (trap 15).

    Raises:
        ValueError: a rate below 0, or a decay outside (0, 1].
    """

    module: str
    lr: float
    layer_decay: float = 1.0
    statistics: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.lr < math.inf:
            raise ValueError(f"lr of {self.module!r} is {self.lr}; give a finite number >= 0")
        if not 0 < self.layer_decay <= 1:
            raise ValueError(
                f"layer_decay of {self.module!r} is {self.layer_decay}; give a share above 0, up "
                "to 1"
            )


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: for progress, logs and errors.
        parts: what learns; all else is frozen, in the three meanings of trap 15.
        epochs: passes over the rows; 0 passes the stage over.
        batch_size: B of one step of the optimiser, over all processes and accumulated parts.
        accumulate: parts in which a process computes its share of a batch, one after another.
        schedule, warmup: see `training.schedules`.
        weight_decay, clip: of AdamW; the largest norm of the gradient, 0 for any.
        ema: decay of the moving average that is validated and kept; 0 for none.
        patience: epochs without a better score after which the stage ends; 0 for never.
        weights: of the loss's terms, by their names.
        curriculum: "" or what makes an image hard, by a name that the task knows.
        begin, full: the share of the rows that is admitted at first, and the share of all epochs
            with that curriculum, over the stages, after which all are.
        augment: "" or the name of an augmentation that the task knows.

    Raises:
        ValueError: a setting that makes no sense, named.
    """

    name: str
    parts: tuple[Part, ...]
    epochs: int
    batch_size: int = 64
    accumulate: int = 1
    schedule: str = "cosine"
    warmup: float = 0.1
    weight_decay: float = 0.05
    clip: float = 1.0
    ema: float = 0.0
    patience: int = 0
    weights: Mapping[str, float] = field(default_factory=dict)
    curriculum: str = ""
    begin: float = 0.3
    full: float = 0.5
    augment: str = ""

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise ValueError(
                f"schedule is {self.schedule!r}; choose one of {', '.join(SCHEDULES)}"
            )
        for name, least in (("epochs", 0), ("batch_size", 1), ("accumulate", 1), ("patience", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; give {least} or more")
        for name in ("weight_decay", "clip"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}; give a finite number >= 0")
        for name in ("warmup", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; give a share from 0 to below 1")
        if not 0 < self.begin <= 1:
            raise ValueError(f"begin is {self.begin}; give a share above 0, up to 1")
        if not 0 <= self.full <= 1:
            raise ValueError(f"full is {self.full}; give a share from 0 to 1")
        for term, weight in self.weights.items():
            if not 0 <= weight < math.inf:
                raise ValueError(f"the weight of {term} is {weight}; give a finite number >= 0")
        if not self.parts and self.epochs:
            raise ValueError(f"nothing learns in stage {self.name!r}; name a part")
        if len({part.module for part in self.parts}) < len(self.parts):
            raise ValueError(f"stage {self.name!r} names a part twice")

    def to_dict(self) -> dict[str, Any]:
        """Plain data, to be written and compared."""
        return {**asdict(self), "weights": dict(self.weights)}


def gradually(
    stage: Stage, layers: tuple[str, ...], lr: float, share: float = 0.4
) -> list[Stage]:
    """Gradual unfreezing: the same stage, with one module more at a time, from the last one down
    (seed 001; Howard and Ruder 2018, arXiv 1801.06146).

    Args:
        stage: what learns from the start; its epochs are those of each step.
        layers: names of modules, the last layers first.
        lr: peak rate of the first that is unfrozen.
        share: each next one's rate as a share of the one before, in (0, 1].

    Raises:
        ValueError: a share outside (0, 1], or a layer that learns already.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share is {share}; give a number above 0, up to 1")
    stages = [stage]
    for number, layer in enumerate(layers, start=1):
        parts = (*stages[-1].parts, Part(layer, lr * share ** (number - 1)))
        options = {name: getattr(stage, name) for name in stage.__dataclass_fields__}
        stages.append(Stage(**{**options, "name": f"{stage.name} + {layer}", "parts": parts}))
    return stages
