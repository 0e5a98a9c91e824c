"""The stages of the hybrid, in their smallest honest form (seed 000, section 4).

Every stage, the baselines too, trains on one split and keeps the epoch with the best mAP on another
(`Held`): a method that was stopped too early, or too late, would make the others look good.

Phase 0 trains the decoder on frozen CNN features. Phase 1 freezes CNN-RNN and CLIP and trains
fusion and heads on cached views. Phase 2 unfreezes CLIP's vision tower at a lower rate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hybridlab.configs import DemoConfig
from hybridlab.decoder.cnn_rnn import Decoded, LabelDecoder, sequence_loss
from hybridlab.decoder.sequences import frequent_first, to_sequences
from hybridlab.encoders.base import freeze
from hybridlab.evaluation.metrics import mean_ap
from hybridlab.losses import hybrid_loss, masked_bce
from hybridlab.model import HybridClassifier
from hybridlab.training.loop import Report, silent, train

CHUNK = 256


@dataclass(frozen=True)
class Held:
    """What a stage is validated on: its inputs, in the stage's own form, and targets (N, L)."""

    inputs: tuple[Tensor, ...]
    targets: Tensor

    def score(self, logits: Tensor) -> float:
        """Mean average precision of (N, L) logits or probabilities."""
        return mean_ap(logits.numpy(), self.targets.numpy()).value


def seeded(seed: int, build: Callable[[], nn.Module]) -> nn.Module:
    """Build a module with weights that depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


class LinearProbe(nn.Module):
    """A linear head on frozen features, standardised with the training split's mean and deviation.

    Shape:
        features (B, D) -> logits (B, L)
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, dim: int, n_labels: int):
        super().__init__()
        self.linear = nn.Linear(dim, n_labels)
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("deviation", torch.ones(dim))

    def forward(self, features: Tensor) -> Tensor:
        return self.linear((features - self.mean) / self.deviation)


def train_linear(
    name: str,
    features: Tensor,
    targets: Tensor,
    held: Held,
    config: DemoConfig,
    report: Report = silent,
) -> LinearProbe:
    """The linear baseline on frozen features (N, D); `held.inputs` are features too."""
    probe = seeded(
        config.seed, lambda: LinearProbe(features.shape[1], targets.shape[1])
    )
    assert isinstance(probe, LinearProbe)
    probe.mean.copy_(features.mean(dim=0))
    probe.deviation.copy_(features.std(dim=0, correction=0).clamp(min=1e-6))
    train(
        name,
        [(probe, config.linear_lr)],
        lambda rows: masked_bce(probe(features[rows]), targets[rows]),
        len(features),
        epochs=config.linear_epochs,
        batch_size=config.batch_size,
        seed=config.seed,
        weight_decay=0.05,
        validate=lambda: held.score(probe(*held.inputs)),
        report=report,
    )
    return probe.eval()


def train_decoder(
    tokens: Tensor, targets: Tensor, held: Held, config: DemoConfig, report: Report = silent
) -> LabelDecoder:
    """Phase 0: the label decoder on frozen tokens (N, P, C), frequent labels first.

    `held.inputs` are tokens; the score is that of its free-running probabilities.
    """
    decoder = seeded(
        config.seed,
        lambda: LabelDecoder(tokens.shape[2], targets.shape[1], dim=config.dim, dropout=0.3),
    )
    assert isinstance(decoder, LabelDecoder)
    rank = frequent_first(targets)

    def loss_of(rows: Tensor) -> Tensor:
        label_seq = to_sequences(targets[rows], rank)
        return sequence_loss(decoder(tokens[rows].float(), label_seq), label_seq)

    train(
        "phase 0: decoder",
        [(decoder, config.lr)],
        loss_of,
        len(tokens),
        epochs=config.decoder_epochs,
        batch_size=config.batch_size,
        seed=config.seed,
        weight_decay=0.05,
        validate=lambda: held.score(decode_all(decoder, *held.inputs)[1]),
        report=report,
    )
    return decoder.eval()


