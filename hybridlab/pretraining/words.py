"""Captions as words: a small fixed vocabulary, token numbers for transformers, bags for baseline 1.

Words are whole and lower case; punctuation goes. CLIP's own tokenizer cuts words into 49,408
pieces, so that no word is unknown; here the captions come from a catalogue and its words are known.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterator, Sequence

import torch
from torch import Tensor

from hybridlab.data.captioned import TEMPLATES, catalogue

PAD, START, END, UNKNOWN = range(4)
SPECIALS = 4  # token numbers before that of the first word
CONTEXT = 40  # the longest caption of four emoji takes 37 tokens, the usual one 11
_WORD = re.compile(r"\w+(?:['’-]\w+)*")  # "jack-o-lantern" and "man's" are one word each


class TruncatedCaptionWarning(UserWarning):
    """A caption is longer than the context; the message names the lost words."""


def words_of(text: str) -> list[str]:
    """The words of a text in their order, lower case, without punctuation."""
    return _WORD.findall(text.casefold().replace("’", "'"))


class WordVocabulary:
    """Words, their columns in a bag, and their token numbers (column + 4).

    Token numbers 0 to 3 are padding, start, end and the unknown word.

    Args:
        words: V different words, as `words_of` gives them.
        context: most tokens of a text, start and end among them.

    Raises:
        ValueError: no words, a word twice or in another form, or a context below 3.
    """

    def __init__(self, words: Sequence[str], context: int = CONTEXT):
        self.words = tuple(words)
        self.context = context
        for word in self.words:
            if words_of(word) != [word]:
                raise ValueError(f"{word!r} is no word in its usual form; give words_of(text)")
        self._column = {word: at for at, word in enumerate(self.words)}
        if not self.words or len(self._column) < len(self.words):
            raise ValueError(
                f"got {len(self.words)} words, {len(self._column)} of them different; give one or "
                "more, each once"
            )
        if context < 3:
            raise ValueError(f"context is {context}; give 3 or more: start, a word and end")

    @property
    def tokens(self) -> int:
        """How many token numbers there are: V + 4."""
        return SPECIALS + len(self.words)

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Texts -> token numbers: start, words, end, then padding up to the longest of them.

        A text that is longer than the context loses its last words, never its end; a
        `TruncatedCaptionWarning` names them.

        Shape:
            B texts -> (B, T) long

        Raises:
            TypeError: one string in place of a list.
            ValueError: no texts, or one without any word.
        """
        rows = [self._numbers(text) for text in _texts(texts)]
        if not rows:
            raise ValueError("no texts were given; give at least one")
        tokens = torch.full((len(rows), max(map(len, rows))), PAD)
        for row, numbers in zip(tokens, rows, strict=True):
            row[: len(numbers)] = torch.tensor(numbers)
        return tokens

    def _numbers(self, text: str) -> list[int]:
        words = words_of(text)
        if not words:
            raise ValueError(f"the text {text!r} has no words; leave it out or describe it")
        room = self.context - 2
        if len(words) > room:
            warnings.warn(
                f"{text!r} has {len(words)} words and {room} fit; lost: {' '.join(words[room:])}",
                TruncatedCaptionWarning, stacklevel=3,
            )
        known = (self._column.get(word) for word in words[:room])
        return [START, *(UNKNOWN if at is None else at + SPECIALS for at in known), END]

    def __len__(self) -> int:
        return len(self.words)

    def __iter__(self) -> Iterator[str]:
        return iter(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._column


def caption_vocabulary(emoji: int | None = None) -> WordVocabulary:
    """All words that captions of the catalogue can hold, in the order of the alphabet.

    Args:
        emoji: only the first so many of the catalogue; None: all, 1,267 words.

    Raises:
        ValueError: emoji is below 1 or more than there are.
    """
    names = catalogue().names
    if emoji is not None and not 1 <= emoji <= len(names):
        raise ValueError(f"emoji is {emoji}; give a number from 1 to {len(names)}, or None for all")
    said = [name for each in names[:emoji] for name in each]
    return WordVocabulary(sorted({word for text in (*said, *TEMPLATES, "and")
                                  for word in words_of(text)}))


def bow_targets(captions: Sequence[str], vocabulary: Collection[str]) -> Tensor:
    """Which words are in each caption (seed 004, baseline 1): 1 however often, 0 where not.

    Words that the vocabulary does not hold are passed over; a caption without a known word is a row
    of zeros.

    Args:
        vocabulary: V words, the columns in their order: a `WordVocabulary`, or any list.

    Shape:
        B captions -> (B, V) float32

    Raises:
        TypeError: one string in place of a list of captions.
    """
    column = {word: at for at, word in enumerate(vocabulary)}
    targets = torch.zeros(len(_texts(captions)), len(column))
    for row, caption in zip(targets, captions, strict=True):
        row[[column[word] for word in words_of(caption) if word in column]] = 1.0
    return targets


def _texts(given: Sequence[str]) -> Sequence[str]:
    if isinstance(given, str):
        raise TypeError(f"got the one string {given!r}; give a list of texts: [{given!r}]")
    return given
