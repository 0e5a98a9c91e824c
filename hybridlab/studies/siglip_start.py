"""Where should SigLIP's bias begin? The paper's -10 belongs to batches of 32,768. Lesson 03.

    hybridlab reproduce 03

Of the B * B questions of a batch B have the answer yes. Whoever knows nothing but that should say
yes with p = 1 / B, so the bias would begin at -ln(B - 1): -10.4 for 32,768 pairs, -4.1 for 64, as
here. Trained and tested as in `hybridlab.studies.contrast`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hybridlab.ablation.runs import RunResult
from hybridlab.ablation.study import Study
from hybridlab.contrastive.temperature import SIGLIP_BIAS, ScaleAndBias
from hybridlab.pretraining.dual import DualEncoder
from hybridlab.pretraining.words import WordVocabulary
from hybridlab.studies import contrast

# What `contrast` has of its own variants is left out.
RECIPE: dict[str, Any] = {
    **{name: value for name, value in contrast.RECIPE.items() if name not in ("scale", "same")},
    "loss": "siglip", "bias": SIGLIP_BIAS,
}
FITTING = round(-math.log(RECIPE["batch"] - 1), 2)


def run(config: Mapping[str, Any], seed: int, store: Path) -> RunResult:
    """Train one small SigLIP (or CLIP) and score the test pictures by words alone.

    Args:
        config: `RECIPE` with some values changed; "bias" is where SigLIP's begins.
        seed: of the weights, and of the pictures and captions of training.
        store: not used; no two variants share a part.

    Raises:
        ValueError: an unknown setting.
    """
    contrast.require_known(config, RECIPE)

    def head(channels: int, vocabulary: WordVocabulary) -> DualEncoder:
        made = DualEncoder(channels, vocabulary, config["loss"])
        if config["loss"] == "siglip":
            made.scale = ScaleAndBias(bias=config["bias"])
        return made

    return contrast.measured(config, seed, head)


# Hypotheses were written after `contrast`, where SigLIP fell far behind CLIP, and before the first
# run of this study.
STUDY = Study(
    name="siglip_start",
    question="Does SigLIP fall behind CLIP in small batches because its bias begins too low?",
    run="hybridlab.studies.siglip_start:run",
    recipe=RECIPE,
    variants={
        f"SigLIP, bias from {SIGLIP_BIAS:g} (paper)": {},
        f"SigLIP, bias from {FITTING:g} (batch of 64)": {"bias": FITTING},
        "SigLIP, bias from 0": {"bias": 0.0},
        "CLIP": {"loss": "clip"},
    },
    reference=f"SigLIP, bias from {SIGLIP_BIAS:g} (paper)",
    seeds=range(5),
    metrics=("mean_ap", "one_error"),
    hypotheses={
        f"SigLIP, bias from {FITTING:g} (batch of 64)": "Better: at -10 almost no wrong pair has a "
        "gradient, so all embeddings are first pulled together.",
        "SigLIP, bias from 0": "Better than from -10, worse than from -4.1: the first steps learn "
        "to say no.",
        "CLIP": "Better, also than from -4.1, by less.",
    },
)
ALSO_AGAINST = ("CLIP",)
