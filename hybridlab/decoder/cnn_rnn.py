"""The CNN-RNN: a recurrent net that reads a feature map and writes labels one by one.

Seeds 000 section 1 and 002, after "CNN-RNN: A Unified Framework for Multi-Label Image
Classification" (arXiv 1604.04573). At each step it looks at the map, queried by its own last state
h_{t-1} (trap 21), reads the label before, and scores every label and STOP. Its parts are choices:
GRU or LSTM, attention or the map's mean, a linear output or the paper's joint embedding.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hybridlab.configs import CELLS, LOOKS, OUTPUTS, READS
from hybridlab.decoder.attention import AdditiveAttention, EverywhereAlike
from hybridlab.decoder.decoded import Decoded
from hybridlab.decoder.marginals import max_over_steps
from hybridlab.decoder.search import Beams, State, Step, beam_search
from hybridlab.decoder.sequences import PAD, check_sequences


class LabelDecoder(nn.Module):
    """Decode a set of labels from the tokens of a feature map.

    Args:
        channels: C, width of the map's tokens.
        n_labels: L.
        dim: D, width of states, embeddings and projected tokens.
        layers: of the RNN.
        dropout: on the tokens, on the inputs of the RNN and of the output, in [0, 1).
        max_steps: T, where free-running decoding stops even without STOP: T - 1 labels at most.
        cell: "gru" or "lstm".
        look: "attention", weights over the map's places anew at each step; "mean", one vector for
            the image.
        output: "linear"; or "joint", the paper's: state and image are projected into the space of
            the label embeddings, and a label's score is the product with its embedding.
        feed_image: whether the RNN sees the image, at its start and at each step. In the paper it
            reads labels alone, and the image joins at the output.
        read: how tokens become values: a "linear" projection, or one with a "gelu" behind it, so
            that a place may stand for a thing before places are mixed.

    Shape:
        tokens (B, P, C); see `Decoded`, `Beams` and `forward` for what comes out.

    Raises:
        ValueError: a choice that is not known, or a size below 1.
    """

    def __init__(
        self,
        channels: int,
        n_labels: int,
        dim: int = 256,
        layers: int = 2,
        dropout: float = 0.2,
        max_steps: int = 9,
        cell: str = "gru",
        look: str = "attention",
        output: str = "linear",
        feed_image: bool = True,
        read: str = "linear",
    ):
        super().__init__()
        _check_choices(cell=cell, look=look, output=output, read=read)
        for name, size in (("channels", channels), ("n_labels", n_labels), ("dim", dim),
                           ("layers", layers), ("max_steps", max_steps)):
            if size < 1:
                raise ValueError(f"{name} is {size}; give 1 or more")
        self.channels, self.n_labels, self.dim = channels, n_labels, dim
        self.layers, self.max_steps = layers, max_steps
        self.cell, self.look, self.output, self.feed_image = cell, look, output, feed_image
        self.reading = read
        # frozen tokens are few and always the same: without dropout they are learnt by heart
        self.read = nn.Sequential(
            nn.Dropout(dropout), nn.LayerNorm(channels), nn.Linear(channels, dim),
            *((nn.GELU(), nn.Dropout(dropout)) if read == "gelu" else ()),
        )
        attentive = look == "attention"
        self.key = nn.Linear(dim, dim) if attentive else nn.Identity()
        self.attend = AdditiveAttention(dim) if attentive else EverywhereAlike()
        parts = layers if cell == "gru" else 2 * layers  # an LSTM's state: all h, then all c
        self.parts = parts
        if feed_image:
            self.begin = nn.Linear(dim, parts * dim)
        self.embed = nn.Embedding(n_labels + 2, dim)  # labels, STOP, START
        self.rnn = (nn.GRU if cell == "gru" else nn.LSTM)(
            2 * dim if feed_image else dim, dim, layers, batch_first=True,
            dropout=dropout if layers > 1 else 0.0,
        )
        self.dropout = nn.Dropout(dropout)
        if output == "linear":
            self.score = nn.Linear(2 * dim, n_labels + 1)
        else:
            self.join = nn.Linear(2 * dim, dim, bias=False)
            nn.init.normal_(self.embed.weight, std=dim**-0.5)  # else products start out large

    @property
    def stop(self) -> int:
        """The step target that ends a sequence: L."""
        return self.n_labels

    @property
    def start(self) -> int:
        """The input before the first label: L + 1."""
        return self.n_labels + 1

    # --- training -------------------------------------------------------------------------------

    def forward(
        self,
        tokens: Tensor,
        label_seq: Tensor,
        truth: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The step logits of a training pass.

        With truth = 1 each step is told the true label before it (teacher forcing), with 0 the
        decoder's own best label (free running), and between them a coin decides for every step of
        every image (scheduled sampling, Bengio et al. 2015, arXiv 1506.03099). STOP is never fed:
        how many steps there are is given by label_seq.

        For training the decoder only. Never use the states of this pass as features: they have
        read the true labels, or how many there are (trap 6).

        Args:
            tokens: (B, P, C).
            label_seq: (B, T) as `sequences.to_sequences` gives it.
            truth: probability that a step is told the truth, in [0, 1].
            generator: of the coins; the global one if None.

        Returns:
            step_logits (B, T, L + 1), 0 where label_seq is PAD.

        Raises:
            ValueError: batch sizes differ, tokens are not (B, P, C) or hold NaN, a label is unknown
                or stands twice in a row, a row does not end in STOP or has more than max_steps
                steps, or truth is outside [0, 1].
        """
        self._check(tokens)
        if label_seq.dim() != 2 or len(label_seq) != len(tokens):
            raise ValueError(
                f"label_seq {tuple(label_seq.shape)} must be (B, T) with the B of tokens "
                f"{tuple(tokens.shape)}"
            )
        if not 0 <= truth <= 1:
            raise ValueError(f"truth is {truth}; give a probability, from 0 to 1")
        check_sequences(label_seq, self.n_labels)
        if label_seq.shape[1] > self.max_steps:
            raise ValueError(
                f"label_seq has {label_seq.shape[1]} steps, STOP among them, but the decoder "
                f"writes {self.max_steps} at most; build it with max_steps={label_seq.shape[1]}"
            )
        # longest first: step t then computes the first rows only, those that still have a label
        lengths = (label_seq != PAD).sum(dim=1)
        order = lengths.argsort(descending=True, stable=True)
        values, keys, state = self._start(tokens[order])
        label_seq, lengths = label_seq[order], lengths[order]
        previous = self._first(len(tokens))
        step_logits = values.new_zeros(*label_seq.shape, self.n_labels + 1)
        for t in range(int(lengths.max()) if len(lengths) else 0):
            rows = int((lengths > t).sum())
            step, state, _ = self._step(
                previous[:rows], values[:rows], keys[:rows], state[:, :rows].contiguous()
            )
            step_logits[:rows, t] = step
            previous = label_seq[:rows, t]
            if truth < 1:
                own = step.detach()[:, : self.n_labels].argmax(dim=-1)
                coin = torch.rand(rows, generator=generator).to(own.device)
                previous = torch.where(coin < truth, previous, own)
        return step_logits[order.argsort()]

    # --- decoding -------------------------------------------------------------------------------

    @torch.no_grad()
    def decode(self, tokens: Tensor, *, allow_repeats: bool = False) -> Decoded:
        """Greedy free-running decoding: each step is fed the decoder's own last choice.

        Args:
            tokens: (B, P, C).
            allow_repeats: let a label be chosen twice (to measure how often it would be).

        Raises:
            ValueError: tokens are not (B, P, C), or hold NaN or infinity.
            RuntimeError: the decoder is in training mode, in which dropout makes it random.
            FloatingPointError: its weights hold NaN.
        """
        self._check(tokens)
        self._refuse_dropout()
        return self._write(tokens, allow_repeats)

    def decode_to_learn(self, tokens: Tensor) -> Decoded:
        """The same, with gradients, and in training mode with dropout: for a fusion that teaches
        the decoder what it would like to hear.

        They flow through scores and states. Which label is written is a choice, and has none: one
        that changed it would have to be estimated (trap 22).

        Raises:
            ValueError: as `decode`.
        """
        self._check(tokens)
        return self._write(tokens, allow_repeats=False)

    def _write(self, tokens: Tensor, allow_repeats: bool) -> Decoded:
        batch = tokens.shape[0]  # not len: an export would take the number for a constant
        values, keys, state = self._start(tokens)
        chosen = self._first(batch)
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
            top = self._top(state)
            steps.append((torch.where(valid, chosen, PAD), logits, top, valid, weights))
            done = done | (chosen == self.stop)
            # an exported graph takes every step: what lies behind STOP is masked all the same
            if not torch.compiler.is_exporting() and bool(done.all()):
                break
        label_seq, step_logits, states, mask, attention = (
            torch.stack(part, dim=1) for part in zip(*steps, strict=True)
        )
        behind = ~mask[..., None]  # what longer rows of the batch made of rows that had ended
        step_logits, states, attention = (
            each.masked_fill(behind, 0) for each in (step_logits, states, attention)
        )
        last = mask.sum(dim=1) - 1
        h_rnn = states[torch.arange(batch, device=tokens.device), last]
        probs = max_over_steps(step_logits, mask)
        return Decoded(label_seq, step_logits, states, mask, h_rnn, attention, probs)

    @torch.no_grad()
    def beam_search(
        self, tokens: Tensor, beams: int = 4, *, length_power: float = 0.0,
        allow_repeats: bool = False,
    ) -> Beams:
        """The K best label sequences of each image; see `search.beam_search`.

        Args:
            tokens: (B, P, C).
            beams: K.
            length_power: 0 ranks by the sum of log-probabilities, 1 by their mean.
            allow_repeats: let a label be chosen twice.

        Raises:
            ValueError, RuntimeError, FloatingPointError: as `decode`, or beams or length_power out
                of range.
        """
        return beam_search(
            *self.searchable(tokens), beams=beams, stop=self.stop, max_steps=self.max_steps,
            length_power=length_power, allow_repeats=allow_repeats,
        )

    def searchable(self, tokens: Tensor) -> tuple[Step, Tensor, State, State]:
        """What a search over (B, P, C) tokens needs: the step function, the first symbols (B,), the
        state of the sequences and the memory of the images; see `search.beam_search`."""
        self._check(tokens)
        self._refuse_dropout()
        values, keys, state = self._start(tokens)

        def step(previous: Tensor, state: State, memory: State) -> tuple[Tensor, State, Tensor]:
            (rows,), (values, keys) = state, memory
            logits, rows, weights = self._step(
                previous, values, keys, rows.transpose(0, 1).contiguous()
            )
            return logits.log_softmax(dim=-1), (rows.transpose(0, 1),), weights

        return step, self._first(len(tokens)), (state.transpose(0, 1),), (values, keys)

    # --- one step -------------------------------------------------------------------------------

    def _check(self, tokens: Tensor) -> None:
        if not isinstance(tokens, Tensor):
            raise ValueError(
                f"tokens is of type {type(tokens).__name__}, expected a tensor (B, P, "
                f"{self.channels}); torch.as_tensor makes one of an array"
            )
        if tokens.dim() != 3 or tokens.shape[2] != self.channels or tokens.shape[1] == 0:
            raise ValueError(
                f"tokens has shape {tuple(tokens.shape)}, expected (B, P, {self.channels}) with "
                "P >= 1: flatten the feature map of the encoder this decoder was made for"
            )
        if torch.compiler.is_exporting():  # a graph cannot ask what its numbers are
            return
        # a sum is NaN or infinite where one of its terms is; it reads the tokens once
        if not bool(tokens.detach().float().sum().isfinite()):
            rows = (~tokens.isfinite()).flatten(1).any(dim=1).nonzero()[:, 0].tolist()
            if rows:
                raise ValueError(
                    f"tokens holds NaN or infinity in {len(rows)} of {len(tokens)} images, the "
                    f"first is image {rows[0]}; look at the encoder or at the cached features"
                )

    def _refuse_dropout(self) -> None:
        if self.training and self.dropout.p > 0:
            raise RuntimeError(
                "the decoder is in training mode: dropout would make what it writes random; call "
                ".eval() first"
            )

    def _first(self, batch: int) -> Tensor:
        return torch.full((batch,), self.start, device=self.embed.weight.device)

    def _start(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Values (B, P, D), keys (B, P, D), and the state (S, B, D) before the first step."""
        values = self.read(tokens.to(self.embed.weight.dtype))  # (B, P, D); caches keep halves
        if not self.feed_image:
            state = values.new_zeros(self.parts, tokens.shape[0], self.dim)
            return values, self.key(values), state
        state = torch.tanh(self.begin(values.mean(dim=1)))  # (B, S * D)
        state = state.view(tokens.shape[0], self.parts, self.dim).transpose(0, 1).contiguous()
        return values, self.key(values), state

    def _top(self, state: Tensor) -> Tensor:
        """The top layer's h (R, D)."""
        return state[self.layers - 1]

    def _step(
        self, previous: Tensor, values: Tensor, keys: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One step of R = B * K sequences, K for each image: logits (R, L + 1), state, (R, P)."""
        weights = self.attend(self._top(state), keys)  # (B, K, P)
        context = torch.einsum("bkp,bpd->bkd", weights, values).flatten(0, 1)  # (R, D)
        inputs = self.embed(previous)
        if self.feed_image:
            inputs = torch.cat([inputs, context], dim=-1)
        inputs = self.dropout(inputs)[:, None]
        if self.cell == "gru":
            _, state = self.rnn(inputs, state)
        else:
            hidden, memory = state.split(self.layers)
            _, (hidden, memory) = self.rnn(inputs, (hidden.contiguous(), memory.contiguous()))
            state = torch.cat([hidden, memory])
        seen = self.dropout(torch.cat([self._top(state), context], dim=-1))
        if self.output == "linear":
            logits = self.score(seen)
        else:
            logits = torch.tanh(self.join(seen)) @ self.embed.weight[: self.n_labels + 1].T
        return logits, state, weights.flatten(0, 1)


def sequence_loss(step_logits: Tensor, label_seq: Tensor) -> Tensor:
    """Cross-entropy of the right next label or STOP: mean over all valid steps of the batch.

    Shape:
        step_logits (B, T, L + 1), label_seq (B, T) with PAD after STOP -> scalar; 0 if no step is
        valid.

    Raises:
        ValueError: shapes that do not go together, or a label beyond the vocabulary.
    """
    if step_logits.dim() != 3 or label_seq.shape != step_logits.shape[:2]:
        raise ValueError(
            f"step_logits {tuple(step_logits.shape)} must be (B, T, L + 1) and label_seq "
            f"{tuple(label_seq.shape)} (B, T)"
        )
    real, stop = label_seq != PAD, step_logits.shape[2] - 1
    unknown = real & ((label_seq < 0) | (label_seq > stop))
    if bool(unknown.any()):
        raise ValueError(
            f"label_seq holds {int(label_seq[unknown][0])}, but labels run from 0 to {stop - 1}, "
            f"STOP is {stop} and padding {PAD}"
        )
    each = F.cross_entropy(
        step_logits.flatten(0, 1), label_seq.flatten(), ignore_index=PAD, reduction="sum"
    )
    return each / real.sum().clamp(min=1)


def _check_choices(**given: str) -> None:
    for name, known in (
        ("cell", CELLS), ("look", LOOKS), ("output", OUTPUTS), ("read", READS),
    ):
        if given[name] not in known:
            raise ValueError(f"{name} is {given[name]!r}; choose one of {', '.join(known)}")
