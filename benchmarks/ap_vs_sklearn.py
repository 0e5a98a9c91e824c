"""Average precision of 40,000 x 80 against scikit-learn's `average_precision_score`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from benchmarks.timing import compare
from hybridlab.evaluation.average_precision import average_precision_per_label

SAMPLES, LABELS, SHARE = 40_000, 80, 0.04  # the size of COCO's validation split; 3 labels an image


def measure() -> dict[str, object]:
    """ratio = scikit-learn's seconds / ours; 2 or more, with equal values, ties too."""
    scores, targets = split()
    furthest = max(
        np.abs(
            average_precision_per_label(s, targets)
            - average_precision_score(targets, s, average=None)
        ).max()
        for s in (scores, scores.round(1))  # rounded: thousands of equal scores in each label
    )
    if furthest > 1e-9:
        raise ValueError(f"the two differ by {furthest}; expected at most 1e-9: do not time them")
    found = compare(
        "ap_vs_sklearn",
        lambda: average_precision_per_label(scores, targets),
        lambda: average_precision_score(targets, scores, average=None),
        {"samples": SAMPLES, "labels": LABELS, "positives": SHARE},
        ("numpy", "scikit-learn"),
    )
    return found | {"largest_difference": float(furthest)}


def split() -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Scores of a fair model, (N, L), and targets."""
    rng = np.random.default_rng(0)
    targets = (rng.random((SAMPLES, LABELS)) < SHARE).astype(np.int8)
    return (rng.normal(size=targets.shape) + 1.5 * targets).astype(np.float32), targets
