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
from hybridlab.studies.styles import fused_logits
from hybridlab.workshop import Workshop

RECIPE: dict[str, Any] = {**FUSING, "style": "colour"}
MODELS = ("CLIP alone", "CNN-RNN alone", "concat", f"{BEST}: CLIP's alone",
          f"{BEST}: the CNN's alone", BEST)


def run(config: Mapping[str, Any], seed: int, store: Path) -> RunResult:
    """Train a hybrid on scenes in colour and test it on scenes of one style.

    The threshold, one for all labels, stays that of the validation scenes in colour.

    Args:
        config: `RECIPE` with some values changed; "method" is "fused".
        seed: of decoder, fusion and batches.
        store: folder that runs share.

    Raises:
        ValueError: an unknown setting, style or method.
        MissingArtError: "openmoji" without the extra "styles".
    """
    check_settings(config, RECIPE, style=STYLES, method=("fused",), opinions=("decoder",))
    shop = pipeline_of({name: config[name] for name in FUSING}, seed, store)
    there = Workshop(
        shop.config, replace(shop.scenes, style=config["style"]), cache=store, store=store
    )
    val, test = (torch.sigmoid(each).numpy() for each in fused_logits(shop, there, tuned=False))
    threshold = global_threshold(val, shop.targets["val"].numpy())
    targets = there.targets["test"].numpy().astype(np.int8)
    return RunResult(
        test.astype(np.float32), test >= threshold, targets, np.arange(len(targets)),
    )


def variant(model: str, style: str) -> str:
    """The name of a variant."""
    return f"{model}, in {style}"


STUDY = Study(
    name="fused_styles",
    question="Does a hybrid keep more than its views do when another artist draws the scenes?",
    run="hybridlab.studies.fused_styles:run",
    recipe=RECIPE,
    variants={
        variant(model, style): {
            **VARIANTS[model], **({} if style == "colour" else {"style": style})
        }
        for model in MODELS for style in STYLES
    },
    reference=variant("concat", "colour"),
    seeds=range(5),
    metrics=METRICS,
    # Written before the first run. What they call a loss is a share of the model's mAP in colour.
    hypotheses={
        variant("concat", "openmoji"): "Loses half, as its views do: both have seen one artist.",
        variant("label queries, both maps", "openmoji"): "Loses more than concat: it has learnt "
        "what the places of this artist's emoji look like.",
        variant("concat", "sketch"): "Loses less than its views: they err on different labels.",
    },
)
# Each model against itself in colour.
ALSO_AGAINST = tuple(variant(model, "colour") for model in MODELS)
