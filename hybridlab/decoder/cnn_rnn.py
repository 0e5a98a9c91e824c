"""The CNN-RNN: a two-layer GRU that reads a feature map and writes labels one by one.

Seed 000 section 1, after "CNN-RNN: A Unified Framework for Multi-Label Image Classification"
(arXiv 1604.04573). At each step it looks at the map with additive attention, queried by its own
last state h_{t-1} (trap 21), reads the label before, and scores every label and STOP.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hybridlab.decoder.sequences import PAD


@dataclass(frozen=True)
class Decoded:
    """What free-running decoding gives. T is the longest sequence of the batch, STOP included.

    Attributes:
        label_seq: (B, T) long: labels, then STOP, then PAD.
        step_logits: (B, T, L + 1), the last column is STOP.
        step_states: (B, T, D), the top layer's state after each step.
        mask: (B, T) bool, true up to and including STOP (trap 7).
        h_rnn: (B, D), the state after the last valid step.
        attention: (B, T, P), where each step looked; rows sum to 1.
        probs: (B, L), for each label the largest step probability over valid steps (trap 5).
    """

    label_seq: Tensor
    step_logits: Tensor
    step_states: Tensor
    mask: Tensor
    h_rnn: Tensor
    attention: Tensor
    probs: Tensor


class AdditiveAttention(nn.Module):
    """Score each place of a map against one query by a small network (Bahdanau; seed 001).

    Shape:
        query (B, D), keys (B, P, D) -> weights (B, P)
    """

    def __init__(self, dim: int):
        super().__init__()
        self.query = nn.Linear(dim, dim, bias=False)
        self.score = nn.Linear(dim, 1, bias=False)

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        mixed = torch.tanh(keys + self.query(query)[:, None])  # (B, P, D)
        return self.score(mixed).squeeze(-1).softmax(dim=-1)  # (B, P)


class LabelDecoder(nn.Module):
    """Decode a set of labels from the tokens of a feature map.

    Args:
        channels: C, width of the map's tokens.
        n_labels: L.
        dim: D, width of states, embeddings and projected tokens.
        layers: GRU layers.
        dropout: on the tokens, on the inputs of the GRU and of the output, in [0, 1).
        max_steps: free-running decoding stops here even without STOP.

    Shape:
        tokens (B, P, C); see `Decoded` and `forward` for what comes out.
    """

    def __init__(
        self,
        channels: int,
        n_labels: int,
        dim: int = 256,
        layers: int = 2,
        dropout: float = 0.2,
        max_steps: int = 9,
    ):
        super().__init__()
        self.channels, self.n_labels, self.dim = channels, n_labels, dim
        self.layers, self.max_steps = layers, max_steps
        # frozen tokens are few and always the same: without dropout they are learnt by heart
        self.read = nn.Sequential(
            nn.Dropout(dropout), nn.LayerNorm(channels), nn.Linear(channels, dim)
        )
        self.key = nn.Linear(dim, dim)
        self.attend = AdditiveAttention(dim)
        self.begin = nn.Linear(dim, layers * dim)
        self.embed = nn.Embedding(n_labels + 2, dim)  # labels, STOP, START
        self.rnn = nn.GRU(
            2 * dim, dim, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0
        )
        self.dropout = nn.Dropout(dropout)
        self.score = nn.Linear(2 * dim, n_labels + 1)

    @property
    def stop(self) -> int:
        """The step target that ends a sequence: L."""
        return self.n_labels

    def forward(self, tokens: Tensor, label_seq: Tensor) -> Tensor:
        """Teacher forcing: the step logits when each step is told the true label before it.

        For training the decoder only. Never use the states of this pass as features: they have
        read the true labels (trap 6).

        Args:
            tokens: (B, P, C).
            label_seq: (B, T) as `sequences.to_sequences` gives it.

        Returns:
            step_logits (B, T, L + 1), 0 where label_seq is PAD.

        Raises:
            ValueError: batch sizes differ, tokens are not (B, P, C), or a label is unknown.
        """
        self._check(tokens)
        if label_seq.dim() != 2 or len(label_seq) != len(tokens):
            raise ValueError(
                f"label_seq {tuple(label_seq.shape)} must be (B, T) with the B of tokens "
                f"{tuple(tokens.shape)}"
            )
        known = (label_seq == PAD) | ((label_seq >= 0) & (label_seq <= self.stop))
        if not bool(known.all()):
            raise ValueError(
                f"label_seq holds {int(label_seq[~known][0])}, but labels run from 0 to "
                f"{self.n_labels - 1} and STOP is {self.stop}"
            )
        # longest first: step t then computes the first rows only, those that still have a label
        lengths = (label_seq != PAD).sum(dim=1)
        order = lengths.argsort(descending=True, stable=True)
        values, keys, state = self._start(tokens[order])
        label_seq, lengths = label_seq[order], lengths[order]
        inputs = torch.cat([self._first(len(tokens)), label_seq[:, :-1]], dim=1)
        step_logits = values.new_zeros(*label_seq.shape, self.n_labels + 1)
        for t in range(int(lengths.max()) if len(lengths) else 0):
            rows = int((lengths > t).sum())
            step, state, _ = self._step(
                inputs[:rows, t], values[:rows], keys[:rows], state[:, :rows].contiguous()
            )
            step_logits[:rows, t] = step
        return step_logits[order.argsort()]

    @torch.no_grad()
    def decode(self, tokens: Tensor, *, allow_repeats: bool = False) -> Decoded:
        """Greedy free-running decoding: each step is fed the decoder's own last choice.

        Args:
            tokens: (B, P, C).
            allow_repeats: let a label be chosen twice (to measure how often it would be).
        """
        self._check(tokens)
        batch = len(tokens)
        values, keys, state = self._start(tokens)
        chosen = self._first(batch)[:, 0]
        done = torch.zeros(batch, dtype=torch.bool, device=tokens.device)
        used = torch.zeros(batch, self.n_labels + 1, dtype=torch.bool, device=tokens.device)
        steps: list[tuple[Tensor, ...]] = []
        for t in range(self.max_steps):
            logits, state, weights = self._step(chosen, values, keys, state)
            valid = ~done
            allowed = logits if allow_repeats else logits.masked_fill(used, float("-inf"))
            if t == self.max_steps - 1:
                chosen = torch.full_like(chosen, self.stop)  # out of steps
            else:
                chosen = allowed.argmax(dim=-1)
            is_label = (chosen != self.stop)[:, None]  # STOP may be "repeated", labels may not
            used = used | (F.one_hot(chosen, self.n_labels + 1).bool() & is_label)
            steps.append((torch.where(valid, chosen, PAD), logits, state[-1], valid, weights))
            done = done | (chosen == self.stop)
            if bool(done.all()):
                break
        label_seq, step_logits, states, mask, attention = (
            torch.stack(part, dim=1) for part in zip(*steps, strict=True)
        )
        last = mask.sum(dim=1) - 1
        h_rnn = states[torch.arange(batch, device=tokens.device), last]
        probs = max_over_steps(step_logits, mask)
        return Decoded(label_seq, step_logits, states, mask, h_rnn, attention, probs)

    def _check(self, tokens: Tensor) -> None:
        if tokens.dim() != 3 or tokens.shape[2] != self.channels or tokens.shape[1] == 0:
            raise ValueError(
                f"tokens has shape {tuple(tokens.shape)}, expected (B, P, {self.channels}) with "
                "P >= 1: flatten the feature map of the encoder this decoder was made for"
            )

    def _first(self, batch: int) -> Tensor:
        return torch.full((batch, 1), self.n_labels + 1, device=self.embed.weight.device)

    def _start(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        values = self.read(tokens)  # (B, P, D)
        state = torch.tanh(self.begin(values.mean(dim=1)))  # (B, layers * D)
        state = state.view(len(tokens), self.layers, self.dim).transpose(0, 1).contiguous()
        return values, self.key(values), state

    def _step(
        self, previous: Tensor, values: Tensor, keys: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        weights = self.attend(state[-1], keys)  # (B, P)
        context = torch.einsum("bp,bpd->bd", weights, values)  # (B, D)
        inputs = self.dropout(torch.cat([self.embed(previous), context], dim=-1))
        _, state = self.rnn(inputs[:, None], state)
        return self.score(self.dropout(torch.cat([state[-1], context], dim=-1))), state, weights


def max_over_steps(step_logits: Tensor, mask: Tensor) -> Tensor:
    """One probability per label: the largest over valid steps (traps 5 and 7).

    Args:
        step_logits: (B, T, L + 1), the last column is STOP.
        mask: (B, T) bool, true for valid steps; each row has at least one.

    Returns:
        probs (B, L) in [0, 1].
    """
    probs = step_logits.softmax(dim=-1)[..., :-1]
    return probs.masked_fill(~mask[..., None], 0.0).amax(dim=1)


def sequence_loss(step_logits: Tensor, label_seq: Tensor) -> Tensor:
    """Cross-entropy of the right next label or STOP: mean over all valid steps of the batch.

    Shape:
        step_logits (B, T, L + 1), label_seq (B, T) with PAD after STOP -> scalar
    """
    return F.cross_entropy(step_logits.flatten(0, 1), label_seq.flatten(), ignore_index=PAD)
