"""What the functions of this package refuse: each of these would give numbers, and wrong ones."""

from __future__ import annotations

import torch
from torch import Tensor


def require_unit(emb: Tensor, name: str) -> Tensor:
    """Return `emb` if its last axis holds finite vectors of length 1 (trap 8).

    Half precision may be off by 1e-2, other types by 1e-3.

    Raises:
        TypeError: no floating-point tensor.
        ValueError: fewer than two axes, a number that is not finite, or another length.
    """
    require_finite(emb, name)
    if emb.dim() < 2:
        raise ValueError(f"{name} has shape {tuple(emb.shape)}; expected vectors in rows, (N, D)")
    lengths = emb.detach().float().norm(dim=-1)
    slack = 1e-2 if emb.dtype in (torch.float16, torch.bfloat16) else 1e-3
    off = (lengths - 1).abs() > slack
    if off.any():
        raise ValueError(
            f"{name} holds a vector of length {float(lengths[off][0]):.4g}; expected length 1: "
            "divide each by its length first (`torch.nn.functional.normalize(emb, dim=-1)`)"
        )
    return emb


def require_finite(values: Tensor, name: str) -> Tensor:
    """Return `values` if it is a floating-point tensor without NaN and infinity.

    Raises:
        TypeError: no floating-point tensor.
        ValueError: a number that is not finite; its place is named.
    """
    if not isinstance(values, Tensor) or not values.is_floating_point():
        given = values.dtype if isinstance(values, Tensor) else type(values).__name__
        raise TypeError(f"{name} is {given}; expected a floating-point tensor")
    finite = torch.isfinite(values)
    if not finite.all():
        at = tuple((~finite).nonzero()[0].tolist())
        raise ValueError(
            f"{name} is {float(values[at])} at {at}; expected finite numbers: look for an empty "
            "image or an overflow in the encoder"
        )
    return values


def same_width(left: Tensor, right: Tensor, left_name: str, right_name: str) -> None:
    """Refuse vectors of two widths.

    Raises:
        ValueError: the last axes differ; both shapes are named.
    """
    if left.shape[-1] != right.shape[-1]:
        raise ValueError(
            f"{left_name} has shape {tuple(left.shape)} but {right_name} has shape "
            f"{tuple(right.shape)}; both must come from one model"
        )


def positive(value: float, name: str) -> float:
    """Return `value` if it is finite and above 0.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ValueError(f"{name} is {value!r}; expected a finite number above 0")
    return value
