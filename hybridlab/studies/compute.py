"""Four ways to learn from pictures with captions, at equal training compute (lesson 03, seed 004).

    hybridlab reproduce 03

Compute is counted in floating-point operations (`hybridlab.pretraining.budget`), so that a method
with a cheap head takes more steps. Each method is trained once with each seed, to the largest
budget, and measured as it passes each smaller one: the rate is constant after its warm-up, so what
is measured there is what a shorter run would have given.

Learnt from: lesson 03's pictures of 1 to 4 emoji of 100, with captions. Tested on: the default
scenes, by the score of "a picture of LABEL" for each of the 80 labels. No scene was trained on, and
no annotation of a label.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hybridlab.ablation.fingerprint import code_fingerprint
from hybridlab.ablation.runs import RunResult
from hybridlab.ablation.study import Study
from hybridlab.data.captioned import CaptionedPictures
from hybridlab.data.scenes import SceneDataset
from hybridlab.data.world import SceneConfig
from hybridlab.evaluation.top_k import top_k_decisions
from hybridlab.part_keys import short_hash
from hybridlab.pretraining.budget import TERA, mean_step_flops, steps_within
from hybridlab.pretraining.learn import Learner, Recipe
from hybridlab.pretraining.methods import Method, build_method, to_pixels
from hybridlab.pretraining.pairs import draw_pairs
from hybridlab.pretraining.words import caption_vocabulary
from hybridlab.training.feature_cache import Tensors, cached
from hybridlab.training.features import scene_images

COMPARED = ("clip", "bow", "prefix", "cross")
BUDGETS = (0.8, 1.6, 3.2, 6.4)  # TFLOP; the largest gives CLIP some 390 steps

# method -> rates of the head and of the trunk: each method's own best on validation scenes, of the
# trials in `hybridlab.studies.compute_rates`. One choice for all would be a comparison of rates.
RATES: dict[str, tuple[float, float]] = {
    "clip": (1e-3, 5e-4), "bow": (2e-3, 1e-3), "prefix": (1e-3, 5e-4), "cross": (3e-3, 5e-4),
}

# Pictures are drawn at 64 px, to be cheap. Scenes are drawn at 128, as their objects are smaller
# shares of them: on validation scenes all that had learnt anything scored best there (of 64, 96 and
# 128). With all 1,000 emoji of the catalogue captioners were still at chance at the largest budget.
RECIPE: dict[str, Any] = {
    "method": "clip", "budget": BUDGETS[-1], "prior": False,
    "budgets": BUDGETS, "batch_size": 64, "image_size": 64, "emoji": 100, "singles": 0.6,
    "lr": RATES["clip"][0], "trunk_lr": RATES["clip"][1], "warmup": 20, "ema": 0.98,
    "split": "test", "scenes": 600, "scene_size": 128, "world_seed": 0, "reference_pictures": 64,
}
# What a run is asked of a trained method; everything else is how it is trained and tested.
_ASKED = ("budget", "prior")
_BEYOND = 10**6  # a step that no run reaches: its pictures were never trained on
_FACTS = ("step_flops", "steps", "seconds", "draw_seconds", "test_seconds", "loss", "parameters")


def run(config: Mapping[str, Any], seed: int, store: Path) -> RunResult:
    """Scores of one method at one budget, on the test scenes.

    Decisions are the three best labels of each scene: no threshold is fitted, as methods score on
    different scales.

    Args:
        config: `RECIPE` with some values changed; "budget" is one of "budgets", in TFLOP. "prior"
            takes off each label's mean over pictures that are no scenes (`Method.label_prior`).
            "split" is that of the scenes which are scored.
        seed: of the pictures, their captions and the fresh weights.
        store: folder that runs share.

    Raises:
        ValueError: a budget that is none of "budgets", an unknown setting or method.
    """
    strange = set(config) ^ set(RECIPE)
    if strange:
        raise ValueError(f"settings {sorted(strange)} are unknown or missing; begin with RECIPE")
    budgets = list(config["budgets"])
    if config["budget"] not in budgets:
        raise ValueError(f"budget is {config['budget']}; choose one of {budgets}")
    at = budgets.index(config["budget"])
    found = _trained(config, seed, store)
    scores = found[f"scores {at}"]
    if config["prior"]:
        scores = scores - found[f"prior {at}"]
    facts = dict(zip(_FACTS, found["facts"][at].tolist(), strict=True))
    images = facts["steps"] * config["batch_size"]
    targets = found["targets"].numpy().astype(np.int8)
    return RunResult(
        scores.numpy(), top_k_decisions(scores.numpy(), 3), targets, np.arange(len(targets)),
        parameters=int(facts["parameters"]),
        seconds={"training": facts["seconds"], "drawing": facts["draw_seconds"]},
        extra={
            "steps": int(facts["steps"]), "images": int(images),
            "tflop": facts["steps"] * facts["step_flops"] / TERA,
            "images_per_second": images / facts["seconds"],
            "test_seconds": facts["test_seconds"], "loss": facts["loss"],
        },
    )


def price(config: Mapping[str, Any], seed: int = 0) -> tuple[float, list[int]]:
    """FLOP of one step of a configuration's method, and its steps at each budget."""
    return _price(_fresh(config, seed), _pictures(config, seed), config)


