"""Seed 000, part by part: its whole recipe, and what each part of it is worth (lesson 08).

    hybridlab ablate hybridlab.studies.seed_000 --estimate
    hybridlab ablate hybridlab.studies.seed_000

The reference has all that the seed asks for: a CNN-RNN and CLIP, joined by concatenation, phases 1
and 2, a contrastive head, few labels first, CLIP-style augmentation, a threshold for each label.
Each variant leaves one part out or puts another in its place: a leave-one-out table. One thing is
not as the seed has it: the CNN-RNN brings its cross-fitted opinions, since hidden states of scenes
that it has learnt mislead the fusion (trap 6); the seed's own way is a variant.

Some 65 core-minutes for five seeds: 2.5 for the first run, a fraction of one where only decisions
differ. Phase 0 is shared with the studies of lesson 06 that have the same sizes, and a trained
hybrid by all variants that only decide otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock

from hybridlab.ablation.runs import RunResult
from hybridlab.ablation.study import Study
from hybridlab.configs import DemoConfig
from hybridlab.data.world import SceneConfig
from hybridlab.evaluation.mixing import mixed
from hybridlab.evaluation.thresholds import global_threshold, per_label_thresholds
from hybridlab.part_keys import short_hash
from hybridlab.staged import Components, StagedRun
from hybridlab.studies.fusions import RATES
from hybridlab.studies.settings import check_settings
from hybridlab.studies.stages import _CONFIG, _OF_CNN, _PHASE_0, _PLAN, _fabric
from hybridlab.studies.stages import RECIPE as STAGES
from hybridlab.training.decoding import decode_all
from hybridlab.training.devices import DeviceConfig
from hybridlab.training.feature_cache import Tensors, cached
from hybridlab.training.plans import TrainPlan
from hybridlab.training.sources import training_code

THRESHOLDS = ("half", "one", "per_label")
OF = ("hybrid", "cnn_rnn", "both")
_OWN = ("thresholds", "of")
RECIPE: dict[str, Any] = {
    **STAGES,
    "fusion": "concat", "fusion_lr": RATES["concat"], "tokens": "steps", "own_opinion": False,
    "augment": "clip", "curriculum": "labels",
    "thresholds": "per_label",  # "one" for all labels; "half", 0.5 for all
    "of": "hybrid",  # whose probabilities: "cnn_rnn", the decoder's own; "both", an ensemble
}


def run(config: Mapping[str, Any], seed: int, store: Path) -> RunResult:
    """Train the hybrid (or find it in the store), and decide.

    Args:
        config: `RECIPE` with some values changed. "of" and "thresholds" change nothing in the
            training; weights of the ensemble and thresholds are fitted on validation scenes.
        seed: of the weights, the batches, the folds and the augmentation.
        store: folder that runs share.

    Raises:
        ValueError: an unknown setting or value.
    """
    check_settings(config, RECIPE, thresholds=THRESHOLDS, of=OF)
    staged, place = _staged(config, seed, store)
    truth = {split: staged.targets[split].numpy() for split in ("val", "test")}
    extra: dict[str, float] = {}
    if config["of"] == "cnn_rnn":
        with FileLock(place / ".lock"):
            components = staged.phase_zero()
        val, test = _decoded(components)
        parameters, seconds = sum(each.numel() for each in components.decoder.parameters()), {}
    else:
        found = _trained(config, seed, store, staged, place)
        val, test = found["val"].numpy(), found["test"].numpy()
        parameters, seconds = int(found["parameters"]), {"joint": float(found["seconds"])}
        if config["of"] == "both":
            own = found["decoder val"].numpy(), found["decoder test"].numpy()
            (val, test), extra["weight"] = mixed((val, test), own, truth["val"])
    return RunResult(
        test.astype(np.float32), test >= _limits(config["thresholds"], val, truth["val"]),
        truth["test"].astype(np.int8), np.arange(len(test)), parameters=parameters,
        seconds=seconds, extra=extra,
    )


def _limits(kind: str, val: np.ndarray, truth: np.ndarray) -> np.ndarray | float:
    if kind == "half":
        return 0.5
    if kind == "one":
        return global_threshold(val, truth)
    return per_label_thresholds(val, truth).values


def _staged(config: Mapping[str, Any], seed: int, store: Path) -> tuple[StagedRun, Path]:
    """The run, and where its phase 0 is: the same place as in `stages`."""
    settings = {name: config[name] for name in _CONFIG if name in config}
    settings["linear_rates"] = tuple(settings["linear_rates"])
    demo = DemoConfig(**settings, seed=seed)
    plan = TrainPlan(**{name: config[name] for name in _PLAN if name in config})
    first = {name: value for name, value in {**demo.to_dict(), **plan.to_dict()}.items()
             if name in _PHASE_0 + (_OF_CNN if plan.encoder_epochs else ())}
    place = store / f"phase-0-{short_hash(repr(sorted(first.items())))}"
    place.mkdir(parents=True, exist_ok=True)
    return StagedRun(
        demo, plan, DeviceConfig(), _fabric(), None, store, phase_0=place, quiet=True,
        scenes=SceneConfig(seed=config["world_seed"]),
    ), place


def _trained(
    config: Mapping[str, Any], seed: int, store: Path, staged: StagedRun, place: Path
) -> Tensors:
    """Probabilities of the hybrid and of its decoder on both splits, and what they cost."""
    def compute() -> Tensors:
        with FileLock(place / ".lock"):  # of runs that share phase 0, one does it
            components = staged.phase_zero()
        clock = time.perf_counter()
        trained = staged.all_parts(components)
        seconds = time.perf_counter() - clock
        parts = {part.module for stage in staged.joint_stages(trained.model)
                 for part in stage.parts}
        learning = {value: value.numel() for name in parts
                    for value in trained.model.get_submodule(name).parameters()}
        own = _decoded(components)
        return {
            **{split: torch.from_numpy(trained.probs[split]) for split in ("val", "test")},
            "decoder val": torch.from_numpy(own[0]), "decoder test": torch.from_numpy(own[1]),
            "parameters": torch.tensor(sum(learning.values())),
            "seconds": torch.tensor(seconds, dtype=torch.float64),
        }

    here = Path(__file__).read_bytes().replace(b"\r\n", b"\n").decode()
    settings = sorted((name, repr(value)) for name, value in config.items() if name not in _OWN)
    facts = repr([settings, seed, training_code(), here, torch.__version__])
    return cached(store, f"seed-000-{short_hash(facts)}", compute)


def _decoded(components: Components) -> tuple[np.ndarray, np.ndarray]:
    """The decoder's own probabilities on validation and test scenes."""
    val, test = (decode_all(components.decoder, components.tokens[split]).probs.numpy()
                 for split in ("val", "test"))
    return val, test


