"""What every contrastive loss asks of its input, said in words when it is not so (trap 8)."""

from __future__ import annotations

import torch
from torch import Tensor

# How far a length may be from 1. A vector that was normalised in bfloat16 is off by up to 8e-3: its
# norm and its quotient are rounded by 4e-3 each, and going on to float32 does not mend it (float16
# 1e-3, float32 1e-7). A vector that was never normalised is off by far more.
TOLERANCE = 1e-2


def pair_problem(image_emb: Tensor, text_emb: Tensor) -> str | None:
    """What is wrong with a batch of pairs, or None. Rows of the two belong together.

    Shape:
        image_emb (B, D), text_emb (B, D), unit vectors
    """
    for name, emb in (("image_emb", image_emb), ("text_emb", text_emb)):
        if not isinstance(emb, Tensor):
            return f"{name} is a {type(emb).__name__}; expected a tensor: torch.as_tensor(...)"
    if image_emb.dim() != 2 or image_emb.shape != text_emb.shape:
        return (
            f"image_emb {tuple(image_emb.shape)} and text_emb {tuple(text_emb.shape)} must both "
            "be (B, D), row i of each of the same pair; for images against label texts use "
            "hybridlab.losses.multi_positive_contrastive"
        )
    if image_emb.device != text_emb.device:
        return (
            f"image_emb is on {image_emb.device} and text_emb on {text_emb.device}; move both to "
            "one device"
        )
    for name, emb in (("image_emb", image_emb), ("text_emb", text_emb)):
        problem = _vector_problem(name, emb)
        if problem is not None:
            return problem
    return None


def _vector_problem(name: str, emb: Tensor) -> str | None:
    if not emb.is_floating_point():
        return f"{name} has dtype {emb.dtype}; expected floating point, such as float32"
    lengths = torch.linalg.vector_norm(emb.detach().to(work_dtype(emb)), dim=1)
    wrong = ~((lengths - 1).abs() <= TOLERANCE)  # so written that NaN is wrong too
    if not bool(wrong.any()):
        return None
    row = int(wrong.nonzero()[0])
    if not bool(torch.isfinite(emb[row]).all()):
        return (
            f"{name} holds NaN or infinity, first in row {row}; look for a diverged step (lower "
            "the learning rate) or a row of zeros that was normalised"
        )
    return (
        f"{name} row {row} has length {float(lengths[row]):.4g}, expected 1 (+-{TOLERANCE:g}); "
        "normalise it: torch.nn.functional.normalize(emb, dim=-1)"
    )


def scalar_problem(name: str, value: Tensor | float | None, *, positive: bool) -> str | None:
    """What is wrong with a scale or a bias, or None."""
    if value is None and name == "logit_bias":
        return (
            "logit_bias is None; expected a number. CLIP's checkpoints have no logit_bias: "
            "score and train them with clip_loss"
        )
    if not isinstance(value, Tensor | float | int):
        return f"{name} is {value!r}, a {type(value).__name__}; expected a number"
    tensor = torch.as_tensor(value)
    if tensor.numel() != 1:
        return f"{name} has shape {tuple(tensor.shape)}; expected one number"
    number = float(tensor.detach())
    if number != number or abs(number) == float("inf") or (positive and number < 0):
        wanted = "a finite number of 0 or more" if positive else "a finite number"
        hint = ": the scale itself, not its logarithm" if positive else ""
        return f"{name} is {number}; expected {wanted}{hint}"
    return None


def mask_problem(name: str, mask: Tensor, total: int) -> str | None:
    """What is wrong with a mask over all pairs of the whole batch, or None."""
    if not isinstance(mask, Tensor):
        return (
            f"{name} is a {type(mask).__name__}; expected a bool tensor ({total}, {total}): "
            "torch.as_tensor(...)"
        )
    if mask.shape != (total, total) or mask.dtype != torch.bool:
        return (
            f"{name} is {mask.dtype} {tuple(mask.shape)}; expected bool ({total}, {total}), images "
            "by texts of the whole batch; over several processes build it from gather_keys(keys)"
        )
    return None


def work_dtype(*tensors: Tensor) -> torch.dtype:
    """At least float32: a sum of B exponentials in bfloat16 has three digits, too few to learn."""
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return dtype
