"""What free-running decoding gives."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Decoded:
    """Greedy free-running decoding. T is the longest sequence of the batch, STOP included.

    Behind STOP logits, states and attention are 0, whatever the rest of the batch is.

    Attributes:
        label_seq: (B, T) long: labels, then STOP, then PAD.
        step_logits: (B, T, L + 1), the last column is STOP.
        step_states: (B, T, D), the top layer's state after each step.
        mask: (B, T) bool, true up to and including STOP (trap 7).
        h_rnn: (B, D), the state after the last valid step.
        attention: (B, T, P), where each step looked; rows of valid steps sum to 1.
        probs: (B, L), for each label the largest step probability over valid steps (trap 5).
    """

    label_seq: Tensor
    step_logits: Tensor
    step_states: Tensor
    mask: Tensor
    h_rnn: Tensor
    attention: Tensor
    probs: Tensor
