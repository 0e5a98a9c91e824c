"""Every metric of multi-label classification that the course uses, under one name.

| module | metrics |
|---|---|
| `average_precision` | AP of three kinds, mAP: of scores, label by label |
| `decisions` | CP CR CF1 OP OR OF1, macro F1, exact match, Hamming: of yes/no decisions |
| `top_k` | decisions by rank, in both published senses |
| `ranking` | one-error, coverage, ranking loss, MAP@k: of scores, image by image |
| `named` | each of these by its name in code, on resamples: what a study asks for |

Inputs are anything that `numpy.asarray` takes (CPU tensors too). Targets are 1 (present),
0 (absent) or -1 (not annotated: the entry is masked). A label without a positive in the split is
left out of every mean over labels and reported in `absent`; it is never silently 0 (traps 1 and 2).
"""

from hybridlab.evaluation.average_precision import (
    AP_KINDS,
    MeanAP,
    average_precision,
    average_precision_per_label,
    mean_ap,
)
from hybridlab.evaluation.decisions import (
    Rates,
    ThresholdMetrics,
    rates_from_counts,
    threshold_metrics,
)
from hybridlab.evaluation.inputs import (
    Array,
    Floats,
    check_decisions,
    check_scores,
    check_targets,
)
from hybridlab.evaluation.ranking import (
    MapAtK,
    RankingMetrics,
    RankingPerImage,
    coverage,
    map_at_k,
    one_error,
    ranking_loss,
    ranking_metrics,
    ranking_per_image,
)
from hybridlab.evaluation.top_k import TOP_K_SENSES, top_k_decisions

__all__ = [
    "AP_KINDS",
    "TOP_K_SENSES",
    "Array",
    "Floats",
    "MapAtK",
    "MeanAP",
    "RankingMetrics",
    "RankingPerImage",
    "Rates",
    "ThresholdMetrics",
    "average_precision",
    "average_precision_per_label",
    "check_decisions",
    "check_scores",
    "check_targets",
    "coverage",
    "map_at_k",
    "mean_ap",
    "one_error",
    "ranking_loss",
    "ranking_metrics",
    "ranking_per_image",
    "rates_from_counts",
    "threshold_metrics",
    "top_k_decisions",
]
