"""What does one more prompt in the ensemble buy? A metric by the size of the ensemble.

An ensemble of one size is a choice too: which prompts are in it. So each size is measured over
many subsets, all of them where there are few, drawn by a seed where there are many.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from hybridlab.evaluation.named import named_metric
from hybridlab.zeroshot.checks import require_unit
from hybridlab.zeroshot.text_bank import ensemble

Score = Callable[[Tensor], ArrayLike]


@dataclass(frozen=True)
class EnsembleSize:
    """A metric over the subsets of prompts of one size.

    Attributes:
        size: prompts in each ensemble.
        subsets: which prompts, as columns of `per_prompt`.
        values: the metric of each subset.
        all_there_are: no other subsets of this size exist.
    """

    size: int
    subsets: tuple[tuple[int, ...], ...]
    values: tuple[float, ...]
    all_there_are: bool

    @property
    def mean(self) -> float:
        """Over subsets."""
        return float(np.mean(self.values))

    @property
    def sd(self) -> float:
        """Over subsets (n - 1); NaN for one. Large ensembles share prompts, so it shrinks to 0."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else float("nan")


def ensemble_sizes(
    per_prompt: Tensor,
    score: Score,
    targets: ArrayLike,
    sizes: Sequence[int],
    metric: str = "mean_ap",
    decide: Callable[[ArrayLike], ArrayLike] | None = None,
    *,
    subsets: int = 20,
    seed: int = 0,
) -> tuple[EnsembleSize, ...]:
    """Measure ensembles of random subsets of the prompts, size by size.

    Args:
        per_prompt: (K, L, D), unit length, as `TextBank.per_prompt` gives them.
        score: text_emb (L, D) -> scores (N, L) of the images; it holds the rule of scoring.
        targets: (N, L) in {1, 0, -1 = not annotated}.
        sizes: from 1 to K each.
        metric: a name of `evaluation.named`.
        decide: scores -> (N, L) boolean, for metrics of decisions.
        subsets: at most so many of each size; all of them where there are no more.
        seed: of the subsets; the same for every metric and rule of scoring.

    Raises:
        ValueError: a size outside 1 to K, `subsets` below 1, vectors that are not of unit length,
            or as the metric.
    """
    require_unit(per_prompt, "per_prompt")
    if per_prompt.dim() != 3:
        raise ValueError(f"per_prompt has shape {tuple(per_prompt.shape)}; expected (K, L, D)")
    prompts, labels = per_prompt.shape[:2]
    if subsets < 1:
        raise ValueError(f"subsets is {subsets}; expected at least 1")
    for size in sizes:
        if not 1 <= size <= prompts:
            raise ValueError(f"sizes holds {size}; expected from 1 to {prompts}, the prompts")
    asked = named_metric(metric)
    names = [f"label {at}" for at in range(labels)]

    def measure(chosen: tuple[int, ...]) -> float:
        each = per_prompt[torch.tensor(chosen)].flatten(0, 1)
        scored = np.asarray(score(ensemble(each, list(range(labels)) * len(chosen), names)))
        decided = np.zeros(scored.shape, bool) if decide is None else decide(scored)
        weigh = asked.prepare(scored, decided, targets)
        return float(weigh(np.ones((1, len(scored)), np.int32))[0])

    found = []
    for size in sizes:
        chosen = some_subsets(prompts, size, subsets, seed)
        values = tuple(measure(one) for one in chosen)
        found.append(EnsembleSize(size, chosen, values, len(chosen) == comb(prompts, size)))
    return tuple(found)


def some_subsets(items: int, size: int, most: int, seed: int = 0) -> tuple[tuple[int, ...], ...]:
    """Different subsets of 0..items-1, each in rising order: all, or `most` of them by the seed."""
    if comb(items, size) <= most:
        return tuple(combinations(range(items), size))
    rng = np.random.default_rng([seed, size])
    found: dict[tuple[int, ...], None] = {}  # a set that keeps its order
    while len(found) < most:
        found[tuple(sorted(rng.choice(items, size, replace=False).tolist()))] = None
    return tuple(found)
