"""Sets of labels as sequences: an order, STOP at the end, padding after it.

For L labels, step targets run from 0 to L: 0..L-1 are labels and L is STOP. START (L + 1) is only
ever an input. Padding is `PAD` and never counts in a loss.
"""

from __future__ import annotations

import torch
from torch import Tensor

PAD = -100  # what torch's cross-entropy ignores by default


def frequent_first(targets: Tensor) -> Tensor:
    """Rank of each label when the most frequent comes first: (L,) long, 0 is first.

    Args:
        targets: (N, L) multi-hot; -1 (not annotated) counts as absent. Ties go to the lower column.
    """
    count = (targets > 0).sum(dim=0)
    order = torch.sort(count, descending=True, stable=True).indices
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device)
    return rank


def to_sequences(targets: Tensor, rank: Tensor) -> Tensor:
    """Multi-hot targets -> label sequences in order of rank, closed by STOP, padded.

    Args:
        targets: (B, L); -1 (not annotated) counts as absent.
        rank: (L,) long, lower first; see `frequent_first`.

    Returns:
        label_seq (B, T) long with T = 1 + the most labels of one row. A row without labels is
        STOP at once.

    Raises:
        ValueError: targets and rank disagree about L.
    """
    if targets.dim() != 2 or rank.shape != targets.shape[1:]:
        raise ValueError(
            f"targets {tuple(targets.shape)} must be (B, L) and rank {tuple(rank.shape)} (L,)"
        )
    n_labels = targets.shape[1]
    present = targets > 0
    count = present.sum(dim=1)
    steps = int(count.max()) + 1 if len(targets) else 1
    # absent labels sort behind all present ones
    key = torch.where(present, rank.expand_as(targets), n_labels)
    label_seq = key.argsort(dim=1, stable=True)[:, :steps]
    if label_seq.shape[1] < steps:  # every label present: room for STOP
        label_seq = torch.nn.functional.pad(label_seq, (0, 1))
    at = torch.arange(steps, device=targets.device)
    label_seq = torch.where(at < count[:, None], label_seq, PAD)
    label_seq[torch.arange(len(targets), device=targets.device), count] = n_labels
    return label_seq
