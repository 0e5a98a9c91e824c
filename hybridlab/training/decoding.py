"""Training a label decoder on frozen tokens by a `DecoderRecipe`, and decoding a whole split."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hybridlab.data.boxes import LabelBoxes
from hybridlab.decoder.cnn_rnn import LabelDecoder, sequence_loss
from hybridlab.decoder.decoded import Decoded
from hybridlab.decoder.orders import random_order
from hybridlab.decoder.sequences import PAD, to_sequences
from hybridlab.training.held import Held, seeded
from hybridlab.training.label_ranks import aligned, share_of_truth, standing_ranks, steps_needed
from hybridlab.training.loop import Report, silent, train
from hybridlab.training.recipes import ALIGNED, DecoderRecipe

CHUNK = 256
Ranks = Callable[[Tensor], Tensor]  # row numbers (B,) -> ranks (L,) or (B, L)


class DecodedSplit(NamedTuple):
    """Free-running decoding of a split.

    Attributes:
        h_rnn: (N, D), the last valid state.
        probs: (N, L).
        chosen: (N, L) bool, the labels of the decoded sequences.
    """

    h_rnn: Tensor
    probs: Tensor
    chosen: Tensor


def fit_decoder(
    tokens: Tensor,
    targets: Tensor,
    held: Held | None,
    recipe: DecoderRecipe,
    seed: int,
    boxes: LabelBoxes | None = None,
    report: Report = silent,
    name: str = "decoder",
) -> LabelDecoder:
    """A label decoder trained on frozen tokens (N, P, C).

    Args:
        targets: (N, L) in {0, 1}; -1 (not annotated) counts as absent.
        held: its inputs are tokens; the epoch whose free-running probabilities have the best mAP
            is kept. Without it the last one is.
        boxes: of the same images, for the orders "size" and "reading".
        seed: of the weights, of the batches, and of random orders and coins.

    Raises:
        TooManyLabelsError: an image has more labels than `recipe.max_steps` lets be written.
        ValueError: an order by boxes without boxes, or sizes that disagree.
        FloatingPointError: the loss is NaN or infinite.
    """
    if len(tokens) != len(targets):
        raise ValueError(f"tokens has {len(tokens)} images and targets {len(targets)} rows")
    steps = steps_needed(targets, recipe)
    decoder = seeded(
        seed,
        lambda: LabelDecoder(
            tokens.shape[2], targets.shape[1], max_steps=steps, **recipe.decoder_options()  # type: ignore[arg-type]
        ),
    )
    draw = torch.Generator().manual_seed(seed)
    ranks = _ranks(recipe.order, targets, boxes, draw)
    share = _Share(recipe, len(tokens))

    def loss_of(rows: Tensor) -> Tensor:
        label_seq = to_sequences(targets[rows], ranks(rows))
        step_logits = decoder(tokens[rows].float(), label_seq, share.next(), draw)
        if recipe.order in ALIGNED:
            label_seq = aligned(recipe.order, step_logits, targets[rows])
        return sequence_loss(step_logits, label_seq)

    def score() -> float:
        assert held is not None
        return held.score(decode_all(decoder, *held.inputs).probs)

    train(
        name,
        [(decoder, recipe.lr)],
        loss_of,
        len(tokens),
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        seed=seed,
        weight_decay=recipe.weight_decay,
        validate=score if held else None,
        report=report,
    )
    return decoder.eval()


@torch.no_grad()
def decode_all(decoder: LabelDecoder, tokens: Tensor) -> DecodedSplit:
    """Free-running decoding of a split's tokens (N, P, C)."""
    states, probs, chosen = [], [], []
    for chunk in tokens.split(CHUNK):
        decoded = decoder.decode(chunk.float())
        states.append(decoded.h_rnn)
        probs.append(decoded.probs)
        chosen.append(chosen_labels(decoded, decoder.n_labels))
    return DecodedSplit(torch.cat(states), torch.cat(probs), torch.cat(chosen))


@torch.no_grad()
def decode_steps(decoder: LabelDecoder, tokens: Tensor) -> Decoded:
    """Free-running decoding of a split's tokens (N, P, C), with everything that each step had; on
    the decoder's device, kept on the CPU.

    T is that of the longest sequence; behind a shorter one is what `Decoded` says.
    """
    device = decoder.embed.weight.device
    found = [decoder.decode(few.to(device).float()) for few in tokens.split(CHUNK)]
    return together([
        Decoded(**{name: value.cpu() for name, value in vars(each).items()}) for each in found
    ])


def together(found: Sequence[Decoded]) -> Decoded:
    """Decodings of several batches as one of all their images; shorter ones are padded."""
    most = max(each.label_seq.shape[1] for each in found)

    def padded(name: str) -> Tensor:
        fill = PAD if name == "label_seq" else 0
        whole = []
        for each in (getattr(one, name) for one in found):
            lack = most - each.shape[1]
            whole.append(F.pad(each, (*[0, 0] * (each.dim() - 2), 0, lack), value=fill))
        return torch.cat(whole)

    steps = ("label_seq", "step_logits", "step_states", "mask", "attention")
    return Decoded(
        **{name: padded(name) for name in steps},
        h_rnn=torch.cat([one.h_rnn for one in found]), probs=torch.cat([o.probs for o in found]),
    )


def chosen_labels(decoded: Decoded, n_labels: int) -> Tensor:
    """The labels of each decoded sequence as decisions (B, L) bool, STOP and padding left out."""
    label = decoded.label_seq.clamp(min=0, max=n_labels)
    real = (decoded.label_seq >= 0) & (decoded.label_seq < n_labels)
    decisions = torch.zeros(len(label), n_labels + 1, dtype=torch.bool, device=label.device)
    decisions.scatter_(1, torch.where(real, label, n_labels), True)
    return decisions[:, :n_labels]


class _Share:
    """The share of truth at each step of the training."""

    def __init__(self, recipe: DecoderRecipe, n_samples: int):
        self.recipe, self.step = recipe, 0
        self.steps = recipe.epochs * math.ceil(n_samples / recipe.batch_size)

    def next(self) -> float:
        progress = self.step / max(1, self.steps - 1)
        self.step += 1
        return share_of_truth(self.recipe, progress)


def _ranks(
    order: str, targets: Tensor, boxes: LabelBoxes | None, draw: torch.Generator
) -> Ranks:
    if order == "random":
        return lambda rows: random_order(len(rows), targets.shape[1], draw)
    standing = standing_ranks(order, targets, boxes)
    return (lambda rows: standing[rows]) if standing.dim() == 2 else (lambda rows: standing)
