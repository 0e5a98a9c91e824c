"""Baseline 1 of seed 004: a CNN says which words are in the caption, in whatever order."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hybridlab.data.captioned import TEMPLATES
from hybridlab.encoders.base import EncoderOutput
from hybridlab.pretraining.pairs import Pairs
from hybridlab.pretraining.words import WordVocabulary, bow_targets, words_of

# Words that tell nothing of what is in the picture: those of the templates, and the little ones.
STOP_WORDS = frozenset(
    [*(word for template in TEMPLATES for word in words_of(template)),
     "an", "the", "of", "and", "on", "with", "to", "for", "at", "or"]
)
USUAL_WORDS = 8  # in a caption, roughly


class BagOfWords(nn.Module):
    """Head of `bow`: pooled trunk -> linear -> a yes or no to each word of the vocabulary.

    Args:
        channels: C of the trunk.
        vocabulary: V words, the columns.
    """

    def __init__(self, channels: int, vocabulary: WordVocabulary):
        super().__init__()
        self.vocabulary = vocabulary
        self.linear = nn.Linear(channels, len(vocabulary))
        # most words are in no given caption: begin there, and not at 0.5 for each (as
        # arXiv 1708.02002 does it), or the first hundreds of steps learn to say no
        rate = min(0.5, USUAL_WORDS / len(vocabulary))
        nn.init.constant_(self.linear.bias, math.log(rate / (1 - rate)))

    def forward(self, seen: EncoderOutput) -> Tensor:
        """What the trunk saw of B pictures -> logits (B, V)."""
        return self.linear(seen.pooled)

    def loss(self, seen: EncoderOutput, pairs: Pairs) -> Tensor:
        """Binary cross-entropy: sum over the V words, mean over the B captions (trap 14)."""
        targets = bow_targets(pairs.captions, self.vocabulary).to(seen.pooled.device)
        summed = F.binary_cross_entropy_with_logits(self(seen), targets, reduction="sum")
        return summed / len(targets)

    def caption_scores(self, seen: EncoderOutput, captions: Sequence[str]) -> Tensor:
        """Mean log-odds (logit) of the content words of each caption: (B, L).

        The mean, so that a caption of two words does not score lower for having two.

        Raises:
            ValueError: a caption has no word that the vocabulary holds.
        """
        return self(seen) @ self.weights(captions).to(seen.pooled.device).T

    def weights(self, captions: Sequence[str]) -> Tensor:
        """(L, V): how much each word counts for each caption; a row adds up to 1."""
        targets = bow_targets([" ".join(content_words(each)) for each in captions],
                              self.vocabulary)
        found = targets.sum(dim=1, keepdim=True)
        if (found == 0).any():
            lost = captions[int((found == 0).nonzero()[0, 0])]
            raise ValueError(
                f"no word of {lost!r} is in the vocabulary, so a bag of words cannot score it; "
                "name it in words of the captions it learnt from"
            )
        return torch.div(targets, found)


def content_words(text: str) -> list[str]:
    """The words of a text that tell what is in the picture; all of them where none does.

    "a picture of a glass of milk" -> glass, milk. Words of the captions' templates are left out
    wherever they stand: of "small airplane" there remains "airplane".
    """
    words = words_of(text)
    return [word for word in words if word not in STOP_WORDS] or words
