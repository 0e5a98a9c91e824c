"""Metrics by name, each ready for resamples: what a study can ask for.

| name | metric |
|---|---|
| `mean_ap`, `mean_ap_interpolated`, `mean_ap_voc07` | mAP by the three kinds of AP |
| `cp cr cf1 op or_ of1 macro_f1` | of the decisions that a run made |
| `exact_match`, `hamming` | of the same, sample by sample |
| `cf1@3`, and so on for the seven | of the 3 best labels of each image instead |
| `cf1@3:logit>=0`, `cf1@3:prob>=0.5` | of those among them that the model also says yes to |
| `one_error`, `coverage`, `ranking_loss`, `map@10` | of each image's ranking, their mean |

    weigh = named_metric("mean_ap_voc07").prepare(scores, decisions, targets)
    weigh(resample_counts(len(targets), 1000))  # (1000,)

Every value is a share, so that tables of all metrics have one unit: `coverage` is divided by L.
"""

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridlab.evaluation.decisions import rates_from_counts
from hybridlab.evaluation.inputs import (
    Array,
    Floats,
    check_counts,
    check_decisions,
    check_scores,
    check_targets,
    ratio,
)
from hybridlab.evaluation.ranking import map_at_k, ranking_per_image
from hybridlab.evaluation.top_k import TOP_K_SENSES, top_k_decisions
from hybridlab.evaluation.weighted import WeightedMeanAP

Weighted = Callable[[ArrayLike], Floats]
_Truth = NDArray[np.int8]
_Prepare = Callable[[Array, NDArray[np.bool_], _Truth], Weighted]


@dataclass(frozen=True)
class NamedMetric:
    """A metric that a study can ask for.

    Attributes:
        name: in code, such as "cf1@3".
        printed: in print, such as "top-3 CF1".
        lower_is_better: a loss.
        basic_interval: resamples raise it, for the copies that they hold (see
            `hybridlab.evaluation.bootstrap`): give it a basic interval, not one of percentiles.
    """

    name: str
    printed: str
    lower_is_better: bool
    basic_interval: bool
    _prepare: _Prepare

    def prepare(self, scores: ArrayLike, decisions: ArrayLike, targets: ArrayLike) -> Weighted:
        """The metric of one model, as a function of how often each sample is counted.

        What is not asked for may be anything of the right shape: mAP reads no decisions.

        Shape:
            scores (N, L), decisions (N, L) boolean, targets (N, L) in {1, 0, -1 = not annotated}

        Returns:
            a function of counts (R, N), whole numbers, to values (R,): in [0, 1], and NaN where
            the metric is undefined.

        Raises:
            ValueError: shapes or values that do not fit, or K that is more than the L labels.
        """
        scored = check_scores(scores)
        truth = check_targets(targets, scored.shape)
        decided = check_decisions(decisions)
        if decided.shape != scored.shape:
            raise ValueError(
                f"decisions has shape {decided.shape} but scores has shape {scored.shape}; "
                "both need one row for each sample and one column for each label"
            )
        return self._prepare(scored, decided, truth)


def named_metric(name: str) -> NamedMetric:
    """The metric of a name.

    Raises:
        ValueError: there is none of this name; the message lists what there is.
    """
    if isinstance(name, str):
        if name in _PLAIN:
            return _PLAIN[name]
        base, at, rest = name.partition("@")
        if at and base in (*_RATES, "map"):
            return _at_k(name, base, *rest.partition(":"))
    raise ValueError(f"metric is {name!r}; choose one of {', '.join(_known())}{_did_you(name)}")


def _known() -> Iterable[str]:
    senses = " or ".join(TOP_K_SENSES[1:])
    return (
        *_PLAIN,
        "map@K",
        f"and METRIC@K or METRIC@K:SENSE with METRIC of {' '.join(_RATES)}, "
        f"K a whole number and SENSE {senses}",
    )


def _did_you(name: object) -> str:
    given = str(name)
    base, at, rest = given.partition("@")
    close = difflib.get_close_matches(base, (*_RATES, "map") if at else _PLAIN, n=1)
    return f" (did you mean {close[0] + at + rest!r}?)" if close else ""


