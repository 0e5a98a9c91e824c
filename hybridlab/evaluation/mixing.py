"""Two opinions of the same images, mixed by a weight that validation chooses."""

from __future__ import annotations

import numpy as np

from hybridlab.evaluation.metrics import mean_ap

Split = tuple[np.ndarray, np.ndarray]  # probabilities (N, L) on validation and test images


def mixed(one: Split, other: Split, targets: np.ndarray, steps: int = 10) -> tuple[Split, float]:
    """(1 - w) x one + w x other, where w has the best mAP on the validation images.

    Args:
        targets: (N, L) of the validation images, in {0, 1} or -1.
        steps: w is one of 0, 1 / steps, ..., 1; of equal ones the smallest.

    Returns:
        the mix on both splits, and w.

    Raises:
        ValueError: steps is below 1, or shapes differ.
    """
    if steps < 1:
        raise ValueError(f"steps is {steps}; give 1 or more")
    for name, a, b in (("validation", one[0], other[0]), ("test", one[1], other[1])):
        if a.shape != b.shape:
            raise ValueError(
                f"the {name} probabilities are {a.shape} and {b.shape}; give two of the same images"
            )
    weights = np.linspace(0, 1, steps + 1)
    values = [mean_ap((1 - w) * one[0] + w * other[0], targets).value for w in weights]
    best = float(weights[int(np.argmax(values))])
    val, test = ((1 - best) * a + best * b for a, b in zip(one, other, strict=True))
    return (val, test), best
