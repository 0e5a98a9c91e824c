"""What do temperature, batch size and false negatives change in a small CLIP? Lesson 03.

    hybridlab reproduce 03

Every run sees the same number of pictures of 100 emoji, 64 px, in batches of its size. It is tested
on other pictures of the same emoji: does the cosine with "a picture of NAME" rank the pictures that
show it first? Rates grow with the square root of the batch, a usual rule for Adam; it is not tuned
for each batch size, and a study that did so might find other figures.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from hybridlab.ablation.runs import RunResult
from hybridlab.ablation.study import Study
from hybridlab.contrastive.positives import known_pairs
from hybridlab.contrastive.sigmoid import siglip_loss
from hybridlab.contrastive.softmax import clip_loss
from hybridlab.contrastive.temperature import Temperature
from hybridlab.data.captioned import CaptionedPictures
from hybridlab.encoders.base import EncoderOutput
from hybridlab.pretraining.dual import DualEncoder
from hybridlab.pretraining.learn import Recipe, learn
from hybridlab.pretraining.methods import Method
from hybridlab.pretraining.pairs import Pairs, draw_pairs
from hybridlab.pretraining.trunk import build_trunk, to_pixels
from hybridlab.pretraining.words import WordVocabulary, caption_vocabulary
from hybridlab.training.held import seeded

TEST_SEED = 90_000  # pictures that no training seed draws
SAME = ("positives", "negatives", "left out")
RECIPE: dict[str, Any] = {
    "loss": "clip", "batch": 64, "scale": None, "same": "positives",
    "emoji": 100, "image_size": 64, "singles": 0.6, "pictures": 6400, "test": 600,
}


class Contrasted(DualEncoder):
    """A dual encoder with another treatment of its temperature or of pairs that show the same.

    Args:
        scale: held at this value; None: learnt.
        same: pairs about the same emoji are "positives", "negatives" (seed 004's caveat: the
            diagonal alone counts as right) or "left out".
    """

    def __init__(self, *args: Any, scale: float | None, same: str, **more: Any):
        super().__init__(*args, **more)
        if same not in SAME:
            raise ValueError(f"same is {same!r}; choose one of {', '.join(SAME)}")
        self.same = same
        if scale is not None:
            self.scale = Temperature(scale).requires_grad_(False)

    def loss(self, seen: EncoderOutput, pairs: Pairs) -> Tensor:
        """Contrastive loss of a batch, a scalar."""
        both = self.image_emb(seen), self.text_emb(pairs.captions)
        masks: dict[str, Any] = {}
        if self.same == "positives":
            masks["positives"] = pairs.same
        elif self.same == "left out":
            masks["known"] = known_pairs([frozenset(each) for each in pairs.shown])
        if isinstance(self.scale, Temperature):
            return clip_loss(*both, self.scale.logit_scale, **masks)
        return siglip_loss(*both, *self.scale(), **masks)


def run(config: Mapping[str, Any], seed: int, store: Path) -> RunResult:
    """Train one small CLIP and score the test pictures by words alone.

    Args:
        config: `RECIPE` with some values changed.
        seed: of the weights, and of the pictures and captions of training.
        store: not used; no two variants share a part.

    Raises:
        ValueError: an unknown setting.
    """
    require_known(config, RECIPE)
    return measured(config, seed, lambda channels, vocabulary: Contrasted(
        channels, vocabulary, config["loss"], scale=config["scale"], same=config["same"]
    ))


def require_known(config: Mapping[str, Any], recipe: Mapping[str, Any]) -> None:
    """Refuse settings that a recipe does not have.

    Raises:
        ValueError: names them, and those that there are.
    """
    if strange := set(config) - set(recipe):
        raise ValueError(f"unknown settings {sorted(strange)}; known are {', '.join(recipe)}")


def measured(
    config: Mapping[str, Any], seed: int, head: Callable[[int, WordVocabulary], nn.Module]
) -> RunResult:
    """Train a head over a fresh trunk and score the test pictures.

    Args:
        head: channels of the trunk, words -> the head; its weights are drawn by the seed.
    """
    vocabulary = caption_vocabulary(config["emoji"])
    trunk = build_trunk(seed=seed)
    method = Method(
        config["loss"], trunk, seeded(seed, lambda: head(trunk.channels, vocabulary))
    )
    began = time.perf_counter()
    learn(method, pictures_of(config, seed), recipe_of(config))
    seconds = {"training": time.perf_counter() - began}
    scores, targets = tested(method, config)
    return RunResult(
        scores.astype(np.float32), scores >= np.sort(scores, axis=1)[:, -1:], targets,
        np.arange(len(targets)), seconds=seconds,
        parameters=sum(each.numel() for each in method.parameters()),
    )


def pictures_of(config: Mapping[str, Any], seed: int) -> CaptionedPictures:
    """The pictures of a configuration."""
    return CaptionedPictures(
        config["image_size"], seed, config["singles"], emoji=config["emoji"]
    )


def recipe_of(config: Mapping[str, Any]) -> Recipe:
    """As many steps as the pictures last for; rates grow with the square root of the batch."""
    grown = math.sqrt(config["batch"] / RECIPE["batch"])
    plain = Recipe()
    steps = config["pictures"] // config["batch"]
    return Recipe(
        steps=steps, batch_size=config["batch"], lr=plain.lr * grown,
        trunk_lr=plain.trunk_lr * grown, warmup=max(1, steps // 5),
        ema=1 - (1 - plain.ema) * config["batch"] / RECIPE["batch"],  # the same span of pictures
    )


def tested(method: Method, config: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Cosines (N, L) of the test pictures with each emoji's name, and which are shown (N, L)."""
    pictures = pictures_of(config, TEST_SEED)
    pairs = draw_pairs(pictures, 0, config["test"])
    names = [each[0] for each in pictures.catalogue.names[: config["emoji"]]]
    scores = method.label_scores(to_pixels(pairs.images), names).numpy()
    targets = np.zeros(scores.shape, np.int8)
    for row, shown in enumerate(pairs.shown):
        targets[row, list(shown)] = 1
    return scores, targets


