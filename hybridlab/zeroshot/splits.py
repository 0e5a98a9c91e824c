"""Labels seen in training and labels never seen, and how to report both.

*Zero-shot*: only unseen labels are candidates. *Generalised zero-shot*: all labels are, and a
model that was trained on some prefers those. AP is computed label by label and does not know which
others are candidates, so mAP is the same in both; top-k, one threshold for all and F1 are not.

"Unseen" by whom? Labels left out of scene training are one thing; labels whose pictures were left
out of CLIP's pretraining too are another. Say which.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
from numpy.typing import ArrayLike

from hybridlab.evaluation.average_precision import mean_ap
from hybridlab.evaluation.decisions import threshold_metrics
from hybridlab.evaluation.inputs import Floats, check_decisions, check_scores, check_targets


@dataclass(frozen=True)
class LabelSplit:
    """Columns of the labels seen and unseen, each in rising order; together all columns."""

    seen: tuple[int, ...]
    unseen: tuple[int, ...]

    @property
    def size(self) -> int:
        """L."""
        return len(self.seen) + len(self.unseen)


@dataclass(frozen=True)
class SeenUnseen:
    """One metric on both groups of labels.

    Attributes:
        seen, unseen: in [0, 1]; NaN where no label of the group has a positive.
        harmonic: 2 * seen * unseen / (seen + unseen): high only if both are.
        absent: columns without a positive, left out of both.
    """

    seen: float
    unseen: float
    harmonic: float
    absent: tuple[int, ...]


def split_labels(labels: Sequence[str], unseen: Sequence[str]) -> LabelSplit:
    """Columns of seen and unseen labels by their names.

    Args:
        labels: all L, in the order of the columns.
        unseen: those kept out of training, such as `data.world.HELD_OUT`.

    Raises:
        TypeError: one string in place of a list of them.
        ValueError: an unseen label that is unknown or named twice, labels that repeat, or a group
            without labels.
    """
    if isinstance(labels, str) or isinstance(unseen, str):
        raise TypeError("labels and unseen are lists of names; got one string")
    column = {name: at for at, name in enumerate(labels)}
    if len(column) != len(labels):
        raise ValueError("labels holds a name twice; give each once")
    for name in unseen:
        if name not in column:
            near = get_close_matches(name, column, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"unseen names {name!r}, which is no label{hint}")
    hidden = {column[name] for name in unseen}
    if len(hidden) != len(unseen):
        raise ValueError("unseen holds a name twice; give each once")
    if not 0 < len(hidden) < len(labels):
        raise ValueError(
            f"{len(hidden)} of {len(labels)} labels are unseen; expected at least one of each kind"
        )
    return LabelSplit(
        tuple(at for at in range(len(labels)) if at not in hidden), tuple(sorted(hidden))
    )


def harmonic_mean(seen: float, unseen: float) -> float:
    """2SU / (S + U); 0 where both are 0, NaN where one is NaN.

    Raises:
        ValueError: a value below 0.
    """
    for value in (seen, unseen):
        if value < 0:
            raise ValueError(f"got {value}; the harmonic mean takes metrics from 0 up")
    total = seen + unseen
    if math.isnan(total):
        return math.nan
    return 2 * seen * unseen / total if total else 0.0


def seen_unseen_map(scores: ArrayLike, targets: ArrayLike, split: LabelSplit) -> SeenUnseen:
    """mAP of either group of labels.

    Shape:
        scores (N, L), targets (N, L) in {1, 0, -1 = not annotated}

    Raises:
        ValueError: another number of labels than the split has, or as `mean_ap`.
    """
    scored = check_scores(scores)
    truth = check_targets(targets, scored.shape)
    _check_width(scored.shape[1], split)
    found = mean_ap(scored, truth)
    groups = [found.per_label[list(group)] for group in (split.seen, split.unseen)]
    seen, unseen = (
        float("nan") if np.isnan(each).all() else float(np.nanmean(each)) for each in groups
    )
    return SeenUnseen(seen, unseen, harmonic_mean(seen, unseen), found.absent)


def seen_unseen_decisions(
    decisions: ArrayLike, targets: ArrayLike, split: LabelSplit, metric: str = "of1"
) -> SeenUnseen:
    """A metric of yes/no decisions on either group of labels.

    For generalised zero-shot, decide among all labels first (top-3 of all L, say) and measure here:
    the groups then compete. For zero-shot, decide among the unseen columns only.

    Args:
        metric: "of1", "macro_f1" or "cf1" (a ratio of means that thresholds can game, trap 19), or
            another attribute of `ThresholdMetrics` for which more is better.

    Shape:
        decisions (N, L) boolean, targets (N, L)

    Raises:
        ValueError: another number of labels than the split has, an unknown metric, or as
            `threshold_metrics`.
    """
    known = ("cp", "cr", "cf1", "op", "or_", "of1", "macro_f1", "exact_match")
    if metric not in known:
        raise ValueError(f"metric is {metric!r}; expected one of {', '.join(known)}")
    decided = check_decisions(decisions)
    truth = check_targets(targets, decided.shape, of="decisions")
    _check_width(decided.shape[1], split)
    seen, unseen = (
        float(getattr(threshold_metrics(decided[:, list(group)], truth[:, list(group)]), metric))
        for group in (split.seen, split.unseen)
    )
    absent = tuple(int(at) for at in np.flatnonzero(~(truth == 1).any(axis=0)))
    return SeenUnseen(seen, unseen, harmonic_mean(seen, unseen), absent)


def lower_seen(scores: ArrayLike, split: LabelSplit, by: float) -> Floats:
    """Scores with a constant taken off every seen label ("calibrated stacking", Chao et al. 2016).

    It evens out the preference for seen labels in top-k and at one threshold; no AP moves. Choose
    `by` on validation images, with labels left out there for the purpose: never on the test split.

    Shape:
        scores (N, L) -> (N, L)

    Raises:
        ValueError: another number of labels, `by` not finite, or a score that is not.
    """
    scored = check_scores(scores).astype(np.float64)
    _check_width(scored.shape[1], split)
    if not math.isfinite(by):
        raise ValueError(f"by is {by}; expected a finite number")
    scored[:, list(split.seen)] -= by
    return scored


def _check_width(columns: int, split: LabelSplit) -> None:
    if columns != split.size:
        raise ValueError(
            f"there are {columns} columns but the split has {split.size} labels; make the split "
            "from the labels in the order of these columns"
        )
