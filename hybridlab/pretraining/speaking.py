"""What a captioner says of a picture: its most likely word, again and again."""

from __future__ import annotations

import torch
from torch import Tensor

from hybridlab.encoders.base import EncoderOutput
from hybridlab.pretraining.captioner import Captioner
from hybridlab.pretraining.words import END, PAD, SPECIALS, START, UNKNOWN


@torch.no_grad()
def greedy_captions(
    decoder: Captioner, seen: EncoderOutput, most: int | None = None
) -> list[str]:
    """One caption for each picture, by the most likely next word until the end.

    Greedy words need not add up to the most likely caption; lesson 02's beams look further.

    Args:
        decoder: the head of `prefix` or `cross`.
        seen: what the trunk saw of B pictures.
        most: words at most; None: what the vocabulary's context has room for.

    Returns:
        B captions of one word or more; one that did not come to its end is cut after `most` words.

    Raises:
        ValueError: most is below 1, or more than the context has room for.
    """
    room = decoder.vocabulary.context - 2
    most = room if most is None else most
    if not 1 <= most <= room:
        raise ValueError(f"most is {most}; give 1 to {room} words")
    memory = decoder.read(seen)
    tokens = torch.full((len(memory), 1), START, device=memory.device)
    padding = torch.full_like(tokens, PAD)
    ended = torch.zeros(len(memory), dtype=torch.bool, device=memory.device)
    for place in range(most):
        # `logits` looks at all tokens but the last, so a place is left there for the next one
        logits = decoder.logits(memory, torch.cat([tokens, padding], dim=1))[:, -1]
        never = [PAD, START, UNKNOWN] if place else [PAD, START, UNKNOWN, END]
        logits[:, never] = -torch.inf  # and a caption has a word
        following = logits.argmax(dim=1).masked_fill(ended, END)
        ended |= following == END
        tokens = torch.cat([tokens, following[:, None]], dim=1)
        if bool(ended.all()):
            break
    return [_said(decoder, row) for row in tokens[:, 1:]]


def _said(decoder: Captioner, row: Tensor) -> str:
    numbers = row.tolist()
    numbers = numbers[: numbers.index(END)] if END in numbers else numbers
    return " ".join(decoder.vocabulary.words[number - SPECIALS] for number in numbers)
