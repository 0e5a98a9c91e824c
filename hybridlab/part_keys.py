"""What each part of an experiment depends on, and the key that follows from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

from hybridlab.configs import DemoConfig
from hybridlab.data.scenes import SPLITS
from hybridlab.fusion import ATTENTIVE
from hybridlab.training.sources import training_code


@dataclass(frozen=True)
class Reads:
    """What a part is made from.

    Attributes:
        parts: names of other parts; "{which}" stands for its own split or view.
        settings: fields of the configuration.
    """

    parts: tuple[str, ...]
    settings: tuple[str, ...] = ()


_TRAINING = ("seed", "batch_size")
_DECODER = ("decoder_epochs", "lr", "dim", "order", "read")
FEATURES = ("cnn", "clip")
READS = {
    "linear": Reads(
        tuple(f"{{which}} {split}" for split in SPLITS),
        (*_TRAINING, "linear_epochs", "linear_rates"),
    ),
    "decoder": Reads(("cnn train", "cnn val"), (*_TRAINING, *_DECODER)),
    "decoded": Reads(("decoder", "cnn {which}")),
    "steps": Reads(("decoder", "cnn {which}")),
    "cross-fit": Reads(("cnn train",), (*_TRAINING, *_DECODER, "folds")),
    "fusion": Reads(  # and the decoder's parts, by view: see `parts_read`
        tuple(f"clip {split}" for split in SPLITS),
        (*_TRAINING, "view", "fusion", "fusion_options", "tokens", "own_opinion", "without", "dim",
         "dropout", "fusion_epochs", "fusion_lr", "alpha", "beta", "weights", "classification",
         "alignment"),
    ),
    "tuned": Reads(("fusion",), (*_TRAINING, "tune_epochs", "vision_lr", "fusion_lr")),
}


def parts_read(part: str, config: DemoConfig) -> list[str]:
    """The parts that a part is made from; features are made from nothing that is kept."""
    kind, _, which = part.partition(" ")
    if kind in FEATURES:
        return []
    named = [name.format(which=which) for name in READS[kind].parts]
    attends = kind == "fusion" and config.fusion in ATTENTIVE
    if kind == "fusion" and (config.view == "map" or (attends and config.tokens == "map")):
        named += [f"cnn {split}" for split in SPLITS]
    if kind == "fusion" and config.hears_decoder:
        whole = "steps" if attends and config.tokens == "steps" else "decoded"
        named += ["decoder", *(f"{whole} {split}" for split in SPLITS)]
        if config.view == "evidence" and config.folds > 1:
            named.append("cross-fit")
    return named


def all_parts(part: str, config: DemoConfig) -> set[str]:
    """The part, those it is made from, and so on down."""
    found = {part}
    for other in parts_read(part, config):
        found |= all_parts(other, config)
    return found


def part_key(
    part: str, config: DemoConfig, key_of: Callable[[str], str], texts: str
) -> str:
    """A hash of the parts and settings that a part reads, and of the code that trains.

    Args:
        part: "KIND" or "KIND WHICH", such as "linear cnn".
        key_of: the key of another part.
        texts: a hash of the label texts, which the contrastive head compares with.
    """
    facts = {
        "part": part,
        "settings": {name: getattr(config, name) for name in READS[part.split(" ")[0]].settings},
        "from": [key_of(other) for other in parts_read(part, config)],
        "texts": texts if part in ("fusion", "tuned") else "",
        "code": training_code(),
        "torch": version("torch"),
    }
    return short_hash(json.dumps(facts, sort_keys=True))


def short_hash(text: str) -> str:
    """32 hexadecimal characters of SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
