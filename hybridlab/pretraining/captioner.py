"""What captioners share: how they learn, and how they judge captions that others wrote."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hybridlab.encoders.base import EncoderOutput
from hybridlab.pretraining.likelihood import next_word_loss, token_counts, token_log_probs
from hybridlab.pretraining.pairs import Pairs
from hybridlab.pretraining.words import WordVocabulary

ROWS = 1024  # pictures x captions that are scored at once


class Captioner(nn.Module):
    """A head that says the next word; each form has its own `read` and `logits`.

    Attributes:
        vocabulary: of the captions.
    """

    vocabulary: WordVocabulary

    def read(self, seen: EncoderOutput) -> Tensor:
        """The picture as the decoder reads it, (B, P, D); computed once a picture."""
        raise NotImplementedError

    def logits(self, memory: Tensor, tokens: Tensor) -> Tensor:
        """Logits of each next token, by the picture and the words before it.

        Shape:
            memory (B, P, D), tokens (B, T) with start and end -> (B, T - 1, V + 4): of the tokens
            after the first
        """
        raise NotImplementedError

    def loss(self, seen: EncoderOutput, pairs: Pairs) -> Tensor:
        """Cross-entropy of the next word, mean over all words of the batch."""
        tokens = self.vocabulary.encode(pairs.captions).to(seen.pooled.device)
        return next_word_loss(self.logits(self.read(seen), tokens), tokens)

    @torch.no_grad()
    def log_probs(self, seen: EncoderOutput, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """log p(caption | picture) for all pictures and captions; each picture is read once.

        Shape:
            B pictures, L captions -> sums of log p (B, L), and (L,) how many tokens each sum has:
            the words and the end
        """
        memory = self.read(seen)                                        # (B, P, D)
        tokens = self.vocabulary.encode(captions).to(memory.device)     # (L, T)
        count = len(tokens)
        sums = [
            token_log_probs(
                self.logits(some.repeat_interleave(count, dim=0), tokens.repeat(len(some), 1)),
                tokens.repeat(len(some), 1),
            ).sum(dim=1).view(len(some), count)
            for some in memory.split(max(1, ROWS // count))
        ]
        return torch.cat(sums), token_counts(tokens)

    def caption_scores(self, seen: EncoderOutput, captions: Sequence[str]) -> Tensor:
        """Mean log p of the tokens of each caption, the end among them: (B, L), below 0."""
        sums, counts = self.log_probs(seen, captions)
        return sums / counts
