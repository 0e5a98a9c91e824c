"""Retrieval both ways: does an image find its text, a text its image, among the first k?"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Recall(NamedTuple):
    """R@k in both directions, shares from 0 to 1."""

    image_to_text: float
    text_to_image: float


def recall_at_k(similarity: Tensor, k: int, positives: Tensor | None = None) -> Recall:
    """Share of queries that have a positive among their first k.

    A query without a positive is left out. A k of the number of candidates or more is 1 by itself.

    Args:
        similarity: images by texts; any scale, since only order counts.
        k: how many of the first are looked at, 1 or more.
        positives: bool, which texts belong to which image; None: the diagonal.

    Shape:
        similarity (N, U), positives (N, U) -> two numbers

    Raises:
        TypeError: k is not a whole number.
        ValueError: see `first_ranks`; k is below 1; no query has a positive.
    """
    return recall_table(similarity, (k,), positives)[k]


def recall_table(
    similarity: Tensor, at: Sequence[int] = (1, 5, 10), positives: Tensor | None = None
) -> dict[int, Recall]:
    """`recall_at_k` for several k, ranked once: {1: Recall, 5: Recall, 10: Recall}."""
    wanted = [operator.index(k) for k in at]
    if any(k < 1 for k in wanted):
        raise ValueError(f"k is {min(wanted)}; expected 1 or more")
    by_image = first_ranks(similarity, positives)
    by_text = first_ranks(similarity.T, None if positives is None else positives.T)
    ranks = [each[each > 0] for each in (by_image, by_text)]
    if any(len(each) == 0 for each in ranks):
        raise ValueError("no query has a positive, so recall is not defined; look at positives=")
    return {k: Recall(*(float((each <= k).double().mean()) for each in ranks)) for k in wanted}


def first_ranks(similarity: Tensor, positives: Tensor | None = None) -> Tensor:
    """Rank, from 1, of each row's best positive; 0 where a row has none.

    Ties count against the model: a negative with the same score stands before the positive. With
    ties for it, a model that gives one score to everything would have an R@1 of 1.
    The ranks are what a bootstrap over queries needs.

    Shape:
        similarity (N, U), positives bool (N, U) or None for the diagonal -> long (N,)

    Raises:
        TypeError: similarity or positives is no tensor.
        ValueError: similarity is not a table with rows and columns, holds NaN, is not square where
            `positives` is None, or `positives` is not bool or has another shape.
    """
    for name, given in (("similarity", similarity), ("positives", positives)):
        if given is not None and not isinstance(given, Tensor):
            raise TypeError(
                f"{name} is a {type(given).__name__}; expected a tensor: torch.as_tensor(...)"
            )
    if similarity.dim() != 2 or similarity.numel() == 0:
        raise ValueError(
            f"similarity is {tuple(similarity.shape)}; expected (N, U), queries by candidates, "
            "with at least one of each"
        )
    if bool(torch.isnan(similarity).any()):
        raise ValueError("similarity holds NaN, which has no rank; look for a diverged model")
    rows, columns = similarity.shape
    if positives is None:
        if rows != columns:
            raise ValueError(
                f"similarity is ({rows}, {columns}), so its diagonal does not say what belongs "
                "together; pass positives="
            )
        positives = torch.eye(rows, dtype=torch.bool, device=similarity.device)
    if positives.shape != similarity.shape or positives.dtype != torch.bool:
        raise ValueError(
            f"positives is {positives.dtype} {tuple(positives.shape)}; expected bool "
            f"({rows}, {columns}), as similarity"
        )
    positives = positives.to(similarity.device)
    scores = similarity if similarity.is_floating_point() else similarity.double()
    best = scores.masked_fill(~positives, -torch.inf).amax(dim=1, keepdim=True)
    before = ((scores >= best) & ~positives).sum(dim=1)
    return torch.where(positives.any(dim=1), before + 1, 0)
