"""What the hybrid's joint phases train on, and where the two views of a batch come from.

A view whose encoders rest is computed once and kept. It is made anew from pictures where something
in it learns, or where the pictures change at each epoch (trap 16).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hybridlab.data.sample import Sample
from hybridlab.decoder.cnn_rnn import LabelDecoder
from hybridlab.decoder.decoded import Decoded
from hybridlab.fusion.view import View, joined
from hybridlab.model import HybridClassifier
from hybridlab.training.augmentation import ObjectBoxes
from hybridlab.training.decoding import together
from hybridlab.training.features import chunks
from hybridlab.training.stage import Stage


@dataclass(frozen=True)
class HybridData:
    """One split, as far as a training needs it.

    Attributes:
        targets: (N, L) in {0, 1} or -1.
        rnn, clip: the cached views of frozen encoders; on the training split the CNN-RNN's is
            cross-fitted.
        images: (N, 3, H, W) uint8, where something looks at them anew.
        boxes: where the objects stand, for augmentation.
        folds: (N,) long, which of the decoders that were fitted without a share of the images has
            not seen this one; for augmented pictures, whose opinions cannot be kept.
        clutter: (N,), how crowded each image is, for a curriculum.

    Raises:
        ValueError: counts that disagree.
    """

    targets: Tensor
    rnn: View
    clip: View
    images: Tensor | None = None
    boxes: ObjectBoxes | None = None
    folds: Tensor | None = None
    clutter: Tensor | None = None

    def __post_init__(self) -> None:
        for name, count in (
            ("rnn", len(self.rnn.pooled)), ("clip", len(self.clip.pooled)),
            *((name, len(value)) for name in ("images", "folds", "clutter")
              if (value := getattr(self, name)) is not None),
            *([("boxes", len(self.boxes.labels))] if self.boxes is not None else []),
        ):
            if count != len(self.targets):
                raise ValueError(
                    f"{name} is of {count} images and targets of {len(self.targets)}; give both "
                    "of the same ones, in the same order"
                )

    def __len__(self) -> int:
        return len(self.targets)


def clutter_of(samples: Iterable[Sample]) -> Tensor:
    """How crowded each image is (N,): its objects, and of each the share that others cover."""
    return torch.tensor([sum(2 - each.visible for each in sample.objects) for sample in samples])


@dataclass(frozen=True)
class Looks:
    """What a stage looks at anew, and with gradients.

    Attributes:
        cnn_rnn, clip: the view is made from pictures.
        cnn, decoder, vision: learn.
    """

    cnn_rnn: bool
    clip: bool
    cnn: bool
    decoder: bool
    vision: bool

    @property
    def at_pictures(self) -> bool:
        """Whether either view needs them."""
        return self.cnn_rnn or self.clip


def looks_of(stage: Stage, augmented: bool | None = None) -> Looks:
    """What a stage looks at.

    Args:
        augmented: whether the pictures are changed; None asks the stage. Held ones never are.
    """
    changed = bool(stage.augment) if augmented is None else augmented
    names = {part.module for part in stage.parts if part.lr > 0}
    first = {name.partition(".")[0] for name in names}
    whole = "" in first
    cnn, decoder = whole or "cnn" in first, whole or "decoder" in first
    vision = whole or "clip" in first
    return Looks(changed or cnn or decoder, changed or vision, cnn, decoder, vision)


def kept_views(data: HybridData, rows: Tensor, looks: Looks) -> dict[str, Tensor]:
    """The views of some rows that need not be made anew, as plain tensors, which can be moved to a
    device."""
    taken: dict[str, Tensor] = {}
    for name, view, anew in (("rnn", data.rnn, looks.cnn_rnn), ("clip", data.clip, looks.clip)):
        if anew:
            continue
        few = view.rows(rows)
        taken[f"{name}_pooled"] = few.pooled
        taken |= {} if few.tokens is None else {f"{name}_tokens": few.tokens.float()}
        taken |= {} if few.mask is None else {f"{name}_mask": few.mask}
    return taken


@dataclass(frozen=True)
class Seen:
    """Both views of a batch, and the CNN's tokens where it looked."""

    rnn: View
    clip: View
    tokens: Tensor | None = None


def views_of(
    model: HybridClassifier, batch: Mapping[str, Any], looks: Looks,
    fold_decoders: Sequence[LabelDecoder] = (),
) -> Seen:
    """The two views of a batch, kept or made anew.

    Args:
        batch: with "images" (b, 3, H, W) where there is something to look at, and "folds" (b,)
            where each image is to be decoded by the decoder that has not seen it.
    """
    tokens = None
    if looks.cnn_rnn:
        with torch.set_grad_enabled(looks.cnn and torch.is_grad_enabled()):
            tokens = torch.cat([
                model.cnn(model.cnn.preprocessing(few)).tokens for few in some(batch["images"])
            ])
        rnn = model.decoder_view(_decoded(model, tokens, batch, looks, fold_decoders), tokens)
    else:
        rnn = _kept(batch, "rnn")
    if looks.clip:
        tower = model.clip
        with torch.set_grad_enabled(looks.vision and torch.is_grad_enabled()):
            clip = joined([
                model.clip_view(tower.encode_image(tower.preprocessing(few)))
                for few in some(batch["images"])
            ])
    else:
        clip = _kept(batch, "clip")
    return Seen(rnn, clip, tokens)


def some(images: Tensor) -> list[Tensor]:
    """Images in chunks that encode fast: few at a time on a CPU, all at once on a GPU. The share of
    a process may hold none."""
    return (list(chunks(images)) if images.device.type == "cpu" else []) or [images]


def _kept(batch: Mapping[str, Any], name: str) -> View:
    return View(batch[f"{name}_pooled"], batch.get(f"{name}_tokens"), batch.get(f"{name}_mask"))


def _decoded(
    model: HybridClassifier, tokens: Tensor, batch: Mapping[str, Any], looks: Looks,
    fold_decoders: Sequence[LabelDecoder],
) -> Decoded | None:
    if model.view == "map" and model.tokens == "map":  # no decoder is asked
        return None
    if looks.cnn or looks.decoder:
        return model.decoder.decode_to_learn(tokens)
    if "folds" not in batch or not fold_decoders or not len(tokens):
        return model.decoder.decode(tokens)
    folds = batch["folds"]
    order, found = [], []
    for number, decoder in enumerate(fold_decoders):
        its = (folds == number).nonzero()[:, 0]
        if len(its):
            order.append(its)
            found.append(decoder.to(tokens.device).decode(tokens[its]))
    back = torch.cat(order).argsort()
    whole = together(found)
    return Decoded(**{name: value[back] for name, value in vars(whole).items()})
