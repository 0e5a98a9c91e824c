"""Beam search as one tensor program over (B, K): all beams of all images take a step at once.

It knows nothing of labels or images: it takes any step function, so the label decoder, captions and
toy models in tests all use it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from hybridlab.decoder.sequences import PAD

State = tuple[Tensor, ...]
# (previous (B * K,), state with rows B * K, memory with rows B) ->
# (log-probabilities (B * K, V), the next state, attention (B * K, P) or None)
Step = Callable[[Tensor, State, State], tuple[Tensor, State, Tensor | None]]
NOTHING = float("-inf")


@dataclass(frozen=True)
class Beams:
    """The K best sequences of each image, best first. T is the longest one, STOP included.

    Where fewer than K sequences exist, the rest are empty: PAD throughout, with a score of -inf.

    Attributes:
        sequences: (B, K, T) long: symbols, STOP, then PAD.
        log_probs: (B, K), summed over the sequence, STOP included.
        scores: (B, K), log_probs / length ** length_power: what the beams are ranked by.
        lengths: (B, K) long, STOP included; 0 where a beam is empty.
        attention: (B, K, T, P), 0 after STOP; None where the steps give none.
        chosen, parents, sums: (T, B, K), how the search went: the symbol that each beam took at
            each step (PAD where it had ended), the beam it took it from, its log_probs so far.
    """

    sequences: Tensor
    log_probs: Tensor
    scores: Tensor
    lengths: Tensor
    attention: Tensor | None
    chosen: Tensor
    parents: Tensor
    sums: Tensor

    def sets(self, n_labels: int) -> Tensor:
        """The sequences as sets (B, K, L) bool; symbols from L on (STOP) are left out."""
        batch, beams, _ = self.sequences.shape
        real = (self.sequences >= 0) & (self.sequences < n_labels)
        found = torch.zeros(
            batch, beams, n_labels + 1, dtype=torch.bool, device=self.sequences.device
        )
        found.scatter_(2, torch.where(real, self.sequences, n_labels), True)
        return found[..., :n_labels]


@torch.no_grad()
def beam_search(
    step: Step,
    first: Tensor,
    state: State,
    memory: State = (),
    *,
    beams: int,
    stop: int,
    max_steps: int,
    length_power: float = 0.0,
    allow_repeats: bool = False,
) -> Beams:
    """The K best sequences that a step function writes.

    Finished sequences stay among the K and compete with longer ones (trap 6). The last step may
    only be STOP. Images whose beams have all ended are dropped once half have. With K = 1 it is
    greedy decoding; with K as large as the number of sequences it is exhaustive.

    Args:
        step: takes the last symbols and what is remembered, gives log-probabilities of the next;
            see `Step`. Rows are image by image: K rows of the first, K of the second, and so on; at
            the first step, where all sequences are still one, a single row for each.
        first: (B,) long, the symbol before the first.
        state: tensors (B, ...) that belong to a sequence, an RNN's state, say.
        memory: tensors (B, ...) that belong to an image and are the same for all its sequences, a
            feature map, say; they are never copied K times.
        beams: K, 1 or more; more than there are symbols is fine.
        stop: the symbol that ends a sequence.
        max_steps: T at most, STOP included.
        length_power: sequences are ranked by the sum of their log-probabilities over
            length ** length_power: 0 ranks by the sum, which favours short ones, 1 by the mean.
        allow_repeats: let a symbol be chosen twice. Without it the probabilities of symbols that
            are left are not scaled up: a sequence's log_probs is what the model gives it.

    Raises:
        ValueError: beams or max_steps no whole number from 1 on, a length_power below 0 or not
            finite, no such symbol as stop, or a step function that gives numbers above 0, which
            are no log-probabilities.
        FloatingPointError: the step function gave NaN.
    """
    beams, max_steps = _whole("beams", beams), _whole("max_steps", max_steps)
    if not 0 <= length_power < float("inf"):
        raise ValueError(f"length_power is {length_power}; give 0 (the sum) or more, 1 is the mean")
    batch, device = len(first), first.device
    previous, width = first, 1  # at first there is one sequence, the empty one
    sums = torch.zeros(batch, width, device=device)
    done = torch.zeros(batch, width, dtype=torch.bool, device=device)
    lengths = torch.zeros(batch, width, dtype=torch.long, device=device)
    used: Tensor | None = None
    history = _History(batch, beams, max_steps, device)
    images = torch.arange(batch, device=device)  # those still computed
    steps = 0
    for t in range(max_steps if batch else 0):
        steps = t + 1
        log_probs, state, attention = step(previous, state, memory)
        symbols = log_probs.shape[-1]
        if t == 0:
            _check_step(log_probs, stop)
            sums = sums.to(torch.promote_types(log_probs.dtype, torch.float32))
            history.sums = history.sums.to(sums)
        log_probs = log_probs.view(-1, width, symbols).to(sums)
        if t == 0 and not allow_repeats:
            used = torch.zeros_like(log_probs, dtype=torch.bool)
        if t == max_steps - 1:
            left = torch.full_like(log_probs, NOTHING)
            left[..., stop] = log_probs[..., stop]
        else:
            left = log_probs if used is None else log_probs.masked_fill(used, NOTHING)
        total = sums[..., None] + left
        # one that has ended goes on as it is, under the column of STOP
        total = total.masked_fill(done[..., None], NOTHING)
        total[..., stop] = torch.where(done, sums, total[..., stop])
        length = lengths + (~done).long()
        ranked = total / length.clamp(min=1)[..., None].to(total) ** length_power
        every = ranked.flatten(1)
        best = every.topk(min(beams, every.shape[1]), dim=1).indices  # (B, K) of K * V
        parent, symbol = best // symbols, best % symbols
        sums = total.flatten(1).gather(1, best)
        if best.shape[1] < beams:  # more beams than symbols: the rest are empty
            lack = (0, beams - best.shape[1])
            parent, symbol = F.pad(parent, lack), F.pad(symbol, lack)
            sums = F.pad(sums, lack, value=NOTHING)
        ended, lengths = done.gather(1, parent), length.gather(1, parent)
        ended = ended | sums.isneginf()
        history.keep(t, images, parent, symbol.masked_fill(ended, PAD), sums, lengths, attention)
        done = ended | (symbol == stop)
        at = (torch.arange(len(images), device=device)[:, None] * width + parent).flatten()
        state = tuple(each.index_select(0, at) for each in state)
        previous, width = symbol.flatten(), beams
        if used is not None:
            used = used.view(-1, symbols)[at].view(-1, beams, symbols)
            used.scatter_(2, symbol[..., None], True)
        going = ~done.all(dim=1)
        count = int(going.sum())
        if count == 0:
            break
        if 2 * count <= len(images):  # worth a copy
            rows = going.repeat_interleave(beams)
            state = tuple(each[rows] for each in state)
            memory = tuple(each[going] for each in memory)
            previous, images = previous[rows], images[going]
            sums, done, lengths = sums[going], done[going], lengths[going]
            used = None if used is None else used[going]
    found = history.told(steps, length_power)
    if bool(found.log_probs.isnan().any()):
        raise FloatingPointError("the step function gave NaN; look for NaN in what it was given")
    return found


class _History:
    """What each step chose, for all images; those not computed any more keep their beams."""

    def __init__(self, batch: int, beams: int, steps: int, device: torch.device):
        shape = (steps, batch, beams)
        self.chosen = torch.full(shape, PAD, device=device)
        same = torch.arange(beams, device=device)
        self.parents = same.expand(shape).clone()
        self.sums = torch.full(shape, NOTHING, device=device)
        self.lengths = torch.zeros(batch, beams, dtype=torch.long, device=device)
        self.attention: list[Tensor] = []

    def keep(
        self, t: int, images: Tensor, parent: Tensor, chosen: Tensor, sums: Tensor,
        lengths: Tensor, attention: Tensor | None,
    ) -> None:
        """One step of the images that are still computed."""
        self.parents[t, images], self.chosen[t, images] = parent, chosen
        self.sums[t:, images] = sums  # until a later step says otherwise
        self.lengths[images] = lengths.masked_fill(sums.isneginf(), 0)
        if attention is not None:
            places = attention.shape[-1]
            looked = attention.view(len(parent), -1, places)  # before sorting: the parents'
            whole = looked.new_zeros(*self.lengths.shape, places)
            whole[images] = looked.gather(1, parent[..., None].expand(-1, -1, places))
            self.attention.append(whole)

    def told(self, steps: int, length_power: float) -> Beams:
        """Follow every final beam back to its first step."""
        batch, beams = self.lengths.shape
        at = torch.arange(beams, device=self.chosen.device).expand(batch, beams)
        sequences, looked = [], []
        for t in reversed(range(steps)):
            sequences.append(self.chosen[t].gather(1, at))
            if self.attention:
                each = self.attention[t]
                looked.append(each.gather(1, at[..., None].expand_as(each)))
            at = self.parents[t].gather(1, at)
        if not steps:  # no image
            empty = self.chosen.new_zeros(batch, beams, 0)
            return Beams(empty, self.sums.new_zeros(batch, beams), self.sums.new_zeros(
                batch, beams), self.lengths, None, self.chosen[:0], self.parents[:0],
                self.sums[:0])
        whole = torch.stack(sequences[::-1], dim=2)  # (B, K, T)
        attention = None
        if looked:
            attention = torch.stack(looked[::-1], dim=2)  # (B, K, T, P)
            attention = attention * (whole != PAD)[..., None]
        sums = self.sums[steps - 1]
        scores = sums / self.lengths.clamp(min=1).to(sums) ** length_power
        return Beams(
            whole.masked_fill(sums.isneginf()[..., None], PAD), sums, scores, self.lengths,
            attention, self.chosen[:steps], self.parents[:steps], self.sums[:steps],
        )


def _whole(name: str, value: int) -> int:
    try:
        number = 0 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        raise ValueError(f"{name} is {value!r}; give a whole number, 1 or more")
    return number


def _check_step(log_probs: Tensor, stop: int) -> None:
    if not 0 <= stop < log_probs.shape[-1]:
        raise ValueError(
            f"stop is {stop}, but the step function knows {log_probs.shape[-1]} symbols: 0 to "
            f"{log_probs.shape[-1] - 1}"
        )
    if bool((log_probs > 1e-3).any()):
        raise ValueError(
            f"the step function gave {float(log_probs.max()):.3g}; log-probabilities are 0 or "
            "less: take log_softmax of logits"
        )
