"""What every metric accepts, and what it says to anything else.

Inputs are anything that `numpy.asarray` takes, and torch tensors of any kind: bfloat16, on another
device, or with a gradient, which is left behind. Targets are 1 (present),
0 (absent) or -1 (not annotated: the entry is masked).
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]
Floats = NDArray[np.float64]


def as_array(given: ArrayLike) -> Array:
    """`numpy.asarray`, also of torch tensors that it refuses."""
    if hasattr(given, "detach"):  # a tensor, without importing torch to ask
        tensor: Any = given.detach().cpu()
        # NumPy has no bfloat16; float32 holds each of its values.
        given = tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor
    return np.asarray(given)


def check_scores(scores: ArrayLike, ndim: int = 2) -> Array:
    """Return `scores` as a float array of `ndim` axes, or say what is wrong with it.

    Raises:
        ValueError: wrong number of axes, not numbers, or a NaN or infinity (its place is named).
    """
    array = as_array(scores)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"scores has dtype {array.dtype}; pass numbers")
    if array.dtype.kind != "f":
        array = array.astype(np.float64)
    elif array.dtype.itemsize < 4:
        array = array.astype(np.float32)
    _check_axes("scores", array, ndim)
    finite = np.isfinite(array)
    if not finite.all():
        at = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(
            f"scores is {array[at]} at {_place(at)}; a score must be finite to be ranked: look "
            "for an overflow or a division by zero in the model's output"
        )
    return array


def check_targets(
    targets: ArrayLike, shape: tuple[int, ...], of: str = "scores"
) -> NDArray[np.int8]:
    """Return `targets` as int8 of the given shape: 1, 0, or -1 for an entry not annotated.

    Raises:
        ValueError: another shape (both are named) or another value (with its place).
    """
    array = as_array(targets)
    if array.shape != shape:
        raise ValueError(
            f"targets has shape {array.shape} but {of} has shape {shape}; "
            "give one row for each sample and one column for each label in both"
        )
    if array.dtype != np.bool_:
        bad = ~((array == 0) | (array == 1) | (array == -1))
        if bad.any():
            at = tuple(int(i) for i in np.argwhere(bad)[0])
            raise ValueError(
                f"targets is {array[at]} at {_place(at)}; expected 1 (present), 0 (absent) or "
                "-1 (not annotated): make soft or counted targets multi-hot first"
            )
    return array.astype(np.int8)


def check_decisions(decisions: ArrayLike) -> NDArray[np.bool_]:
    """Return `decisions` as a boolean (N, L) array.

    Raises:
        ValueError: not two axes, or a value other than 0 and 1 (its place is named).
    """
    array = as_array(decisions)
    _check_axes("decisions", array, 2)
    if array.dtype != np.bool_:
        bad = ~((array == 0) | (array == 1))
        if bad.any():
            at = tuple(int(i) for i in np.argwhere(bad)[0])
            raise ValueError(
                f"decisions is {array[at]} at {_place(at)}; expected True or False: "
                "pass probs >= thresholds, not the probabilities"
            )
    return array.astype(np.bool_)


def check_counts(counts: ArrayLike, n: int) -> NDArray[np.integer]:
    """Return `counts`, how often each resample holds each of `n` samples, as whole numbers (R, n).

    Raises:
        ValueError: another shape, a negative number, or a fraction.
    """
    array = as_array(counts)
    if array.ndim != 2 or array.shape[1] != n:
        raise ValueError(f"counts has shape {array.shape}; expected (R, {n})")
    if array.dtype.kind not in "iu":
        if array.dtype.kind not in "fb" or not (array == np.floor(array)).all():
            raise ValueError("counts holds a fraction or no number; expected whole numbers >= 0")
        array = array.astype(np.int64)
    if array.min(initial=0) < 0:
        raise ValueError("counts holds a negative number; expected whole numbers >= 0")
    return array


def ratio(top: ArrayLike, bottom: ArrayLike, undefined: float) -> Floats:
    """top / bottom, and `undefined` where bottom is 0."""
    top, bottom = np.asarray(top, np.float64), np.asarray(bottom, np.float64)
    return np.divide(top, bottom, out=np.full(np.shape(top), undefined), where=bottom != 0)


def columns(mask: NDArray[np.bool_]) -> tuple[int, ...]:
    """The columns where `mask` (L,) is true."""
    return tuple(int(i) for i in np.flatnonzero(mask))


def _place(at: tuple[int, ...]) -> str:
    return f"row {at[0]}, column {at[1]}" if len(at) == 2 else f"row {at[0]}"


def _check_axes(name: str, array: Array, ndim: int) -> None:
    if array.ndim != ndim:
        wanted = "(N, L), samples by labels" if ndim == 2 else "(N,), one score for each sample"
        raise ValueError(f"{name} has shape {array.shape}; expected {wanted}")