WHOLE = "the whole recipe"
VARIANTS: dict[str, dict[str, Any]] = {
    WHOLE: {},
    "CNN-RNN only": {"of": "cnn_rnn"},
    "CLIP only": {"without": "cnn_rnn"},
    "cross-attention": {
        "fusion": "cross_attention", "fusion_lr": RATES["cross-attention, steps and patches"]},
    "the decoder's hidden state": {"view": "state"},
    "no contrastive head": {"beta": 0.0},
    "no phase 2": {"plan": "frozen"},
    "no curriculum": {"curriculum": ""},
    "no augmentation": {"augment": ""},
    "one threshold": {"thresholds": "one"},
    "0.5 for all": {"thresholds": "half"},
    "ensemble with the CNN-RNN": {"of": "both"},
}
STUDY = Study(
    name="seed_000",
    question="What is each part of seed 000's recipe worth?",
    run="hybridlab.studies.seed_000:run",
    recipe=RECIPE,
    variants=VARIANTS,
    reference=WHOLE,
    seeds=range(5),
    # thresholds move no ranking, so a metric of decisions judges
    metrics=("of1", "mean_ap", "cf1", "macro_f1", "exact_match"),
    # Written before the first run, after those of lessons 00 to 06.
    hypotheses={
        "CNN-RNN only": "Worse, by 10 points or more: with 800 scenes a decoder learns little.",
        "CLIP only": "Worse by less than 2 points: the fusion hardly needs so weak a decoder.",
        "cross-attention": "No difference: it still makes one vector.",
        "the decoder's hidden state": "Worse: states of scenes that it knows by heart mislead.",
        "no contrastive head": "No difference.",
        "no phase 2": "Worse by 2 points or more: the tower has never seen such scenes.",
        "no curriculum": "No difference.",
        "no augmentation": "No difference in four epochs of phase 2.",
        "one threshold": "No difference: 300 scenes hold few positives of a label.",
        "0.5 for all": "Worse by 5 points or more: rare labels seldom reach a half.",
        "ensemble with the CNN-RNN": "No difference: the fusion has heard its opinions.",
    },
)
