"""In which order a set of labels is written: ranks for `sequences.to_sequences`.

A set has no order, a sequence needs one (trap 4). Ranks are (L,), one order for all images, or
(B, L), one for each; lower comes first.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hybridlab.decoder.sequences import check_targets

LAST = float("inf")  # rank of a label that has no place in an order


def frequent_first(targets: Tensor) -> Tensor:
    """Rank of each label when the most frequent comes first: (L,) long, 0 is first.

    Args:
        targets: (N, L) multi-hot; -1 (not annotated) counts as absent. Ties go to the lower column.

    Raises:
        ValueError: targets is not (N, L), or holds anything but 1, 0 and -1.
    """
    _check(targets)
    return _ranks(-(targets > 0).sum(dim=0))


def rare_first(targets: Tensor) -> Tensor:
    """Rank of each label when the rarest comes first: (L,) long; as `frequent_first`."""
    _check(targets)
    return _ranks((targets > 0).sum(dim=0))


def random_order(batch: int, n_labels: int, generator: torch.Generator) -> Tensor:
    """Another order for each image: (B, L) ranks. Drawn anew for each batch, so for each epoch."""
    return torch.rand(batch, n_labels, generator=generator)


def by_size(areas: Tensor) -> Tensor:
    """Largest first: (N, L) ranks.

    Args:
        areas: (N, L), the area of the label's largest box; 0 or NaN where it has none: these come
            last.
    """
    return torch.where(areas > 0, -areas, LAST)


def reading_order(centres: Tensor, height: float, rows: int = 3) -> Tensor:
    """Row by row from the top, each from the left: (N, L) ranks.

    Args:
        centres: (N, L, 2), x and y of the middle of the label's box; NaN where it has none: these
            come last.
        height: H of the images, in the units of centres.
        rows: into which the image is cut; with one, left to right only.

    Raises:
        ValueError: centres is not (N, L, 2), or a height or rows that is not above 0.
    """
    if centres.dim() != 3 or centres.shape[2] != 2:
        raise ValueError(f"centres has shape {tuple(centres.shape)}, expected (N, L, 2)")
    if not height > 0 or rows < 1:
        raise ValueError(f"height is {height} and rows {rows}; both must be above 0")
    x, y = centres.unbind(dim=-1)
    row = (y * rows / height).floor().clamp(0, rows - 1)
    widest = x.nan_to_num(0).abs().max() + 1 if x.numel() else 1
    return (row * 2 * widest + x).nan_to_num(nan=LAST)


def _check(targets: Tensor) -> None:
    if targets.dim() != 2:
        raise ValueError(f"targets has shape {tuple(targets.shape)}, expected (N, L)")
    check_targets(targets)


def _ranks(keys: Tensor) -> Tensor:
    order = torch.sort(keys, stable=True).indices
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device)
    return rank
