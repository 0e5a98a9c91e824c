"""Which words of a prompt a tokenizer throws away.

Tokenizers cut long texts without a word. Where the label stands in the part that is cut, every
label gets the same embedding, and no error is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

Tokenizer = Callable[[list[str]], Tensor]


class TruncatedPromptWarning(UserWarning):
    """A prompt is longer than the text encoder reads; the message names the lost words."""


@dataclass(frozen=True)
class CutPrompt:
    """A prompt that the tokenizer cuts.

    Attributes:
        at: its row.
        text: the whole of it.
        kept: how many of its words (split at spaces) arrive whole.
        lost: the other words; the first of them may arrive in part.
    """

    at: int
    text: str
    kept: int
    lost: tuple[str, ...]


def cut_prompts(tokenizer: Tokenizer, texts: Sequence[str], ids: Tensor) -> tuple[CutPrompt, ...]:
    """The texts that do not fit, with the words they lose.

    It takes any tokenizer that pads to a fixed length on the right, and assumes that the tokens of
    a text are those of its words, one word after another.

    Shape:
        ids (M, T), as `tokenizer(texts)` gives it
    """
    # the filling shows where there is nothing else; SigLIP's is its end-of-text token too, so a
    # row of its kind may end in one filling and yet be full
    padding = int(tokenizer([""])[0, -1])
    full = (ids[:, -2:] != padding).any(dim=1).nonzero()[:, 0].tolist()
    if not full:
        return ()
    around = _used(tokenizer([""]), padding)[0]  # start and end marks
    room = _used(tokenizer(["a " * 2 * ids.shape[1]]), padding)[0] - around
    found = []
    for at in full:
        words = texts[at].split()
        length, kept = 0, 0
        for used in _used(tokenizer(words), padding):
            length += used - around
            if length > room:
                break
            kept += 1
        if kept < len(words):
            found.append(CutPrompt(at, texts[at], kept, tuple(words[kept:])))
    return tuple(found)


def _used(ids: Tensor, padding: int) -> list[int]:
    """Length of each row up to its last token that is no filling."""
    # a filling within the text counts: CLIP's is the token 0, which is also a "!" inside a word
    return [max((row != padding).nonzero()[:, 0].tolist(), default=-1) + 1 for row in ids]
