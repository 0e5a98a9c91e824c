"""The hybrid as a task of the trainer: every joint phase, with one loss (seed 000, section 4).

Phase 1 trains what joins the views, which are computed once. In phase 2 CLIP's vision tower learns
and looks at the pictures anew; the CNN-RNN may join it by a switch: a stage that names "cnn" or
"decoder". Training end to end is a single stage that names everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from hybridlab.decoder.cnn_rnn import LabelDecoder, sequence_loss
from hybridlab.decoder.orders import frequent_first
from hybridlab.decoder.sequences import to_sequences
from hybridlab.evaluation.metrics import mean_ap
from hybridlab.model import HybridClassifier
from hybridlab.total_loss import loss_terms
from hybridlab.training.augmentation import ObjectBoxes, augmentation
from hybridlab.training.hybrid_data import HybridData, kept_views, looks_of, views_of
from hybridlab.training.stage import Stage
from hybridlab.training.task import annotations_hash, label_counts, pictures_hash, zero_of

TERMS = ("classification", "contrastive", "decoder")
_ROWS = 256  # images that are fused at once where nothing is learnt


class HybridTask:
    """Data, loss and score of the hybrid's joint phases.

    Terms of the loss are "classification", "contrastive" and, where the CNN-RNN learns, "decoder":
    the cross-entropy of its next label with true labels told, most frequent first. A stage's
    weights say how much each counts (alpha, beta, gamma); one that it does not name is left out.

    A decoder that learns has seen the training images, and so have its opinions of them: the fusion
    will trust them too much (trap 6). That is the price of the switch, and is to be measured.

    Args:
        train, held: the splits to learn from and to be judged by (mAP of the label head).
        classification, alignment: as in `total_loss.loss_terms`.
        fold_decoders: by the numbers of `train.folds`.
        seed: of augmentation.

    Raises:
        ValueError: splits of different labels.
    """

    rows_meet = False

    def __init__(
        self, train: HybridData, held: HybridData, classification: str = "bce",
        alignment: str = "infonce", fold_decoders: Sequence[LabelDecoder] = (), seed: int = 0,
    ):
        if train.targets.shape[1] != held.targets.shape[1]:
            raise ValueError(
                f"train has {train.targets.shape[1]} labels and held {held.targets.shape[1]}; give "
                "splits of the same labels, in the same order"
            )
        self.train, self.held = train, held
        self.classification, self.alignment = classification, alignment
        self.fold_decoders, self.seed = tuple(fold_decoders), seed
        self.ranks = frequent_first(train.targets)
        self.n_samples, self.n_held = len(train), len(held)

    def describe(self) -> Mapping[str, Any]:
        """Sizes, losses, and hashes of annotations and pictures. Kept views have none: on a GPU
        the same pictures may give others in their last bit."""
        return {
            "held": self.n_held, "labels": self.train.targets.shape[1],
            "classification": self.classification, "alignment": self.alignment,
            "annotations": annotations_hash(self.train.targets, self.held.targets),
            "pictures": pictures_hash(self.train.images, self.held.images),
        }

    def difficulty(self, name: str) -> tuple[float, ...]:
        """How many labels each training image has ("labels"), or how crowded it is ("clutter").

        Raises:
            ValueError: an unknown name, or clutter that is not known.
        """
        if name == "labels":
            return label_counts(self.train.targets)
        if name == "clutter" and self.train.clutter is not None:
            return tuple(self.train.clutter.tolist())
        raise ValueError(
            f"curriculum is {name!r}; this task knows 'labels', and 'clutter' where the data says "
            "how crowded each image is"
        )

    def batch(self, rows: Tensor, stage: Stage, epoch: int) -> dict[str, Any]:
        """Targets and kept views of the rows, and the pictures that something looks at."""
        looks, data = looks_of(stage), self.train
        taken: dict[str, Any] = {"targets": data.targets[rows], **kept_views(data, rows, looks)}
        if looks.at_pictures:
            taken["images"] = _images(data, rows, stage)
            if data.folds is not None:
                taken["folds"] = data.folds[rows]
        if stage.augment:
            change, boxes = augmentation(stage.augment), data.boxes
            taken["images"], taken["targets"] = change(
                taken["images"], taken["targets"],
                [(self.seed, epoch, row) for row in rows.tolist()],
                None if boxes is None else ObjectBoxes(boxes.labels[rows], boxes.boxes[rows]),
            )
        return taken

    def counts(self, rows: Tensor, stage: Stage) -> dict[str, float]:
        """Annotated entries; images with a positive, or all where the alignment asks each text; and
        steps of label sequences. They are those of the pictures as they are: a crop that drops
        labels leaves the weights of the terms alone."""
        targets = self.train.targets[rows]
        every = {
            "classification": float((targets >= 0).sum()),
            "contrastive": float(len(rows) if self.alignment == "sigmoid" else
                                 (targets > 0).any(dim=1).sum()),
            "decoder": float((targets > 0).sum() + len(rows)),
        }
        return {name: every[name] for name in _weighed(stage)}

    def sums(
        self, model: nn.Module, batch: Mapping[str, Any], stage: Stage
    ) -> dict[str, Tensor]:
        """Each term as a mean over these rows times what it is a mean of."""
        hybrid, looks = cast(HybridClassifier, model), looks_of(stage)
        seen = views_of(hybrid, batch, looks, self.fold_decoders)
        out = hybrid.fuse(seen.rnn, seen.clip)
        targets, names = batch["targets"], _weighed(stage)
        terms = loss_terms(
            out.logits.float(), targets,
            out.contrastive_logits.float() if "contrastive" in names else None,
            classification=self.classification, alignment=self.alignment,
        )
        own = {
            "classification": (targets >= 0).sum(),
            "contrastive": torch.tensor(len(targets)) if self.alignment == "sigmoid" else
            (targets > 0).any(dim=1).sum(),
        }
        found = {name: terms[name] * own[name].to(terms[name].device)
                 for name in names if name != "decoder"}
        if "decoder" in names:
            found["decoder"] = self._decoder_loss(hybrid, seen.tokens, targets, stage)
        return {name: found[name] for name in names}

    def _decoder_loss(
        self, model: HybridClassifier, tokens: Tensor | None, targets: Tensor, stage: Stage
    ) -> Tensor:
        if tokens is None:
            raise ValueError(
                f"stage {stage.name!r} weighs 'decoder', but nothing of the CNN-RNN learns in it; "
                "name 'decoder' among its parts, or leave the weight out"
            )
        decoder = model.decoder
        if not len(targets):
            return zero_of(decoder) + 0.0 * tokens.sum()
        label_seq = to_sequences(targets, self.ranks.to(targets.device))
        steps = (label_seq >= 0).sum()
        return sequence_loss(decoder(tokens, label_seq).float(), label_seq) * steps

    def predict(self, model: nn.Module, rows: Tensor, stage: Stage) -> Tensor:
        """Logits (n, L) of held rows."""
        hybrid, looks = cast(HybridClassifier, model), looks_of(stage, augmented=False)
        device = next(model.parameters()).device
        found = []
        for few in rows.split(_ROWS):
            taken = kept_views(self.held, few, looks)
            if looks.at_pictures:
                taken["images"] = _images(self.held, few, stage)
            moved = {name: value.to(device) for name, value in taken.items()}
            seen = views_of(hybrid, moved, looks)
            found.append(hybrid.fuse(seen.rnn, seen.clip).logits)
        return torch.cat(found) if len(rows) else torch.empty(0, self.train.targets.shape[1])

    def score(self, predictions: Tensor) -> float:
        """Mean average precision."""
        return mean_ap(predictions.float().numpy(), self.held.targets.numpy()).value


def _images(data: HybridData, rows: Tensor, stage: Stage) -> Tensor:
    if data.images is None:
        raise ValueError(
            f"in stage {stage.name!r} an encoder looks at pictures, because it learns or they are "
            "augmented, but the data holds no images; give them"
        )
    return data.images[rows]


def _weighed(stage: Stage) -> list[str]:
    named = {"classification": 1.0} if not stage.weights else stage.weights
    if strange := sorted(set(named) - set(TERMS)):
        raise ValueError(
            f"stage {stage.name!r} weighs {', '.join(strange)}; the hybrid's terms are "
            f"{', '.join(TERMS)}"
        )
    kept = [name for name, weight in named.items() if weight > 0]
    if not kept:
        raise ValueError(f"all weights of stage {stage.name!r} are 0; nothing would be learnt")
    return kept