# Hypotheses were written before the first run.
STUDY = Study(
    name="contrast",
    question="What do temperature, batch size and false negatives change in a small CLIP?",
    run="hybridlab.studies.contrast:run",
    recipe=RECIPE,
    variants={
        "CLIP": {},
        "temperature fixed at 1": {"scale": 1.0},
        "temperature fixed at 0.1": {"scale": 10.0},
        "temperature fixed at 0.01": {"scale": 100.0},
        "batches of 16": {"batch": 16},
        "batches of 256": {"batch": 256},
        "same emoji as negatives": {"same": "negatives"},
        "same emoji left out": {"same": "left out"},
        "batches of 16, same emoji as negatives": {"batch": 16, "same": "negatives"},
        "batches of 256, same emoji as negatives": {"batch": 256, "same": "negatives"},
        "SigLIP": {"loss": "siglip"},
    },
    reference="CLIP",
    seeds=range(5),
    metrics=("mean_ap", "one_error"),
    hypotheses={
        "temperature fixed at 1": "Much worse: cosines cannot spread enough for the softmax.",
        "temperature fixed at 0.1": "A little worse than a learnt one.",
        "temperature fixed at 0.01": "Worse in so short a training: only the hardest negative of a "
        "row has a gradient.",
        "batches of 16": "Better here: four times as many steps count more than harder negatives.",
        "batches of 256": "Worse here, with a quarter of the steps.",
        "same emoji as negatives": "Worse: among 64 pairs of 100 emoji, many repeat.",
        "same emoji left out": "As good as positives, or a little worse.",
        "batches of 256, same emoji as negatives": "False negatives cost more the larger the batch "
        "is.",
        "SigLIP": "No difference at this size of batch.",
    },
)
# False negatives in batches of their own size.
ALSO_AGAINST = ("batches of 16", "batches of 256")