def _price(
    method: Method, pictures: CaptionedPictures, config: Mapping[str, Any]
) -> tuple[float, list[int]]:
    flops = mean_step_flops(method, pictures, config["batch_size"])
    return flops, [steps_within(budget * TERA, flops) for budget in config["budgets"]]


def _fresh(config: Mapping[str, Any], seed: int) -> Method:
    return build_method(config["method"], caption_vocabulary(config["emoji"]), seed)


def _pictures(config: Mapping[str, Any], seed: int) -> CaptionedPictures:
    return _drawn(config, seed, config["image_size"])


def _drawn(config: Mapping[str, Any], seed: int, size: int) -> CaptionedPictures:
    return CaptionedPictures(size, seed, config["singles"], emoji=config["emoji"])


def _trained(config: Mapping[str, Any], seed: int, store: Path) -> Tensors:
    """Scores, priors and facts of one method at every budget, from the store or trained now."""
    recipe = {name: value for name, value in config.items() if name not in _ASKED}
    code = code_fingerprint("hybridlab.studies.compute:run")
    facts = ["compute", recipe, seed, code, torch.__version__]
    return cached(store, short_hash(json.dumps(facts, sort_keys=True)),
                  lambda: _train(config, seed))


def _train(config: Mapping[str, Any], seed: int) -> Tensors:
    method, pictures = _fresh(config, seed), _pictures(config, seed)
    flops, stops = _price(method, pictures, config)
    scenes = SceneDataset(
        config["scenes"], config["split"],
        SceneConfig(image_size=config["scene_size"], seed=config["world_seed"]),
    )
    images, targets = scene_images(scenes)
    others = _drawn(config, seed, config["scene_size"])
    reference = draw_pairs(others, _BEYOND, config["reference_pictures"]).images
    settings = {name: config[name] for name in ("batch_size", "lr", "trunk_lr", "warmup", "ema")}
    learner = Learner(method, Recipe(steps=stops[-1], **settings))
    found: Tensors = {"targets": targets}
    rows = []
    for at, stop in enumerate(stops):
        learner.run(pictures, stop)
        begun = time.perf_counter()
        judged = learner.averaged()
        found[f"scores {at}"] = judged.label_scores(to_pixels(images), scenes.vocabulary.names)
        found[f"prior {at}"] = judged.label_prior(to_pixels(reference), scenes.vocabulary.names)
        last = [entry["loss"] for entry in learner.log[-20:]]
        rows.append([
            flops, stop,
            *(sum(entry[name] for entry in learner.log) for name in ("seconds", "draw_seconds")),
            time.perf_counter() - begun, sum(last) / len(last),
            sum(each.numel() for each in method.parameters() if each.requires_grad),
        ])
    found["facts"] = torch.tensor(rows, dtype=torch.float64)
    return found


def variant(method: str, budget: float, prior: bool = False) -> str:
    """The name of a variant: "clip, 6.4 TFLOP"."""
    return f"{method}, {budget:g} TFLOP" + (", less its prior" if prior else "")


def settings(method: str, budget: float = BUDGETS[-1], prior: bool = False) -> dict[str, Any]:
    """What a variant changes of `RECIPE`: a method at its own rates."""
    lr, trunk_lr = RATES[method]
    asked = {"method": method, "budget": budget, "prior": prior, "lr": lr, "trunk_lr": trunk_lr}
    return {name: value for name, value in asked.items() if RECIPE[name] != value}


# Methods first within a budget: of several workers each then trains another method, and none waits
# for what another one is training.
VARIANTS: dict[str, dict[str, Any]] = {
    **{variant(method, budget): settings(method, budget)
       for budget in reversed(BUDGETS) for method in COMPARED},
    **{variant(method, BUDGETS[-1], True): settings(method, prior=True)
       for method in COMPARED},
}

STUDY = Study(
    name="compute",
    question="At equal training compute, which of four ways to learn from captions labels scenes "
    "best without ever having seen one?",
    run="hybridlab.studies.compute:run",
    recipe=RECIPE,
    variants=VARIANTS,
    reference=variant("clip", BUDGETS[-1]),
    seeds=range(5),
    metrics=("mean_ap", "cf1@3"),
    # Written before any trial, from figure 2 of the CLIP paper (arXiv 2103.00020): there a bag
    # of words learns three times as fast as a captioner, and CLIP four times as fast as the bag.
    hypotheses={
        "clip, 3.2 TFLOP": "Worse than with twice the compute: nothing is learnt out yet.",
        "bow, 6.4 TFLOP": "Worse: it must say every word, where CLIP only tells pairs apart.",
        "prefix, 6.4 TFLOP": "Worse, and worse than the bag of words: it spends itself on the "
        "order of words.",
        "cross, 6.4 TFLOP": "Worse than CLIP and than the bag of words; better than the prefix, as "
        "its words see places of the picture.",
        "bow, 3.2 TFLOP": "No better than CLIP at 1.6 TFLOP.",
        "clip, 6.4 TFLOP, less its prior": "No difference in mAP, where every label has its own "
        "ranking. CF1 of the three best: better.",
        "prefix, 6.4 TFLOP, less its prior": "No difference in mAP. CF1 of the three best: better, "
        "by more than CLIP gains, as likely words drown the picture.",
        "cross, 6.4 TFLOP, less its prior": "As for the prefix.",
    },
)
