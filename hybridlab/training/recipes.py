"""How a label decoder is trained: its parts, the order of the labels, and what it is fed.

No torch here: studies and the command line read recipes to print and to check them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hybridlab.configs import CELLS, LOOKS, ORDERS, OUTPUTS, READS

ALIGNED = ("pla", "mla")  # found in training; they are free-running by their definition (trap 4)
FEEDING = ("teacher", "scheduled", "free")


@dataclass(frozen=True)
class DecoderRecipe:
    """One way to train a `LabelDecoder`.

    Attributes:
        cell, layers, look, output, feed_image, read, dim, dropout: of the decoder.
        max_steps: T of its free-running decoding; 0 takes the most labels of a training image,
            STOP, and one to spare.
        order: "frequent" or "rare" first, "random" anew for each batch, by "size" or in "reading"
            order where boxes are known, or aligned in training: "pla", "mla".
        feeding: what a step of training is told: "teacher", the true label before it;
            "scheduled", that or the decoder's own, by a coin that turns from the first to the
            second; "free", its own. "pla" and "mla" are always free.
        least_truth: the truth's share at the end of scheduled sampling.
        epochs, batch_size, lr, weight_decay: of the training.

    Raises:
        ValueError: an unknown choice or a number out of range.
    """

    cell: str = "gru"
    layers: int = 2
    look: str = "attention"
    output: str = "linear"
    feed_image: bool = True
    read: str = "linear"
    dim: int = 256
    dropout: float = 0.3
    max_steps: int = 0
    order: str = "frequent"
    feeding: str = "teacher"
    least_truth: float = 0.25
    epochs: int = 8
    batch_size: int = 64
    lr: float = 2e-3
    weight_decay: float = 0.05

    def __post_init__(self) -> None:
        for name, known in (("order", ORDERS), ("feeding", FEEDING), ("cell", CELLS),
                            ("look", LOOKS), ("output", OUTPUTS), ("read", READS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}; choose one of {', '.join(known)}"
                )
        if self.order in ALIGNED and self.feeding != "free":
            raise ValueError(
                f"order {self.order!r} aligns what a free-running decoder says, but feeding is "
                f"{self.feeding!r}; give feeding='free' (with teacher forcing it would be another "
                "method)"
            )
        for name, least in (("epochs", 0), ("batch_size", 1), ("max_steps", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; give {least} or more")
        if not 0 <= self.least_truth <= 1:
            raise ValueError(f"least_truth is {self.least_truth}; give a share, from 0 to 1")
        for name in ("lr", "weight_decay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}; give a finite number >= 0")

    def decoder_options(self) -> dict[str, object]:
        """Those that `LabelDecoder` takes, but for max_steps."""
        names = ("cell", "layers", "look", "output", "feed_image", "read", "dim", "dropout")
        return {name: getattr(self, name) for name in names}


def truth_share(progress: float, least: float) -> float:
    """Scheduled sampling: how often a step is told the truth, falling evenly from 1 to `least`
    (Bengio et al. 2015, section 2.4).

    Args:
        progress: of the training, from 0 to 1.
        least: the share at the end, in [0, 1].

    Raises:
        ValueError: progress or least outside [0, 1].
    """
    if not (0 <= progress <= 1 and 0 <= least <= 1):
        raise ValueError(f"progress is {progress} and least {least}; both are shares from 0 to 1")
    return 1 - (1 - least) * progress
