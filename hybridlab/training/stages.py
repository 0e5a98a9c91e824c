"""The stages of the hybrid, in their smallest honest form (seed 000, section 4).

Every stage trains on one split and keeps the epoch with the best mAP on another (`Held`): a method
that was stopped too early, or too late, would make the others look good.

Phase 0 trains the decoder on frozen CNN features. Phase 1 freezes CNN-RNN and CLIP and trains
fusion and heads on cached views. Phase 2 unfreezes CLIP's vision tower at a lower rate.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hybridlab.configs import DemoConfig
from hybridlab.decoder.cnn_rnn import LabelDecoder
from hybridlab.decoder.decoded import Decoded
from hybridlab.encoders.base import freeze
from hybridlab.fusion.view import View, joined
from hybridlab.model import HybridClassifier
from hybridlab.total_loss import HybridLoss
from hybridlab.training.decoding import decode_steps, fit_decoder, together
from hybridlab.training.feature_cache import Tensors
from hybridlab.training.features import chunks
from hybridlab.training.held import Held
from hybridlab.training.loop import Report, silent, train
from hybridlab.training.recipes import ALIGNED, DecoderRecipe

_ROWS = 256  # images that are fused at once where nothing is learnt


def train_decoder(
    tokens: Tensor,
    targets: Tensor,
    held: Held | None,
    config: DemoConfig,
    report: Report = silent,
    name: str = "phase 0: decoder",
) -> LabelDecoder:
    """Phase 0: the label decoder on frozen tokens (N, P, C).

    `held.inputs` are tokens; the score is that of its free-running probabilities. Without `held`
    the last epoch is kept.
    """
    recipe = DecoderRecipe(
        dim=config.dim, dropout=0.3, max_steps=9, epochs=config.decoder_epochs,
        batch_size=config.batch_size, lr=config.lr, order=config.order, read=config.read,
        feeding="free" if config.order in ALIGNED else "teacher",
    )
    return fit_decoder(tokens, targets, held, recipe, config.seed, report=report, name=name)


def cross_fitted(
    tokens: Tensor, targets: Tensor, config: DemoConfig, report: Report = silent
) -> Tensors:
    """The decoder's opinions of its own training split, each from a decoder that has not seen the
    scene: "probs" (N, L), and step by step "step_logits" (N, T, L + 1) and "mask" (N, T).

    A decoder is better on the scenes it was fitted on than on any other. A fusion that learns from
    such views trusts them too much (trap 6). So the split is cut into `config.folds`, and each
    fold is decoded by a decoder that was fitted on the others. These decoders learn from fewer
    scenes, and keep their last epoch: their opinions are weaker than those that the fusion meets
    later. More folds make the gap smaller, and cost more.

    Raises:
        ValueError: fewer than two folds, or more folds than scenes.
    """
    if not 2 <= config.folds <= len(tokens):
        raise ValueError(
            f"folds is {config.folds} for {len(tokens)} scenes; give 2 or more, and no more than "
            "there are scenes"
        )
    order = torch.randperm(len(tokens), generator=torch.Generator().manual_seed(config.seed))
    found: list[Decoded] = []
    for number, unseen in enumerate(order.tensor_split(config.folds), start=1):
        seen = torch.ones(len(tokens), dtype=torch.bool)
        seen[unseen] = False
        name = f"phase 0: decoder without fold {number}"
        decoder = train_decoder(tokens[seen], targets[seen], None, config, report, name)
        found.append(decode_steps(decoder, tokens[unseen]))
    whole, back = together(found), order.argsort()  # each row to its place
    return {name: getattr(whole, name)[back] for name in ("probs", "step_logits", "mask")}


def train_fusion(
    model: HybridClassifier,
    rnn: View,
    clip: View,
    targets: Tensor,
    held: Held,
    config: DemoConfig,
    report: Report = silent,
) -> None:
    """Phase 1: CNN-RNN and CLIP frozen; fusion and heads learn from cached views.

    Args:
        rnn, clip: of the N training images; see `HybridClassifier.decoder_view` and `clip_view`.
        targets: (N, L).
        held: its inputs are two such views.
    """
    for part in (model.cnn, model.decoder, model.clip):
        freeze(part)
    model.fit_views(rnn, clip)
    joint, loss = model.joint_modules().train(), _loss(config)

    def loss_of(rows: Tensor) -> Tensor:
        out = model.fuse(rnn.rows(rows), clip.rows(rows))
        return loss(out.logits, out.contrastive_logits, targets[rows])

    train(
        "phase 1: fusion",
        [(joint, config.fusion_lr), (loss, config.fusion_lr)],
        loss_of,
        len(targets),
        epochs=config.fusion_epochs,
        batch_size=config.batch_size,
        seed=config.seed,
        weight_decay=0.05,
        validate=lambda: held.score(fused_logits(model, *held.inputs)),
        report=report,
    )
    joint.eval()


def _loss(config: DemoConfig) -> HybridLoss:
    return HybridLoss(
        config.alpha, config.beta, learnt=config.weights == "learnt",
        classification=config.classification, alignment=config.alignment,
    )


@torch.no_grad()
def fused_logits(
    model: HybridClassifier, rnn: View, clip: View, *, contrastive: bool = False
) -> Tensor:
    """Logits (N, L) from two views, in chunks: attention over all tokens of a split at once would
    take much memory.

    Args:
        contrastive: those of the contrastive head in place of the label head's.
    """
    which = "contrastive_logits" if contrastive else "logits"
    rows = torch.arange(len(rnn)).split(_ROWS)
    return torch.cat([getattr(model.fuse(rnn.rows(few), clip.rows(few)), which) for few in rows])


def tune_vision(
    model: HybridClassifier,
    rnn: View,
    images: Tensor,
    targets: Tensor,
    held: Held,
    config: DemoConfig,
    report: Report = silent,
) -> None:
    """Phase 2: CLIP's vision tower joins at a lower rate; the CNN-RNN stays frozen, so its cached
    view still holds. BatchNorm keeps its statistics (trap 15). The optimiser
    starts anew: with the rates of this phase, phase 1's moments would be stale in one epoch.

    Args:
        rnn: the CNN-RNN's view of the N training images.
        images: (N, 3, H, W) uint8.
        held: its inputs are such a view and the images of the validation split.
    """
    if config.tune_epochs == 0:
        return
    vision = model.clip.vision
    vision.requires_grad_(True)
    vision.eval()  # batches are small and the rate is low: the statistics of pretraining stay
    vision.to(memory_format=torch.channels_last)
    joint, loss = model.joint_modules().train(), _loss(config)
    preprocess = model.clip.preprocessing

    def embed(images: Tensor) -> View:  # in chunks: the loss sees the whole batch all the same
        pixels = (
            preprocess(few).contiguous(memory_format=torch.channels_last) for few in chunks(images)
        )
        return joined([model.clip_view(model.clip.encode_image(each)) for each in pixels])

    def loss_of(rows: Tensor) -> Tensor:
        out = model.fuse(rnn.rows(rows), embed(images[rows]))
        return loss(out.logits, out.contrastive_logits, targets[rows])

    def score() -> float:
        rnn_held, images_held = held.inputs
        return held.score(fused_logits(model, rnn_held, embed(images_held)))

    train(
        "phase 2: CLIP's vision tower",
        [(vision, config.vision_lr), (joint, 0.1 * config.fusion_lr),
         (loss, 0.1 * config.fusion_lr)],
        loss_of,
        len(targets),
        epochs=config.tune_epochs,
        batch_size=config.batch_size,
        seed=config.seed + 1,
        weight_decay=0.05,
        validate=score if config.tune_epochs > 1 else None,  # one epoch leaves nothing to choose
        report=report,
    )
    vision.requires_grad_(False)
    joint.eval()