def _at_k(name: str, base: str, digits: str, colon: str, sense: str) -> NamedMetric:
    """The metric of the K best labels of each image; `sense` as `top_k_decisions` has it."""
    # one name for one metric: no sign, no space, no leading 0
    if not (digits.isascii() and digits.isdigit() and digits[0] != "0"):
        raise ValueError(
            f"metric is {name!r}, where K is {digits!r}; give a whole number from 1, as in {base}@3"
        )
    k = int(digits)
    if base == "map":
        if colon:
            raise ValueError(f"metric is {name!r}, but MAP@K has no sense; write map@{k}")
        return NamedMetric(name, f"MAP@{k}", False, False, partial(_map_at_k, k=k))
    if colon and sense not in TOP_K_SENSES[1:]:
        raise ValueError(
            f"metric is {name!r}, where the sense is {sense!r}; write {base}@{k} for exactly {k} "
            "labels for each image, or give "
            f"{' or '.join(map(repr, TOP_K_SENSES[1:]))} after the ':'"
        )
    printed = f"top-{k} {_RATES[base]}" + (f" ({sense})" if colon else "")
    chosen = partial(_rates_at_k, name=base, k=k, sense=sense or TOP_K_SENSES[0])
    return NamedMetric(name, printed, False, False, chosen)


def _mean_ap(scores: Array, decisions: Array, targets: _Truth, kind: str) -> Weighted:
    return WeightedMeanAP(scores, targets, kind)


def _rates(scores: Array, decisions: Array, targets: _Truth, name: str) -> Weighted:
    """CP and its relatives, from the counts of hits, decisions and positives of each label."""
    positive, predicted = targets == 1, decisions & (targets >= 0)
    # float32 for the speed of the matrix product; counts stay exact below 2**24 samples
    marks = [m.astype(np.float32) for m in (predicted & positive, predicted, positive)]

    def weigh(counts: ArrayLike) -> Floats:
        weights = check_counts(counts, len(targets)).astype(np.float32)
        return np.asarray(getattr(rates_from_counts(*(weights @ mark for mark in marks)), name))

    return weigh


def _rates_at_k(
    scores: Array, decisions: Array, targets: _Truth, name: str, k: int, sense: str
) -> Weighted:
    return _rates(scores, top_k_decisions(scores, k, sense), targets, name)


def _exact_match(scores: Array, decisions: Array, targets: _Truth) -> Weighted:
    annotated = targets >= 0
    seen = annotated.any(axis=1)
    right = ~((decisions != (targets == 1)) & annotated).any(axis=1)
    return _share(seen & right, seen)


def _hamming(scores: Array, decisions: Array, targets: _Truth) -> Weighted:
    annotated = targets >= 0
    wrong = (decisions != (targets == 1)) & annotated
    return _share(wrong.sum(axis=1), annotated.sum(axis=1))


def _ranking(scores: Array, decisions: Array, targets: _Truth, name: str) -> Weighted:
    return _mean(getattr(ranking_per_image(scores, targets), name))


def _coverage(scores: Array, decisions: Array, targets: _Truth) -> Weighted:
    return _mean(ranking_per_image(scores, targets).coverage / max(scores.shape[1], 1))


def _map_at_k(scores: Array, decisions: Array, targets: _Truth, k: int) -> Weighted:
    return _mean(map_at_k(scores, targets, k).per_image)


def _mean(per_image: Floats) -> Weighted:
    """Mean over images (N,), those that are NaN left out."""
    known = ~np.isnan(per_image)
    return _share(np.where(known, per_image, 0.0), known)


def _share(part: ArrayLike, whole: ArrayLike) -> Weighted:
    """Sum of `part` over sum of `whole`, (N,) each."""
    sums = np.stack([np.asarray(part, np.float64), np.asarray(whole, np.float64)], axis=1)  # (N, 2)

    def weigh(counts: ArrayLike) -> Floats:
        found = check_counts(counts, len(sums)).astype(np.float64) @ sums  # (R, 2)
        return ratio(found[:, 0], found[:, 1], np.nan)

    return weigh


# As they stand in print.
_RATES = {
    "cp": "CP", "cr": "CR", "cf1": "CF1", "op": "OP", "or_": "OR", "of1": "OF1",
    "macro_f1": "macro-F1",
}  # fmt: skip
_PLAIN = {
    metric.name: metric
    for metric in (
        NamedMetric("mean_ap", "mAP", False, True, partial(_mean_ap, kind="uninterpolated")),
        *(NamedMetric(k, v, False, False, partial(_rates, name=k)) for k, v in _RATES.items()),
        NamedMetric("exact_match", "exact match", False, False, _exact_match),
        NamedMetric("hamming", "Hamming loss", True, False, _hamming),
        NamedMetric(
            "mean_ap_interpolated",
            "interpolated mAP",
            False,
            True,
            partial(_mean_ap, kind="interpolated"),
        ),
        NamedMetric("mean_ap_voc07", "VOC07 mAP", False, True, partial(_mean_ap, kind="voc07")),
        NamedMetric("one_error", "one-error", True, False, partial(_ranking, name="one_error")),
        NamedMetric("coverage", "coverage (share of labels)", True, False, _coverage),
        NamedMetric(
            "ranking_loss", "ranking loss", True, False, partial(_ranking, name="ranking_loss")
        ),
    )
}
