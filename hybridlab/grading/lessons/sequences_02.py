"""What the checks of lesson 02 share: label sequences, and numbers that float32 holds exactly."""

from __future__ import annotations

from typing import Any

import numpy as np

from hybridlab.grading import verdict as kinds
from hybridlab.grading.comparing import Wrong, as_array

Array = np.ndarray
PAD = -100


def exact(values: Array) -> Array:
    """The nearest values that float32 holds, as float64."""
    return np.asarray(values).astype(np.float32).astype(float)


def whole(values: Array) -> Any:
    """A torch tensor of int64."""
    import torch

    return torch.tensor(values, dtype=torch.int64)


def label_seqs(rng: np.random.Generator, images: int, steps: int, labels: int) -> Array:
    """(B, T): labels, STOP, PAD. The first rows, before they are mixed, have T steps, T - 1, and
    STOP alone; label 0 stands in the longest."""
    rows = np.full((images, steps), PAD)
    lengths = [steps, steps - 1, 1, *rng.integers(2, steps, images - 3)]
    for row, length in zip(rows, lengths, strict=True):
        row[: length - 1] = rng.permutation(labels)[: length - 1]
        row[length - 1] = labels
    if 0 not in rows[0]:
        rows[0, rng.integers(steps - 1)] = 0
    return rows[rng.permutation(images)]


def softmax(logits: Array, axis: int = -1) -> Array:
    """Of huge logits, too."""
    powers = np.exp(logits - logits.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def indices(got: Any, what: str) -> None:
    """What is used as an index must be whole numbers.

    Raises:
        Wrong: it holds others.
    """
    kind = as_array(got).dtype
    if kind.kind not in "iu":
        raise Wrong(
            kinds.WRONG_FORM, f"{what}: got values of {kind}, expected whole numbers",
            "They are used as indices: a division with / and arithmetic with floats make floats of "
            "them.",
        )
