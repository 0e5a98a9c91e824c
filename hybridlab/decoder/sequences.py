"""Sets of labels as sequences: an order, STOP at the end, padding after it.

For L labels, step targets run from 0 to L: 0..L-1 are labels and L is STOP. START (L + 1) is only
ever an input. Padding is `PAD` and never counts in a loss.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence

import torch
from torch import Tensor

PAD = -100  # what torch's cross-entropy ignores by default


def to_sequences(targets: Tensor, rank: Tensor) -> Tensor:
    """Multi-hot targets -> label sequences in order of rank, closed by STOP, padded.

    Args:
        targets: (B, L); -1 (not annotated) counts as absent.
        rank: (L,) one order for all, or (B, L) one for each row; lower first, ties go to the lower
            column. See `orders`.

    Returns:
        label_seq (B, T) long with T = 1 + the most labels of one row. A row without labels is
        STOP at once.

    Raises:
        ValueError: targets and rank disagree about L or B, rank holds NaN, or targets anything but
            1, 0 and -1.
    """
    if targets.dim() != 2 or rank.shape not in (targets.shape, targets.shape[1:]):
        raise ValueError(
            f"targets {tuple(targets.shape)} must be (B, L) and rank {tuple(rank.shape)} (L,) or "
            "(B, L)"
        )
    if rank.is_floating_point() and bool(rank.isnan().any()):
        raise ValueError("rank holds NaN; give every label a place, the last one if it has none")
    check_targets(targets)
    n_labels = targets.shape[1]
    present = targets > 0
    count = present.sum(dim=1)
    steps = int(count.max()) + 1 if len(targets) else 1
    # by rank, and then the present ones before the absent ones: stable sorts keep what came before
    by_rank = rank.expand_as(targets).argsort(dim=1, stable=True)
    absent = (~present).gather(1, by_rank).long()
    label_seq = by_rank.gather(1, absent.argsort(dim=1, stable=True))[:, :steps]
    if label_seq.shape[1] < steps:  # every label present: room for STOP
        label_seq = torch.nn.functional.pad(label_seq, (0, 1))
    at = torch.arange(steps, device=targets.device)
    label_seq = torch.where(at < count[:, None], label_seq, PAD)
    label_seq[torch.arange(len(targets), device=targets.device), count] = n_labels
    return label_seq


def check_targets(targets: Tensor) -> None:
    """Refuse targets that are not 1, 0, or -1 where nothing is annotated.

    Raises:
        ValueError: names the first other value.
    """
    known = (targets == 1) | (targets == 0) | (targets == -1)
    if not bool(known.all()):
        value = targets[~known][0].item()
        told = "NaN" if value != value else value
        raise ValueError(f"targets holds {told}; give 1, 0, or -1 where nothing is annotated")


def from_lists(lists: Sequence[Sequence[int]], n_labels: int) -> Tensor:
    """Label lists in the order they are to be decoded -> label_seq (B, T).

    Raises:
        ValueError: no whole number, a label outside 0..L-1, or one that stands twice in a list;
            names the list.
    """
    longest = max((len(each) for each in lists), default=0)
    label_seq = torch.full((len(lists), longest + 1), PAD)
    for row, each in enumerate(lists):
        # before STOP stands behind them: L, the likeliest mistake, would then be "STOP twice"
        for label in each:
            try:
                operator.index(label)
            except TypeError:
                raise ValueError(
                    f"list {row} holds {label!r}; labels are whole numbers from 0 on"
                ) from None
            if not 0 <= label < n_labels:
                raise ValueError(
                    f"list {row} holds the label {label}, but labels run from 0 to {n_labels - 1}; "
                    "was it made for another vocabulary? STOP is added here"
                )
        label_seq[row, : len(each)] = torch.tensor([*each], dtype=torch.long)
        label_seq[row, len(each)] = n_labels
    check_sequences(label_seq, n_labels)
    return label_seq


def check_sequences(label_seq: Tensor, n_labels: int) -> None:
    """Refuse what is no label sequence.

    Raises:
        ValueError: no whole numbers, a label outside 0..L-1, one twice in a row, or a row that is
            not labels, then STOP, then PAD (rows of PAD alone are allowed).
    """
    if label_seq.is_floating_point() or label_seq.dtype == torch.bool:
        raise ValueError(f"label_seq has dtype {label_seq.dtype}; labels are whole numbers (long)")
    real = label_seq != PAD
    unknown = real & ((label_seq < 0) | (label_seq > n_labels))
    if bool(unknown.any()):
        row = int(unknown.any(dim=1).nonzero()[0])
        raise ValueError(
            f"row {row} holds the label {int(label_seq[unknown][0])}, but labels run from 0 to "
            f"{n_labels - 1} and STOP is {n_labels}; was it made for another vocabulary?"
        )
    ordered = label_seq.sort(dim=1).values
    twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != PAD)
    if bool(twice.any()):
        row = int(twice.any(dim=1).nonzero()[0])
        label = int(ordered[row, 1:][twice[row]][0])
        raise ValueError(
            f"row {row} holds {'STOP' if label == n_labels else f'the label {label}'} twice; a set "
            "has each label once, so drop the copies"
        )
    lengths = real.sum(dim=1)
    at = torch.arange(label_seq.shape[1], device=label_seq.device)
    last = label_seq.gather(1, (lengths - 1).clamp(min=0)[:, None])[:, 0] if len(at) else lengths
    wrong = (real != (at < lengths[:, None])).any(dim=1) | ((lengths > 0) & (last != n_labels))
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0])
        raise ValueError(
            f"row {row} is {label_seq[row].tolist()}; expected labels, then STOP "
            f"({n_labels}), then PAD ({PAD})"
        )
