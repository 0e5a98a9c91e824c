"""Does a loss among images make pictures of one thing alike, and what do words pay for it?

    hybridlab reproduce 04

The tiny CLIP is trained on for a few steps with the loss of its pretraining (pictures against the
words of what they show), with and without `zeroshot.within.within_loss` among the pictures. Both
see the same batches, in which pictures come in pairs that show the same. `measure` says what is
asked then of the test scenes: "words", zero-shot; "pictures", which label's other scenes a scene is
near to, without a word (`within_pictures`). The AUC of pairs is in `extra` of both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hybridlab.ablation.runs import RunResult
from hybridlab.ablation.study import Study
from hybridlab.data.captioned import CaptionedPictures
from hybridlab.data.scenes import SceneDataset, label_matrix, stream
from hybridlab.data.world import LABEL_NAMES, with_article
from hybridlab.encoders.clip import ClipEncoder, build_tiny_clip
from hybridlab.evaluation.top_k import top_k_decisions
from hybridlab.losses import symmetric_contrastive
from hybridlab.part_keys import short_hash
from hybridlab.studies.settings import check_settings
from hybridlab.training.feature_cache import Tensors, cached
from hybridlab.training.features import clip_features, scene_images
from hybridlab.training.sources import training_code
from hybridlab.zeroshot.pairs import jaccard
from hybridlab.zeroshot.patches import max_pool, token_scores
from hybridlab.zeroshot.text_bank import label_embeddings
from hybridlab.zeroshot.within import image_similarity, within_loss

RECIPE: dict[str, Any] = {
    "measure": "words", "weight": 1.0, "steps": 30, "batch": 64, "image_size": 64, "pool": 1200,
    "lr": 1e-4, "logit_scale": 10.0, "test": 600, "gallery": 600, "singles": 800,
}
MEASURES = ("words", "pictures")
_ALIKE = 0.5  # share of emoji (Jaccard) from which two pictures show the same


def run(config: Mapping[str, Any], seed: int, store: Path) -> RunResult:
    """Train on, encode, and measure; what was trained once is kept for both measures.

    Args:
        config: `RECIPE` with some values changed; `steps` 0 is the CLIP as shipped.
        seed: of the pictures trained on and of the batches.

    Raises:
        ValueError: an unknown setting or measure, or a pool too small for its batch.
    """
    check_settings(config, RECIPE, measure=MEASURES)
    settings = {name: value for name, value in config.items() if name != "measure"}
    clip = build_tiny_clip()
    here = Path(__file__).read_bytes().replace(b"\r\n", b"\n").decode()
    scenes, gallery = SceneDataset(config["test"], "test"), SceneDataset(config["gallery"], "val")
    facts = [settings, seed if config["steps"] else 0, clip.weights_hash(), scenes.fingerprint(),
             gallery.fingerprint(), training_code(), here, torch.__version__]
    kept = cached(store, short_hash(json.dumps(facts)), lambda: _encoded(clip, settings, seed))
    targets = label_matrix(scenes)
    if config["measure"] == "words":
        scores = max_pool(token_scores(kept["tokens"].float(), kept["texts"])).numpy()
    else:
        known = torch.from_numpy(label_matrix(gallery))
        scores = nearest(kept["image_emb"], kept["gallery"], known).numpy()
    return RunResult(
        scores.astype(np.float32), top_k_decisions(scores, 3), targets.astype(np.int8),
        np.arange(len(targets)), extra=_alike(kept, targets),
    )


def nearest(image_emb: Tensor, gallery: Tensor, targets: Tensor) -> Tensor:
    """How much nearer each image is to a label's pictures than to all pictures of the gallery.

    The mean cosine with the pictures of the label, minus the mean cosine with all: else an image
    that is near to everything would lead every label. A label without a picture scores 0.

    Shape:
        image_emb (N, D), gallery (G, D), unit length, targets (G, L) in {1, 0} -> (N, L)
    """
    member = (targets == 1).to(gallery)
    cosines = image_emb @ gallery.T  # (N, G)
    count = member.sum(dim=0)
    centred = cosines - cosines.mean(dim=1, keepdim=True)
    return centred @ member / count.clamp(min=1)


def draw_pool(
    size: int, image_size: int, seed: int
) -> tuple[Tensor, list[tuple[int, ...]], Tensor]:
    """Pictures to train on: images (N, 3, S, S) uint8, what each shows, Jaccard (N, N)."""
    pictures = CaptionedPictures(image_size, 10_000 + seed)
    samples = [pictures[index] for index in range(size)]
    images = torch.from_numpy(np.stack([sample.image for sample in samples])).permute(0, 3, 1, 2)
    shown = [sample.shown for sample in samples]
    there = np.zeros((size, len(pictures.catalogue)))
    for row, which in enumerate(shown):
        there[row, list(which)] = 1
    return images, shown, torch.from_numpy(jaccard(there))


def train_on(clip: ClipEncoder, settings: Mapping[str, Any], seed: int) -> list[float]:
    """Train a CLIP on, in place; BatchNorm and dropout stay in eval. Returns the losses."""
    images, shown, overlap = draw_pool(settings["pool"], settings["image_size"], seed)
    alike = (overlap >= _ALIKE) & ~torch.eye(len(overlap), dtype=torch.bool)
    known = (overlap >= _ALIKE) | (overlap == 0)  # what shares a little is neither
    pictures = CaptionedPictures(settings["image_size"], 10_000 + seed)
    optimiser = torch.optim.AdamW(clip.parameters(), settings["lr"], betas=(0.9, 0.98))
    draw = stream(10_000 + seed, 80)
    mean, std = (torch.tensor(each).view(3, 1, 1)
                 for each in (clip.preprocessing.mean, clip.preprocessing.std))
    anchors = alike.any(dim=1).nonzero()[:, 0].tolist()
    if len(anchors) < settings["batch"]:
        raise ValueError(
            f"of {len(overlap)} pictures {len(anchors)} have one that shows the same, too few for "
            f"a batch of {settings['batch']}; raise pool or lower batch"
        )
    losses = []
    for _ in range(settings["steps"]):
        rows: dict[int, None] = {}
        while len(rows) < settings["batch"]:  # an anchor, and one that shows the same
            anchor = anchors[int(draw() * len(anchors))]
            partners = alike[anchor].nonzero()[:, 0].tolist()
            rows |= dict.fromkeys((anchor, partners[int(draw() * len(partners))]))
        at = torch.tensor(list(rows))
        which = sorted({one for row in rows for one in shown[row]})
        words = clip.encode_text([pictures.words(one, draw) for one in which])
        positives = torch.tensor([[one in shown[row] for one in which] for row in rows])
        image_emb = clip.encode_image((images[at].float() / 255 - mean) / std).image_emb
        loss = symmetric_contrastive(clip.logit_scale * image_emb @ words.T, positives)
        if settings["weight"]:
            pairs = at[:, None], at[None, :]
            term = within_loss(image_emb, alike[pairs], settings["logit_scale"], known[pairs])
            loss = loss + settings["weight"] * term
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(clip.parameters(), 1.0)
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses


def _encoded(clip: ClipEncoder, settings: Mapping[str, Any], seed: int) -> Tensors:
    """Train on, then encode test scenes, gallery, single pictures, and the labels."""
    if settings["steps"]:
        train_on(clip, settings, seed)
    features = clip_features(clip, scene_images(SceneDataset(settings["test"], "test"))[0])
    gallery = scene_images(SceneDataset(settings["gallery"], "val"))[0]
    pictures = CaptionedPictures(96, 9_000, singles=1.0)  # the same for every seed
    some = [pictures[index] for index in range(settings["singles"])]
    some = [one for one in some if one.shown[0] < len(LABEL_NAMES)]
    images = torch.from_numpy(np.stack([one.image for one in some])).permute(0, 3, 1, 2)
    return {
        **features, "gallery": clip_features(clip, gallery)["image_emb"],
        "singles": clip_features(clip, images)["image_emb"],
        "shown": torch.tensor([one.shown[0] for one in some]),
        "texts": label_embeddings(clip, [with_article(name) for name in LABEL_NAMES]),
    }


def _alike(kept: Tensors, targets: np.ndarray) -> dict[str, Any]:
    """AUC of pairs with its interval: of single pictures, and of scenes that share half or none."""
    shown, overlap = kept["shown"], jaccard(targets)
    single = image_similarity(kept["singles"], (shown[:, None] == shown[None]).numpy())
    scenes = image_similarity(kept["image_emb"], overlap >= _ALIKE, overlap == 0)
    return {
        # JSON has no NaN: None where there is no pair of one kind
        f"{name}_{what}": [None if end != end else end for end in getattr(found, what)]
        for name, found in (("single", single), ("scenes", scenes))
        for what in ("auc", "same", "other")
    }


def within_study(name: str, question: str, measure: str, hypotheses: Mapping[str, str]) -> Study:
    """The study with one of `MEASURES`."""
    return Study(
        name=name,
        question=question,
        run="hybridlab.studies.within:run",
        recipe={**RECIPE, "measure": measure},
        variants={
            "as shipped": {"steps": 0, "weight": 0.0},
            "30 steps without the term": {"weight": 0.0},
            "30 steps, weight 0.3": {"weight": 0.3},
            "30 steps, weight 1": {},
            "30 steps, weight 3": {"weight": 3.0},
        },
        reference="30 steps without the term",
        seeds=range(5),
        metrics=("mean_ap", "of1"),
        hypotheses=hypotheses,
    )


# Written before the first run.
STUDY = within_study(
    "within", "What does a loss among images do to zero-shot by words?", "words",
    {
        "as shipped": "No difference: thirty small steps at 64 px teach nothing new.",
        "30 steps, weight 0.3": "No difference.",
        "30 steps, weight 1": "No difference, or a loss below a point: labels already set apart "
        "what the term sets apart.",
        "30 steps, weight 3": "Worse: the term pulls whole pictures together, and patches pay.",
    },
)
