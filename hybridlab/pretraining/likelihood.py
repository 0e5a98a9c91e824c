"""The loss of the next word, log p of each token, and how many tokens a caption has."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from hybridlab.pretraining.words import PAD


def next_word_loss(logits: Tensor, tokens: Tensor) -> Tensor:
    """Cross-entropy of each next token, the end among them: mean over all that are no padding.

    Shape:
        logits (B, T - 1, V + 4), tokens (B, T) -> scalar
    """
    return F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), ignore_index=PAD)


def token_log_probs(logits: Tensor, tokens: Tensor) -> Tensor:
    """log p of each token after the first, given those before it; 0 at padding.

    Shape:
        logits (B, T - 1, V + 4), tokens (B, T) -> (B, T - 1)
    """
    wanted = tokens[:, 1:]
    return -F.cross_entropy(logits.transpose(1, 2), wanted, ignore_index=PAD, reduction="none")


def token_counts(tokens: Tensor) -> Tensor:
    """How many tokens of each caption are said, the end among them: (L, T) -> (L,)."""
    return (tokens[:, 1:] != PAD).sum(dim=1)
