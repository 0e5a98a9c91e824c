"""The hybrid as a task of the trainer: cached views while encoders rest, pictures once they learn.

Phase 1 trains what joins the views; nothing before it changes, so the views are computed once.
Phase 2 lets CLIP's vision tower learn: it looks at the pictures anew, and the CNN-RNN's view stays
cached (seed 000, section 4).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from hybridlab.evaluation.metrics import mean_ap
from hybridlab.fusion.view import View, joined
from hybridlab.model import HybridClassifier
from hybridlab.total_loss import loss_terms
from hybridlab.training.features import chunks
from hybridlab.training.stage import Stage

_ROWS = 256  # images that are fused at once where nothing is learnt


@dataclass(frozen=True)
class HybridData:
    """One split, as far as a training needs it.

    Attributes:
        targets: (N, L) in {0, 1} or -1.
        rnn, clip: the cached views of frozen encoders; on the training split the CNN-RNN's is
            cross-fitted.
        images: (N, 3, H, W) uint8, where CLIP's tower is to learn.
    """

    targets: Tensor
    rnn: View
    clip: View
    images: Tensor | None = None

    def __len__(self) -> int:
        return len(self.targets)


class HybridTask:
    """Data, loss and score of the hybrid's joint phases.

    Terms of the loss are "classification" and "contrastive"; a stage's weights say how much each
    counts, and one that it does not name is left out.

    Args:
        train, held: the splits to learn from and to be judged by (mAP of the label head).
        classification, alignment: as in `total_loss.loss_terms`.

    Raises:
        ValueError: splits of different labels.
    """

    def __init__(
        self, train: HybridData, held: HybridData, classification: str = "bce",
        alignment: str = "infonce",
    ):
        if train.targets.shape[1] != held.targets.shape[1]:
            raise ValueError(
                f"train has {train.targets.shape[1]} labels and held {held.targets.shape[1]}; give "
                "splits of the same labels, in the same order"
            )
        self.train, self.held = train, held
        self.classification, self.alignment = classification, alignment
        self.n_samples, self.n_held = len(train), len(held)

    def describe(self) -> Mapping[str, Any]:
        """Sizes, losses, and a hash of the annotations."""
        data = hashlib.sha256()
        for split in (self.train, self.held):
            data.update(split.targets.to(torch.int8).contiguous().numpy().tobytes())
        return {
            "held": self.n_held, "labels": self.train.targets.shape[1],
            "classification": self.classification, "alignment": self.alignment,
            "annotations": data.hexdigest()[:16],
        }

    def difficulty(self, name: str) -> tuple[float, ...]:
        """How many labels each training image has ("labels").

        Raises:
            ValueError: an unknown name.
        """
        if name != "labels":
            raise ValueError(f"curriculum is {name!r}; this task knows 'labels'")
        return tuple((self.train.targets > 0).sum(dim=1).tolist())

    def batch(self, rows: Tensor, stage: Stage, epoch: int) -> dict[str, Any]:
        """Views of the rows, and what learners look at in their place."""
        return _taken(self.train, rows, tower_learns(stage))

    def counts(self, rows: Tensor, stage: Stage) -> dict[str, float]:
        """Annotated entries; images with a positive, or all where the alignment asks each text."""
        targets = self.train.targets[rows]
        every = {
            "classification": float((targets >= 0).sum()),
            "contrastive": float(len(rows) if self.alignment == "sigmoid" else
                                 (targets > 0).any(dim=1).sum()),
        }
        return {name: every[name] for name in _weighed(stage)}

    def sums(
        self, model: nn.Module, batch: Mapping[str, Any], stage: Stage
    ) -> dict[str, Tensor]:
        """Both terms, each a mean over these rows times what it is a mean of."""
        hybrid = cast(HybridClassifier, model)
        out = hybrid.fuse(*_views(hybrid, batch))
        targets, names = batch["targets"], _weighed(stage)
        terms = loss_terms(
            out.logits, targets, out.contrastive_logits if "contrastive" in names else None,
            classification=self.classification, alignment=self.alignment,
        )
        own = {
            "classification": (targets >= 0).sum(),
            "contrastive": torch.tensor(len(targets)) if self.alignment == "sigmoid" else
            (targets > 0).any(dim=1).sum(),
        }
        return {name: terms[name] * own[name].to(terms[name].device) for name in names}

    def predict(self, model: nn.Module, rows: Tensor, stage: Stage) -> Tensor:
        """Logits (n, L) of held rows."""
        looks = tower_learns(stage)
        hybrid = cast(HybridClassifier, model)
        device = next(model.parameters()).device
        found = [
            hybrid.fuse(*_views(hybrid, _moved(_taken(self.held, few, looks), device))).logits
            for few in rows.split(_ROWS)
        ]
        return torch.cat(found) if found else torch.empty(0, self.train.targets.shape[1])

    def score(self, predictions: Tensor) -> float:
        """Mean average precision."""
        return mean_ap(predictions.float().numpy(), self.held.targets.numpy()).value


def tower_learns(stage: Stage) -> bool:
    """Whether CLIP's tower learns in a stage, and so cannot be cached.

    Raises:
        ValueError: the CNN or the decoder learns, of which the fusion needs opinions that are
            cross-fitted.
    """
    first = {part.module.partition(".")[0] for part in stage.parts}
    if early := sorted(first & {"", "cnn", "decoder"}):
        raise ValueError(
            f"stage {stage.name!r} lets {early[0] or 'the whole model'!r} learn; train CNN and "
            "decoder before the joint phases: on the training images the fusion hears opinions "
            "that are cross-fitted, and they would be another decoder's"
        )
    return "clip" in first


def _weighed(stage: Stage) -> list[str]:
    named = {"classification": 1.0} if not stage.weights else stage.weights
    if strange := sorted(set(named) - {"classification", "contrastive"}):
        raise ValueError(
            f"stage {stage.name!r} weighs {', '.join(strange)}; the hybrid's terms are "
            "classification and contrastive"
        )
    kept = [name for name, weight in named.items() if weight > 0]
    if not kept:
        raise ValueError(f"all weights of stage {stage.name!r} are 0; nothing would be learnt")
    return kept


def _taken(data: HybridData, rows: Tensor, looks: bool) -> dict[str, Any]:
    """Some rows of a split, as plain tensors, which can be moved to a device.

    Args:
        looks: CLIP's tower looks at the images.
    """
    taken: dict[str, Any] = {"targets": data.targets[rows]}
    views = {"rnn": data.rnn} if looks else {"rnn": data.rnn, "clip": data.clip}
    if looks:
        if data.images is None:
            raise ValueError("CLIP's tower learns, but the data holds no images; give them")
        taken["images"] = data.images[rows]
    for name, view in views.items():
        few = view.rows(rows)
        taken[f"{name}_pooled"] = few.pooled
        taken |= {} if few.tokens is None else {f"{name}_tokens": few.tokens.float()}
        taken |= {} if few.mask is None else {f"{name}_mask": few.mask}
    return taken


def _views(model: HybridClassifier, batch: Mapping[str, Any]) -> tuple[View, View]:
    """Both views: cached, or as the tower has them now."""
    rnn, clip = (
        View(batch[f"{name}_pooled"], batch.get(f"{name}_tokens"), batch.get(f"{name}_mask"))
        if f"{name}_pooled" in batch else None for name in ("rnn", "clip")
    )
    assert rnn is not None
    if clip is None:
        tower = model.clip
        few = list(chunks(batch["images"])) or [batch["images"]]  # a process may have no image
        clip = joined([
            model.clip_view(tower.encode_image(tower.preprocessing(each))) for each in few
        ])
    return rnn, clip


def _moved(batch: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    return {name: value.to(device) for name, value in batch.items()}
