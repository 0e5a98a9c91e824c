"""An encoder with a linear head on its mean as a task of the trainer: phase 0 of the CNN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from hybridlab.encoders.cnn import CNNEncoder
from hybridlab.evaluation.metrics import mean_ap
from hybridlab.total_loss import loss_terms
from hybridlab.training.augmentation import ObjectBoxes, augmentation
from hybridlab.training.hybrid_data import some
from hybridlab.training.stage import Stage
from hybridlab.training.task import annotations_hash, label_counts, pictures_hash

_ROWS = 256  # images that are looked at at once where nothing is learnt


class CnnClassifier(nn.Module):
    """A CNN, the mean of its map, and one weight for each channel and label.

    Shape:
        pixels (B, 3, H, W), preprocessed -> logits (B, L)
    """

    def __init__(self, cnn: CNNEncoder, n_labels: int):
        super().__init__()
        self.cnn, self.head = cnn, nn.Linear(cnn.dim, n_labels)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.head(self.cnn(pixels).pooled)


class EncoderTask:
    """Data, loss and score of a `CnnClassifier`; its one term of the loss is "classification".

    Args:
        images, targets: (N, 3, H, W) uint8 and (N, L) in {0, 1} or -1.
        held_images, held_targets: the same, to be judged by (mAP).
        boxes: of the training images, for augmentation.
        classification: "bce" or "asl".
        seed: of augmentation.

    Raises:
        ValueError: sizes that disagree.
    """

    rows_meet = False

    def __init__(
        self, images: Tensor, targets: Tensor, held_images: Tensor, held_targets: Tensor,
        boxes: ObjectBoxes | None = None, classification: str = "bce", seed: int = 0,
    ):
        for name, pictures, rows in (("", images, targets), ("held_", held_images, held_targets)):
            if len(pictures) != len(rows):
                raise ValueError(
                    f"{name}images has {len(pictures)} and {name}targets {len(rows)} rows; give as "
                    "many of both"
                )
        self.images, self.targets, self.boxes = images, targets, boxes
        self.held_images, self.held_targets = held_images, held_targets
        self.classification, self.seed = classification, seed
        self.n_samples, self.n_held = len(images), len(held_images)

    def describe(self) -> Mapping[str, Any]:
        """Sizes, loss, and hashes of annotations and pictures."""
        return {"held": self.n_held, "labels": self.targets.shape[1],
                "classification": self.classification,
                "annotations": annotations_hash(self.targets, self.held_targets),
                "pictures": pictures_hash(self.images, self.held_images)}

    def difficulty(self, name: str) -> tuple[float, ...]:
        """How many labels each training image has ("labels").

        Raises:
            ValueError: an unknown name.
        """
        if name != "labels":
            raise ValueError(f"curriculum is {name!r}; an encoder's task knows 'labels'")
        return label_counts(self.targets)

    def batch(self, rows: Tensor, stage: Stage, epoch: int) -> dict[str, Any]:
        """Pictures and targets, augmented where the stage says so."""
        images, targets = self.images[rows], self.targets[rows]
        if stage.augment:
            boxes = self.boxes
            images, targets = augmentation(stage.augment)(
                images, targets, [(self.seed, epoch, row) for row in rows.tolist()],
                None if boxes is None else ObjectBoxes(boxes.labels[rows], boxes.boxes[rows]),
            )
        return {"images": images, "targets": targets}

    def counts(self, rows: Tensor, stage: Stage) -> dict[str, float]:
        """Annotated entries."""
        return {"classification": float((self.targets[rows] >= 0).sum())}

    def sums(
        self, model: nn.Module, batch: Mapping[str, Any], stage: Stage
    ) -> dict[str, Tensor]:
        """The loss, summed over annotated entries."""
        targets = batch["targets"]
        terms = loss_terms(_logits(model, batch["images"]).float(), targets,
                           classification=self.classification)
        return {"classification": terms["classification"] * (targets >= 0).sum()}

    def predict(self, model: nn.Module, rows: Tensor, stage: Stage) -> Tensor:
        """Logits (n, L) of held rows."""
        device = next(model.parameters()).device
        return torch.cat([
            _logits(model, self.held_images[few].to(device)) for few in rows.split(_ROWS)
        ])

    def score(self, predictions: Tensor) -> float:
        """Mean average precision."""
        return mean_ap(predictions.float().numpy(), self.held_targets.numpy()).value


def _logits(model: nn.Module, images: Tensor) -> Tensor:
    classifier = cast(CnnClassifier, model)
    return torch.cat([classifier(classifier.cnn.preprocessing(few)) for few in some(images)])
