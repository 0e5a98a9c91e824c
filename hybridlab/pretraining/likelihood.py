"""What captioners share: the loss of the next word, and log p of whole captions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from hybridlab.encoders.base import EncoderOutput
from hybridlab.pretraining.words import PAD, WordVocabulary

ROWS = 1024  # pictures x captions that are scored at once


class WordDecoder(Protocol):
    """What a captioner's decoder gives: logits of the next word, from the words before it.

    Attributes:
        vocabulary: of the captions.
    """

    vocabulary: WordVocabulary

    def read(self, seen: EncoderOutput) -> Tensor:
        """The picture as the decoder reads it, (B, P, D); computed once a picture."""

    def logits(self, memory: Tensor, tokens: Tensor) -> Tensor:
        """memory (B, P, D), tokens (B, T) -> (B, T - 1, V + 4): of the tokens after the first."""


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


@torch.no_grad()
def caption_log_probs(
    decoder: WordDecoder, seen: EncoderOutput, captions: Sequence[str]
) -> tuple[Tensor, Tensor]:
    """log p(caption | picture) for all pictures and captions; each picture is read once.

    Shape:
        B pictures, L captions -> sums of log p (B, L), and (L,) how many tokens each sum has: the
        words and the end
    """
    memory = decoder.read(seen)                                     # (B, P, D)
    tokens = decoder.vocabulary.encode(captions).to(memory.device)  # (L, T)
    count = len(tokens)
    sums = [
        token_log_probs(
            decoder.logits(some.repeat_interleave(count, dim=0), tokens.repeat(len(some), 1)),
            tokens.repeat(len(some), 1),
        ).sum(dim=1).view(len(some), count)
        for some in memory.split(max(1, ROWS // count))
    ]
    return torch.cat(sums), token_counts(tokens)


def token_counts(tokens: Tensor) -> Tensor:
    """How many tokens of each caption are said, the end among them: (L, T) -> (L,)."""
    return (tokens[:, 1:] != PAD).sum(dim=1)
