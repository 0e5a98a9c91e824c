"""False negatives, seed 004's caveat: two pairs of one batch may say the same (trap 13).

A batch with two pictures of a cow and twice "a cow" punishes each picture for liking the other's
text. Two remedies, both from the pairs' keys: call such pairs positives, or leave them out.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor


def positives_of(keys: Sequence[Hashable] | Tensor) -> Tensor:
    """Pairs whose keys are equal are positives: for clip_loss(..., positives=positives_of(keys)).

    Keys are equal or not; captions that overlap ("a cow", "a cow and an egg") are two keys. Over
    several processes give keys of all of them: `positives_of(gather_keys(keys))`.

    Args:
        keys: one a pair: a caption, a label, a frozenset of labels; or a tensor of whole numbers.

    Shape:
        B keys -> bool (B, B), symmetric, True on the diagonal

    Raises:
        ValueError: keys are one text, a key is None or cannot be compared by hash, or the tensor is
            not (B,) of whole numbers.
    """
    numbers = _numbered(keys)
    return numbers[:, None] == numbers[None, :]


def known_pairs(keys: Sequence[Hashable] | Tensor) -> Tensor:
    """Pairs whose keys are equal are left out, but for the diagonal: clip_loss(..., known=...).

    For keys too coarse to say that two pairs match: same label, other scene. Arguments, shape and
    errors as in `positives_of`.
    """
    equal = positives_of(keys)
    return ~equal | torch.eye(len(equal), dtype=torch.bool, device=equal.device)


def _numbered(keys: Sequence[Hashable] | Tensor) -> Tensor:
    if isinstance(keys, Tensor):
        if keys.dim() != 1 or keys.is_floating_point() or keys.is_complex():
            raise ValueError(
                f"keys are {keys.dtype} {tuple(keys.shape)}; expected (B,) of whole numbers, or a "
                "list of captions or label sets"
            )
        return keys
    if isinstance(keys, str | bytes):
        raise ValueError(f"keys are one text, {keys!r}; expected a list with one key for each pair")
    seen: dict[Hashable, int] = {}
    numbers = []
    for row, key in enumerate(keys):
        if key is None or isinstance(key, Tensor):
            raise ValueError(
                f"key {row} is a {type(key).__name__}, which would not compare by what it says; "
                "give a caption, a label or a frozenset of labels"
            )
        try:
            numbers.append(seen.setdefault(key, len(seen)))
        except TypeError as error:
            raise ValueError(
                f"key {row} is a {type(key).__name__}, which cannot be compared by hash; give a "
                "tuple for a list, a frozenset for a set"
            ) from error
    return torch.tensor(numbers, dtype=torch.int64)
