"""The label decoder as a task of the trainer: phase 0, on images or on label sequences alone.

Without tokens the decoder sees nothing, and learns which labels follow which: a language model of
label sets, which costs no image. Its weights are then where phase 0 begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from hybridlab.data.boxes import LabelBoxes
from hybridlab.decoder.cnn_rnn import LabelDecoder, sequence_loss
from hybridlab.decoder.sequences import PAD, to_sequences
from hybridlab.evaluation.metrics import mean_ap
from hybridlab.training.decoding import CHUNK
from hybridlab.training.label_ranks import (
    BY_BOX,
    aligned,
    random_ranks,
    share_of_truth,
    standing_ranks,
    steps_needed,
)
from hybridlab.training.recipes import ALIGNED, DecoderRecipe
from hybridlab.training.stage import Stage
from hybridlab.training.task import annotations_hash, label_counts, zero_of


class DecoderTask:
    """Data, loss and score of a label decoder; its one term of the loss is "sequence".

    Args:
        targets: (N, L) in {0, 1}; -1 (not annotated) counts as absent.
        tokens: (N, P, C) of a frozen CNN; None for label sequences alone.
        held_targets, held_tokens: the same, to be judged by. With tokens the score is the mAP of
            free-running decoding; without, minus the loss of a step, in nats.
        recipe: order and feeding; the rest is the stage's.
        boxes: of the training images, for the orders "size" and "reading".
        seed: of random orders.

    Raises:
        TooManyLabelsError: an image has more labels than `recipe.max_steps` lets be written.
        ValueError: sizes that disagree, or an order by boxes without boxes.
    """

    rows_meet = False

    def __init__(
        self, targets: Tensor, tokens: Tensor | None, held_targets: Tensor,
        held_tokens: Tensor | None, recipe: DecoderRecipe | None = None,
        boxes: LabelBoxes | None = None, seed: int = 0,
    ):
        self.recipe = recipe = recipe or DecoderRecipe()
        for name, rows, seen in (("", targets, tokens), ("held_", held_targets, held_tokens)):
            if seen is not None and len(seen) != len(rows):
                raise ValueError(
                    f"{name}tokens has {len(seen)} images and {name}targets {len(rows)} rows"
                )
        if (tokens is None) != (held_tokens is None) and len(held_targets):
            raise ValueError("tokens were given for one split and not for the other; give both")
        if targets.shape[1] != held_targets.shape[1]:
            raise ValueError(
                f"targets has {targets.shape[1]} labels and held_targets {held_targets.shape[1]}; "
                "give splits of the same labels, in the same order"
            )
        self.targets, self.tokens = targets, tokens
        self.held_targets, self.held_tokens = held_targets, held_tokens
        self.max_steps = steps_needed(targets, recipe)
        if tokens is None and recipe.order in BY_BOX:
            raise ValueError(
                f"order is {recipe.order!r}, but label sequences alone stand at no place; choose "
                "frequent, rare or random"
            )
        self.seed = seed
        if recipe.order != "random":
            self.standing = standing_ranks(recipe.order, targets, boxes)
        self.n_samples, self.n_held = len(targets), len(held_targets)

    def describe(self) -> Mapping[str, Any]:
        """The recipe, sizes, and a hash of the labels."""
        return {
            "held": self.n_held, "labels": self.targets.shape[1], "order": self.recipe.order,
            "feeding": self.recipe.feeding,
            "annotations": annotations_hash(self.targets, self.held_targets),
            "map": None if self.tokens is None else list(self.tokens.shape[1:]),
        }

    def difficulty(self, name: str) -> tuple[float, ...]:
        """How many labels each training image has ("labels").

        Raises:
            ValueError: an unknown name.
        """
        if name != "labels":
            raise ValueError(f"curriculum is {name!r}; a decoder's task knows 'labels'")
        return label_counts(self.targets)

    def batch(self, rows: Tensor, stage: Stage, epoch: int) -> dict[str, Any]:
        """Tokens, targets and label sequences of the rows, and the share of truth."""
        taken: dict[str, Any] = {
            "targets": self.targets[rows],
            "label_seq": to_sequences(self.targets[rows], self._ranks(rows, epoch)),
            "truth": share_of_truth(self.recipe, epoch / max(1, stage.epochs - 1)),
        }
        return taken if self.tokens is None else {**taken, "tokens": self.tokens[rows]}

    def _ranks(self, rows: Tensor, epoch: int) -> Tensor:
        if self.recipe.order == "random":
            return random_ranks(rows, self.targets.shape[1], self.seed, epoch)
        return self.standing[rows] if self.standing.dim() == 2 else self.standing

    def counts(self, rows: Tensor, stage: Stage) -> dict[str, float]:
        """Steps: each image's labels, and STOP."""
        return {"sequence": float((self.targets[rows] > 0).sum() + len(rows))}

    def sums(
        self, model: nn.Module, batch: Mapping[str, Any], stage: Stage
    ) -> dict[str, Tensor]:
        """Cross-entropy, summed over the steps."""
        decoder, label_seq = cast(LabelDecoder, model), batch["label_seq"]
        tokens = batch.get("tokens")
        if tokens is None:
            tokens = self._nothing(decoder, len(label_seq))
        if not len(tokens):  # the share of a process may be empty
            return {"sequence": zero_of(decoder)}
        step_logits = decoder(tokens.float(), label_seq, batch["truth"])
        if self.recipe.order in ALIGNED:
            label_seq = aligned(self.recipe.order, step_logits, batch["targets"])
        steps = (label_seq != PAD).sum()
        return {"sequence": sequence_loss(step_logits, label_seq) * steps}

    def predict(self, model: nn.Module, rows: Tensor, stage: Stage) -> Tensor:
        """Probabilities (n, L) of held images; of label sequences alone, the cross-entropy of each
        and its steps (n, 2)."""
        decoder = cast(LabelDecoder, model)
        device = next(decoder.parameters()).device
        if self.held_tokens is None:
            return self._surprise(decoder, rows, device)
        found = [decoder.decode(self.held_tokens[few].float().to(device)).probs
                 for few in rows.split(CHUNK) if len(few)]
        return torch.cat(found) if found else torch.empty(0, self.targets.shape[1])

    def score(self, predictions: Tensor) -> float:
        """mAP; of label sequences alone, minus the mean cross-entropy of a step."""
        if self.held_tokens is None:
            total, steps = predictions.double().sum(dim=0).tolist()
            return -total / steps
        return mean_ap(predictions.float().numpy(), self.held_targets.numpy()).value

    def _surprise(self, decoder: LabelDecoder, rows: Tensor, device: torch.device) -> Tensor:
        if not len(rows):
            return torch.empty(0, 2)
        label_seq = to_sequences(self.held_targets[rows], self._ranks(rows, 0)).to(device)
        step_logits = decoder(self._nothing(decoder, len(rows)), label_seq)
        each = nn.functional.cross_entropy(
            step_logits.transpose(1, 2), label_seq, ignore_index=PAD, reduction="none"
        )
        return torch.stack([each.sum(dim=1), (label_seq != PAD).sum(dim=1).float()], dim=1)

    @staticmethod
    def _nothing(decoder: LabelDecoder, rows: int) -> Tensor:
        """What a decoder that sees nothing reads: one place, of zeros."""
        return torch.zeros(rows, 1, decoder.channels, device=decoder.embed.weight.device)
