"""Ways to train the hybrid, as stages: the plans that lesson 06 compares (seeds 000 and 001).

No torch here: the command line reads them to print its help.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from hybridlab.configs import DemoConfig
from hybridlab.training.stage import SCHEDULES, Part, Stage, gradually

PLANS = ("frozen", "gentle", "brutal", "gradual", "joined", "end_to_end")
JOINT = ("fusion", "label_head", "contrastive_head", "own")


@dataclass(frozen=True)
class TrainPlan:
    """How the hybrid is trained, beside the sizes and rates of `DemoConfig`.

    Attributes:
        plan: "frozen", phase 1 alone; "gentle", then phase 2 with CLIP's tower at its low rate;
            "brutal", the same at the rate of the fusion, to see what it destroys; "gradual", the
            tower block by block from its top; "joined", phase 2 with the CNN-RNN learning, too;
            "end_to_end", everything from the start for as many epochs as the phases together.
        encoder_epochs: phase 0, the CNN with a linear head; 0 leaves its ImageNet weights.
        language_epochs: phase 0, the decoder on label sequences alone before it sees a map.
        language_sets: label sets for that, drawn from the world without pictures, beside those of
            the training scenes; 0 takes the latter.
        augment: of the pictures, where an encoder learns: "", "clip", "crop" or "colour".
        curriculum: "" or "labels" or "clutter": easy scenes first in the joint phases.
        schedule: of all stages.
        layer_decay: the share of its rate that each layer of a tower leaves to the one below.
        cnn_lr: peak rate of the CNN where it learns.
        gamma: weight of the decoder's own loss where it learns with the fusion.
        ema: decay of the moving average of the weights in the joint phases; 0 for none.
        accumulate: parts in which a batch is computed.
        patience: epochs without a better score after which a stage ends; 0 for never.
        save_every: steps between checkpoints, beside those at each epoch's end; 0 for none.

    Raises:
        ValueError: an unknown choice or a number out of range.
    """

    plan: Literal["frozen", "gentle", "brutal", "gradual", "joined", "end_to_end"] = "gentle"
    encoder_epochs: int = 0
    language_epochs: int = 0
    language_sets: int = 0
    augment: Literal["", "clip", "crop", "colour"] = ""
    curriculum: Literal["", "labels", "clutter"] = ""
    schedule: Literal["cosine", "one_cycle", "constant"] = "cosine"
    layer_decay: float = 0.7
    cnn_lr: float = 1e-4
    gamma: float = 0.1
    ema: float = 0.0
    accumulate: int = 1
    patience: int = 0
    save_every: int = 50

    def __post_init__(self) -> None:
        for name, known in (("plan", PLANS), ("augment", ("", "clip", "crop", "colour")),
                            ("curriculum", ("", "labels", "clutter")), ("schedule", SCHEDULES)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}; choose one of {known}")
        for name, least in (("encoder_epochs", 0), ("language_epochs", 0), ("language_sets", 0),
                            ("accumulate", 1), ("patience", 0), ("save_every", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; give {least} or more")
        for name in ("cnn_lr", "gamma"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}; give a finite number >= 0")
        if not 0 < self.layer_decay <= 1:
            raise ValueError(f"layer_decay is {self.layer_decay}; give a share above 0, up to 1")
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema is {self.ema}; give a share from 0 to below 1")

    def to_dict(self) -> dict[str, Any]:
        """Plain data, to be written and compared."""
        return asdict(self)

    @property
    def crossfits(self) -> bool:
        """Whether the fusion learns from opinions of decoders that have not seen the scene; a
        decoder that learns with it from the start has none."""
        return self.plan != "end_to_end"


def check_plan(config: DemoConfig, plan: TrainPlan) -> None:
    """Refuse what would fail only after phase 0, which takes minutes or hours.

    Raises:
        ValueError: says what to change.
    """
    if not (config.alpha or config.beta):
        raise ValueError(
            "alpha and beta are both 0, so the joint stages would learn nothing; give one above 0"
        )
    crossed = plan.crossfits and config.view == "evidence" and config.hears_decoder
    if crossed and config.train < config.folds:
        raise ValueError(
            f"there are {config.train} training scenes for {config.folds} folds; give --train "
            f"{config.folds} or more, or --folds 1"
        )
    epochs = config.fusion_epochs + config.tune_epochs * (plan.plan != "frozen")
    if plan.curriculum and plan.plan != "end_to_end" and epochs == 1:
        raise ValueError(
            "a curriculum needs two epochs or more in the joint stages, or the hard scenes are "
            "never seen; give more --fusion-epochs, or no curriculum"
        )
    if plan.plan == "gradual" and config.tune_epochs == 1:
        raise ValueError(
            "plan 'gradual' unfreezes the tower step by step, an epoch or more each, and "
            "tune_epochs is 1; give --tune-epochs 2 or more"
        )


def encoder_stages(config: DemoConfig, plan: TrainPlan) -> list[Stage]:
    """Phase 0 of the CNN: its head first, then all of it, the lower layers more slowly."""
    common = _common(config, plan)
    return [
        Stage("phase 0: head of the CNN", (Part("head", config.fusion_lr),), epochs=1, **common),
        Stage(
            "phase 0: CNN",
            (Part("head", 0.1 * config.fusion_lr), Part("cnn", plan.cnn_lr, plan.layer_decay)),
            epochs=plan.encoder_epochs, augment=plan.augment, **common,
        ),
    ]


def language_stage(config: DemoConfig, plan: TrainPlan) -> Stage:
    """Phase 0 of the decoder without pictures."""
    return Stage(
        "phase 0: label sequences", (Part("", config.lr),), epochs=plan.language_epochs,
        **_common(config, plan),
    )


def decoder_stage(config: DemoConfig, plan: TrainPlan, name: str = "decoder") -> Stage:
    """Phase 0 of the decoder on the tokens of the CNN."""
    return Stage(
        f"phase 0: {name}", (Part("", config.lr),), epochs=config.decoder_epochs,
        **_common(config, plan),
    )


def joint_stages(
    config: DemoConfig, plan: TrainPlan, own_opinion: bool, blocks: Sequence[str] = ()
) -> list[Stage]:
    """Phases 1 and 2, or what a plan puts in their place.

    Args:
        own_opinion: the model has such a part.
        blocks: modules of CLIP's tower, the last ones first, for the plan "gradual".

    Raises:
        ValueError: the plan is "gradual" and no blocks are known.
    """
    weights = {"classification": config.alpha, "contrastive": config.beta}
    names = JOINT if own_opinion else JOINT[:-1]
    common = {**_common(config, plan), "weights": weights, "ema": plan.ema,
              "curriculum": plan.curriculum}
    first = Stage(
        "phase 1: fusion", tuple(Part(name, config.fusion_lr) for name in names),
        epochs=config.fusion_epochs, **common,
    )
    joint = tuple(Part(name, 0.1 * config.fusion_lr) for name in names)
    second = {"epochs": config.tune_epochs, "augment": plan.augment, **common}
    tower = Part("clip.vision", config.vision_lr, plan.layer_decay)
    cnn_rnn = (Part("cnn", plan.cnn_lr, plan.layer_decay), Part("decoder", 0.1 * config.lr))
    with_decoder = {**second, "weights": {**weights, "decoder": plan.gamma}}
    if plan.plan == "frozen":
        return [first]
    if plan.plan == "gentle":
        return [first, Stage("phase 2: CLIP's tower, gently", (*joint, tower), **second)]
    if plan.plan == "brutal":
        wild = Part("clip.vision", config.fusion_lr)
        return [first, Stage("phase 2: CLIP's tower, brutally", (*joint, wild), **second)]
    if plan.plan == "joined":
        return [first, Stage("phase 2: both towers", (*joint, tower, *cnn_rnn), **with_decoder)]
    if plan.plan == "gradual":
        if not blocks:
            raise ValueError("plan 'gradual' needs the blocks of the tower, and none are known")
        begin = Stage("phase 2", (*joint, Part(blocks[0], config.vision_lr)), **second)
        # the epochs of phase 2 are shared out, so that all plans take as many steps
        steps = gradually(begin, tuple(blocks[1:]), plan.layer_decay * config.vision_lr,
                          plan.layer_decay)
        return [first, *_shared(steps, config.tune_epochs)]
    parts = (*(Part(name, config.fusion_lr) for name in names), tower,
             cnn_rnn[0], Part("decoder", config.lr))
    epochs = config.decoder_epochs + config.fusion_epochs + config.tune_epochs
    return [Stage("end to end", parts, **{**with_decoder, "epochs": epochs,
                                          "weights": {**weights, "decoder": 1.0}})]


def _shared(stages: Sequence[Stage], epochs: int) -> list[Stage]:
    """The stages with `epochs` among them: the last ones, which unfreeze most, get what is over;
    with fewer epochs than stages, steps of unfreezing are taken together."""
    kept = list(stages)
    if epochs < len(kept):
        at = [round((number + 1) * len(kept) / max(1, epochs)) - 1 for number in range(epochs)]
        kept = [kept[each] for each in at]
    each, over = divmod(epochs, max(1, len(kept)))
    return [
        replace(stage, epochs=each + (number >= len(kept) - over))
        for number, stage in enumerate(kept)
    ]


def _common(config: DemoConfig, plan: TrainPlan) -> dict[str, Any]:
    return {"batch_size": config.batch_size, "schedule": plan.schedule,
            "accumulate": plan.accumulate, "patience": plan.patience}
