"""CP, CR, CF1, OP, OR, OF1, exact match and Hamming loss of yes/no decisions.

A label without a positive in the split is left out of the means over labels and reported in
`absent`; it is never silently 0 (trap 1). Where decisions come from: thresholds on
probabilities, or `hybridlab.evaluation.top_k`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from hybridlab.evaluation.inputs import (
    Array,
    Floats,
    check_decisions,
    check_targets,
    columns,
    ratio,
)


@dataclass(frozen=True)
class ThresholdMetrics:
    """Metrics of decisions, each in [0, 1], or NaN where it is not defined.

    Attributes:
        cp, cr: mean precision and mean recall over the labels present. A label that is never
            predicted counts with precision 0.
        cf1: harmonic mean of `cp` and `cr`; not the mean of the labels' F1, which is `macro_f1`.
        op, or_, of1: precision, recall and F1 over all entries of all labels together. Labels
            without a positive belong to them: what is predicted there is a false alarm.
        macro_f1: mean of F1 over the labels present (scikit-learn's "macro").
        exact_match: share of samples with every annotated label right.
        hamming: share of annotated entries that are wrong (a loss: lower is better).
        absent: the columns without a positive, left out of `cp`, `cr`, `cf1` and `macro_f1`.
    """

    cp: float
    cr: float
    cf1: float
    op: float
    or_: float
    of1: float
    macro_f1: float
    exact_match: float
    hamming: float
    absent: tuple[int, ...]


class Rates(NamedTuple):
    """Precision, recall and F1 by label mean (C), over all entries (O), and macro F1."""

    cp: Floats
    cr: Floats
    cf1: Floats
    op: Floats
    or_: Floats
    of1: Floats
    macro_f1: Floats


def threshold_metrics(decisions: ArrayLike, targets: ArrayLike) -> ThresholdMetrics:
    """CP, CR, CF1, OP, OR, OF1 and friends of yes/no decisions.

    Precision of nothing predicted is 0; F1 is 0 where precision and recall both are. Without any
    positive, recall and F1 are NaN; without any annotated entry so are the last two.

    Shape:
        decisions (N, L) boolean, such as `probs >= thresholds`; targets (N, L)

    Raises:
        ValueError: shapes differ, a decision is not a boolean, or a target is not 0, 1 or -1.
    """
    decided = check_decisions(decisions)
    truth = check_targets(targets, decided.shape, of="decisions")
    annotated, positive = truth >= 0, truth == 1
    predicted = decided & annotated
    rates = rates_from_counts(
        (predicted & positive).sum(axis=0), predicted.sum(axis=0), positive.sum(axis=0)
    )
    wrong = (decided != positive) & annotated  # (N, L)
    seen = annotated.any(axis=1)  # a sample with nothing annotated can be neither right nor wrong
    return ThresholdMetrics(
        **{name: float(rate) for name, rate in rates._asdict().items()},
        exact_match=float(ratio((~wrong.any(axis=1) & seen).sum(), seen.sum(), np.nan)),
        hamming=float(ratio(wrong.sum(), annotated.sum(), np.nan)),
        absent=columns(~positive.any(axis=0)),
    )


def rates_from_counts(hits: Array, predicted: Array, positive: Array) -> Rates:
    """Precision, recall and F1 from counts per label; leading axes (resamples, say) are kept.

    Shape:
        hits (true positives), predicted, positive: (..., L) -> each rate (...)
    """
    hits, predicted, positive = (np.asarray(x, np.float64) for x in (hits, predicted, positive))
    present = (positive > 0).sum(axis=-1)

    def over_labels(values: Floats) -> Floats:
        # An absent label has no hits, so it adds 0 above; below it is not counted.
        return ratio(values.sum(axis=-1), present, np.nan)

    # trap 1: CF1 takes the means first and the harmonic mean after; never-predicted counts as 0.
    cp = over_labels(ratio(hits, predicted, 0.0))
    cr = over_labels(ratio(hits, positive, 0.0))
    all_hits, all_predicted = hits.sum(axis=-1), predicted.sum(axis=-1)
    all_positive = positive.sum(axis=-1)
    of1 = ratio(2 * all_hits, all_predicted + all_positive, np.nan)
    return Rates(
        cp=cp,
        cr=cr,
        cf1=ratio(2 * cp * cr, cp + cr, 0.0),
        op=ratio(all_hits, all_predicted, 0.0),
        or_=ratio(all_hits, all_positive, np.nan),
        of1=np.where(all_positive > 0, of1, np.nan),
        macro_f1=over_labels(ratio(2 * hits, predicted + positive, 0.0)),
    )
