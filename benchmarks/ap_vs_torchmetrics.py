"""Average precision of 40,000 x 80 against torchmetrics' exact multilabel AP."""

from __future__ import annotations

import numpy as np
import torch
from torchmetrics.functional.classification import multilabel_average_precision

from benchmarks.ap_vs_sklearn import LABELS, SAMPLES, SHARE, split
from benchmarks.timing import compare
from hybridlab.evaluation.average_precision import average_precision_per_label


def measure() -> dict[str, object]:
    """ratio = torchmetrics' seconds / ours, both on one thread; 2 or more, values equal to 1e-6."""
    torch.set_num_threads(1)
    logits, targets = split()
    # torchmetrics puts anything outside [0, 1] through a sigmoid; both get what comes out of it.
    probs = torch.from_numpy(logits).sigmoid()
    truth = torch.from_numpy(targets).long()
    as_arrays = probs.numpy(), targets

    def theirs(scores: torch.Tensor = probs) -> torch.Tensor:
        return multilabel_average_precision(scores, truth, LABELS, average=None, thresholds=None)

    tied = (probs * 100).round() / 100
    furthest = max(
        np.abs(average_precision_per_label(p.numpy(), targets) - theirs(p).numpy()).max()
        for p in (probs, tied)
    )
    if furthest > 1e-6:
        raise ValueError(f"the two differ by {furthest}; expected at most 1e-6: do not time them")
    found = compare(
        "ap_vs_torchmetrics",
        lambda: average_precision_per_label(*as_arrays),
        theirs,
        {"samples": SAMPLES, "labels": LABELS, "positives": SHARE, "threads": 1},
        ("numpy", "torch", "torchmetrics"),
        rounds=5,
    )
    return found | {"largest_difference": float(furthest)}