@torch.no_grad()
def decode_all(decoder: LabelDecoder, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Free-running decoding of a split.

    Returns:
        h_rnn (N, D), probs (N, L), and the decoded sets as decisions (N, L) bool.
    """
    states, probs, chosen = [], [], []
    for chunk in tokens.split(CHUNK):
        decoded = decoder.decode(chunk.float())
        states.append(decoded.h_rnn)
        probs.append(decoded.probs)
        chosen.append(chosen_labels(decoded, decoder.n_labels))
    return torch.cat(states), torch.cat(probs), torch.cat(chosen)


def chosen_labels(decoded: Decoded, n_labels: int) -> Tensor:
    """The labels of each decoded sequence as decisions (B, L) bool, STOP and padding left out."""
    label = decoded.label_seq.clamp(min=0, max=n_labels)
    real = (decoded.label_seq >= 0) & (decoded.label_seq < n_labels)
    decisions = torch.zeros(len(label), n_labels + 1, dtype=torch.bool, device=label.device)
    decisions.scatter_(1, torch.where(real, label, n_labels), True)
    return decisions[:, :n_labels]


def train_fusion(
    model: HybridClassifier,
    h_rnn: Tensor,
    h_clip: Tensor,
    targets: Tensor,
    held: Held,
    config: DemoConfig,
    report: Report = silent,
) -> None:
    """Phase 1: CNN-RNN and CLIP frozen; fusion and heads learn from cached views.

    Shape:
        h_rnn (N, D_rnn), h_clip (N, D_clip), targets (N, L); `held.inputs` are two such views
    """
    for part in (model.cnn, model.decoder, model.clip):
        freeze(part)
    joint = model.joint_modules().train()

    def loss_of(rows: Tensor) -> Tensor:
        out = model.fuse(h_rnn[rows], h_clip[rows])
        return hybrid_loss(
            out.logits, out.contrastive_logits, targets[rows], config.alpha, config.beta
        )

    train(
        "phase 1: fusion",
        [(joint, config.lr)],
        loss_of,
        len(targets),
        epochs=config.fusion_epochs,
        batch_size=config.batch_size,
        seed=config.seed,
        weight_decay=0.05,
        validate=lambda: held.score(model.fuse(held.inputs[0], held.inputs[1]).logits),
        report=report,
    )
    joint.eval()


def tune_vision(
    model: HybridClassifier,
    h_rnn: Tensor,
    images: Tensor,
    targets: Tensor,
    held: Held,
    config: DemoConfig,
    report: Report = silent,
) -> None:
    """Phase 2: CLIP's vision tower joins at a lower rate; the CNN-RNN stays frozen, so its cached
    view h_rnn (N, D_rnn) still holds. BatchNorm keeps its statistics (TRAPS 15).

    Args:
        images: (N, 3, H, W) uint8.
        held: inputs are h_rnn and images of the validation split.
    """
    if config.tune_epochs == 0:
        return
    vision = model.clip.vision
    vision.requires_grad_(True)
    vision.eval()  # batches are small and the rate is low: the statistics of pretraining stay
    vision.to(memory_format=torch.channels_last)
    joint = model.joint_modules().train()
    preprocess = model.clip.preprocessing

    def loss_of(rows: Tensor) -> Tensor:
        pixels = preprocess(images[rows]).contiguous(memory_format=torch.channels_last)
        out = model.fuse(h_rnn[rows], model.clip.encode_image(pixels).image_emb)
        return hybrid_loss(
            out.logits, out.contrastive_logits, targets[rows], config.alpha, config.beta
        )

    def score() -> float:
        h_held, images_held = held.inputs
        embs = [model.clip.encode_image(preprocess(c)).image_emb for c in images_held.split(25)]
        return held.score(model.fuse(h_held, torch.cat(embs)).logits)

    train(
        "phase 2: CLIP's vision tower",
        [(vision, config.vision_lr), (joint, 0.3 * config.lr)],
        loss_of,
        len(targets),
        epochs=config.tune_epochs,
        batch_size=config.batch_size,
        seed=config.seed + 1,
        weight_decay=0.05,
        validate=score,
        report=report,
    )
    vision.requires_grad_(False)
    joint.eval()
