"""The hybrid and its views alone, when the same scenes are drawn in another style; see `styles`.

    hybridlab reproduce 05

All is trained on scenes in colour. Lesson 04 found that each view alone loses about half of its mAP
with another artist's emoji; here both are joined. Needs the extra "styles".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hybridlab.ablation.runs import RunResult
from hybridlab.ablation.study import Study
from hybridlab.data.world import STYLES
from hybridlab.evaluation.thresholds import global_threshold
from hybridlab.studies.fusing import METRICS, pipeline_of
from hybridlab.studies.fusing import RECIPE as FUSING
from hybridlab.studies.fusions import BEST, VARIANTS
from hybridlab.studies.settings import check_settings
from hybridlab.studies.styles import fused_logits, variant
from hybridlab.workshop import Workshop

# model -> its variant in `fusions`, whose trained parts it shares
MODELS = {
    "side by side: CNN-RNN alone": "CNN-RNN alone",
    "side by side: CLIP alone": "CLIP alone",
    "side by side": "concat",
    "class attention: the CNN's map alone": f"{BEST}: the CNN's alone",
    "class attention: CLIP's patches alone": f"{BEST}: CLIP's alone",
    "class attention": f"{BEST}, no opinions",
    "class attention with opinions": f"{BEST}, opinions also past",
}
RECIPE: dict[str, Any] = {**FUSING, "model": "side by side", "style": "colour"}


def run(config: Mapping[str, Any], seed: int, store: Path) -> RunResult:
    """Train a hybrid on scenes in colour and test it on scenes of one style.

    The threshold, one for all labels, stays that of the validation scenes in colour.

    Args:
        config: `RECIPE` with some values changed. "model": one of `MODELS`, which sets all that its
            variant changes; "style": that of the test scenes.
        seed: of decoder, fusion and batches.
        store: folder that runs share.

    Raises:
        ValueError: an unknown setting, model or style.
        MissingArtError: "openmoji" without the extra "styles".
    """
    check_settings(config, RECIPE, style=STYLES, model=tuple(MODELS), method=("fused",),
                   opinions=("decoder",))
    changes = VARIANTS[MODELS[config["model"]]]
    shop = pipeline_of({name: config[name] for name in FUSING} | changes, seed, store)
    there = Workshop(
        shop.config, replace(shop.scenes, style=config["style"]), cache=store, store=store
    )
    val, test = (torch.sigmoid(each).numpy() for each in fused_logits(shop, there, tuned=False))
    threshold = global_threshold(val, shop.targets["val"].numpy())
    targets = there.targets["test"].numpy().astype(np.int8)
    return RunResult(
        test.astype(np.float32), test >= threshold, targets, np.arange(len(targets)),
    )


STUDY = Study.factorial(
    name="fused_styles",
    question="Does a hybrid keep more than its views do when another artist draws the scenes?",
    run="hybridlab.studies.fused_styles:run",
    recipe=RECIPE,
    factors={"model": list(MODELS), "style": list(STYLES)},
    seeds=range(5),
    metrics=METRICS,
    # Written before the first run. What they call a loss is a share of the model's mAP in colour.
    hypotheses={
        variant("side by side", "openmoji"): "Loses half, as its views do: both have seen one "
        "artist.",
        variant("class attention", "openmoji"): "Loses more than side by side: it has learnt what "
        "the places of this artist's emoji look like.",
        variant("side by side", "sketch"): "Loses less than its views: they err on different "
        "labels.",
        variant("class attention with opinions", "openmoji"): "Loses as much as without them.",
    },
)
# Each model against itself in colour: `viz.shift` draws these differences.
ALSO_AGAINST = tuple(variant(model, "colour") for model in MODELS)
