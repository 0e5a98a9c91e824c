"""What the checks of lesson 04's embeddings share (4.1, 4.2 and 4.5).

Expected values are computed in float64 from numbers that float32 holds exactly; the learner's
functions get them as float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hybridlab.grading.trial import Trial

Array = np.ndarray


def tensor(array: Array, double: bool = False, gradient: bool = False) -> Any:
    """A torch tensor of float32, or of float64 (`double`)."""
    import torch

    dtype = torch.float64 if double else torch.float32
    return torch.tensor(array, dtype=dtype, requires_grad=gradient)


def exact(array: Array) -> Array:
    """The nearest numbers that float32 holds."""
    return np.asarray(array).astype(np.float32).astype(float)


def vectors(rng: np.random.Generator, *shape: int) -> Array:
    """Vectors (..., D) of lengths from 0.2 to 5, none near another's."""
    drawn = rng.normal(size=shape)
    length = np.exp(rng.uniform(np.log(0.2), np.log(5), shape[:-1]))
    return exact(unit(drawn) * length[..., None])


def unit(array: Array, axis: int | tuple[int, ...] | None = -1) -> Array:
    """Divided by its length along an axis; 0 stays 0."""
    length = np.sqrt((array**2).sum(axis=axis, keepdims=True))
    return array / np.where(length > 0, length, 1)


def kept(
    trial: Trial, name: str, what: str, right: Array, *arrays: Array, **more: Any
) -> None:
    """The dtype of the embeddings is kept: float64 as well as float32.

    Raises:
        Wrong: the result has another dtype, is no tensor, or has other values.
    """
    for double in (True, False):
        given = [tensor(each, double) for each in arrays]
        got = trial.call(name, *given, **more)
        trial.tensor(got, given[0], f"{what} of {given[0].dtype} embeddings")
        trial.equal(got, right, f"{what} of {given[0].dtype} embeddings")
