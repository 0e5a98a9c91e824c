"""What each way to train the hybrid brings, and what CLIP's tower forgets on the way.

    hybridlab reproduce 06

The switches that any plan may take have a study of their own, `stage_switches`.

All plans take as many epochs in phase 2. "End to end" takes as many as all phases together, each of
which costs more, for everything learns in it. Phase 0 is the same for all plans of a seed, and is
done once. The tower's knowledge is measured by words alone, before and after: on the test scenes,
and on things that no scene shows (`zeroshot.naming`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock

from hybridlab.ablation.runs import RunResult
from hybridlab.ablation.study import Study
from hybridlab.configs import DemoConfig
from hybridlab.data.world import SceneConfig
from hybridlab.evaluation.metrics import mean_ap
from hybridlab.evaluation.thresholds import per_label_thresholds
from hybridlab.part_keys import short_hash
from hybridlab.staged import Components, StagedRun
from hybridlab.training.decoding import decode_all
from hybridlab.training.devices import DeviceConfig
from hybridlab.training.plans import TrainPlan

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_CONFIG = tuple(field.name for field in fields(DemoConfig) if field.name != "seed")
_PLAN = tuple(field.name for field in fields(TrainPlan))
# what phase 0 depends on, and what it does if the CNN learns in it
_PHASE_0 = (
    "seed", "train", "val", "batch_size", "cnn_size", "cnn_stage", "cnn_places", "folds", "order",
    "read", "decoder_epochs", "lr", "dim", "view", "encoder_epochs", "language_epochs",
    "language_sets", "schedule", "accumulate", "patience",
)
_OF_CNN = ("cnn_lr", "layer_decay", "classification", "fusion_lr", "augment")
_SIZES = DemoConfig(
    train=800, val=300, test=500, cnn_size=128, decoder_epochs=10, fusion_epochs=12, tune_epochs=4,
    fusion="class_attention", tokens="map", own_opinion=True, read="gelu", beta=0.1,
)
RECIPE: dict[str, Any] = {
    "world_seed": 0,
    **{name: list(value) if isinstance(value, tuple) else value
       for name, value in _SIZES.to_dict().items() if name in _CONFIG},
    **TrainPlan(save_every=0).to_dict(),
}
GENTLY, FROZEN = "gently", "CLIP frozen"
LANGUAGE = "CLIP frozen, decoder begins with label sequences"
CNN_FIRST = "CLIP frozen, CNN trained first"
METRICS = ("mean_ap", "of1", "exact_match")


def run(config: Mapping[str, Any], seed: int, store: Path) -> RunResult:
    """Train by a plan, and measure on the test scenes with thresholds from the validation scenes.

    Args:
        config: `RECIPE` with some values changed.
        seed: of the weights, the batches, the folds and the augmentation.
        store: folder that runs share; phase 0 is kept there.

    Raises:
        ValueError: an unknown setting.
    """
    if strange := sorted(set(config) - {"world_seed", *_CONFIG, *_PLAN}):
        raise ValueError(f"unknown settings {strange}; see DemoConfig and TrainPlan")
    settings = {name: config[name] for name in _CONFIG if name in config}
    settings["linear_rates"] = tuple(settings.get("linear_rates", (1e-3,)))
    demo = DemoConfig(**settings, seed=seed)
    plan = TrainPlan(**{name: config[name] for name in _PLAN if name in config})
    first = {name: value for name, value in {**demo.to_dict(), **plan.to_dict()}.items()
             if name in _PHASE_0 + (_OF_CNN if plan.encoder_epochs else ())}
    place = store / f"phase-0-{short_hash(repr(sorted(first.items())))}"
    place.mkdir(parents=True, exist_ok=True)
    staged = StagedRun(
        demo, plan, DeviceConfig(), _fabric(), None, store, phase_0=place, quiet=True,
        scenes=SceneConfig(seed=config["world_seed"]),
    )
    with FileLock(place / ".lock"):  # of runs that share it, one does it
        components = staged.phase_zero()
    alone = _alone(components, staged) if plan.crossfits else {}
    trained = staged.all_parts(components)
    truth = staged.targets["test"].numpy().astype(np.int8)
    limits = per_label_thresholds(trained.probs["val"], staged.targets["val"].numpy())
    scores = trained.probs["test"]
    parts = {part.module for stage in staged.joint_stages(trained.model) for part in stage.parts}
    learning = {value: value.numel() for name in parts
                for value in trained.model.get_submodule(name).parameters()}
    return RunResult(
        scores.astype(np.float32), scores >= limits.values, truth, np.arange(len(truth)),
        parameters=sum(learning.values()),
        extra={**alone, **{f"{name}_{when}": value for name, both in trained.known.items()
                           for when, value in both.items()}},
    )


def _alone(components: Components, staged: StagedRun) -> dict[str, float]:
    """What the decoder writes by itself after phase 0: mAP, and sets that are right as a whole."""
    decoded = decode_all(components.decoder, components.tokens["test"])
    truth = staged.targets["test"].numpy()
    chosen = decoded.chosen.numpy()
    return {
        "decoder_mean_ap": float(mean_ap(decoded.probs.numpy(), truth).value),
        "decoder_exact_match": float((chosen == (truth > 0)).all(axis=1).mean()),
    }


@lru_cache(maxsize=1)
def _fabric() -> Fabric:
    from lightning_fabric import Fabric

    fabric = Fabric(accelerator="cpu", devices=1)
    fabric.launch()
    return fabric


_FROZEN = {"plan": "frozen"}


def stage_study(
    name: str, question: str, variants: dict[str, dict[str, Any]], hypotheses: dict[str, str]
) -> Study:
    """Some ways to train, against the tower tuned gently."""
    return Study(
        name=name, question=question, run="hybridlab.studies.stages:run", recipe=RECIPE,
        variants={GENTLY: {}, **variants}, reference=GENTLY, seeds=range(5), metrics=METRICS,
        hypotheses=hypotheses,
    )


# Written before the first run.
STUDY = stage_study(
    "stages",
    "What does each phase bring, and what does it cost CLIP's tower?",
    {
        FROZEN: _FROZEN,
        "brutally": {"plan": "brutal"},
        "block by block": {"plan": "gradual"},
        "the CNN-RNN joins": {"plan": "joined"},
        "end to end": {"plan": "end_to_end"},
        "gently, one rate for all layers": {"layer_decay": 1.0},
        "gently, no texts": {"beta": 0.0},
        "gently, texts as much as labels": {"beta": 1.0},
        LANGUAGE: {**_FROZEN, "language_epochs": 10, "language_sets": 8000},
        CNN_FIRST: {**_FROZEN, "encoder_epochs": 4},
    },
    {
        FROZEN: "Behind by 3 mAP or more: the tower has never seen such scenes.",
        "brutally": "Behind, and the tower names hardly anything any more.",
        "block by block": "No difference in mAP; the tower keeps more.",
        "the CNN-RNN joins": "No difference, or behind: its opinions of the training scenes are "
        "no longer those of a stranger.",
        "end to end": "Behind at equal epochs: the fusion begins with a decoder that knows "
        "nothing.",
        "gently, one rate for all layers": "No difference in mAP; the tower keeps less.",
        "gently, no texts": "No difference in mAP; the tower keeps less of what words mean.",
        "gently, texts as much as labels": "Behind; the zero-shot score of the scenes rises most.",
        LANGUAGE: "No difference to CLIP frozen: class attention hardly hears the decoder, though "
        "the decoder by itself writes more sets that are right.",
        CNN_FIRST: "Ahead of CLIP frozen by 3 mAP or more.",
    },
)
ALSO_AGAINST = (FROZEN, "brutally")
