"""In which order should a set be written? Seven orders; see `decoding`.

    hybridlab reproduce 02

PLA and MLA find the order in training and are free-running; the others are taught with the true
labels before each step. So "frequent first, free-running" stands beside them: what of their
difference is the order, and what the feeding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hybridlab.ablation.study import Study
from hybridlab.studies.decoding import METRICS, RECIPE

if TYPE_CHECKING:
    from hybridlab.ablation.records import RunRecord

# Hypotheses were written before the first run.
STUDY = Study(
    name="orders",
    question="Which order of the labels does a decoder learn best from?",
    run="hybridlab.studies.decoding:run",
    recipe=RECIPE,
    variants={
        "frequent first": {},
        "rare first": {"order": "rare"},
        "random each time": {"order": "random"},
        "largest first": {"order": "size"},
        "reading order": {"order": "reading"},
        "PLA": {"order": "pla", "feeding": "free"},
        "MLA": {"order": "mla", "feeding": "free"},
        "frequent first, free-running": {"feeding": "free"},
    },
    reference="frequent first",
    seeds=range(5),
    metrics=METRICS,
    hypotheses={
        "rare first": "Recall of rare labels rises, that of frequent ones falls; mAP stays.",
        "random each time": "Worse: it must predict what cannot be known, which label is next.",
        "largest first": "Better than frequent first: what is seen best is said first.",
        "reading order": "Worse than largest first.",
        "PLA": "The best of all in mAP and OF1, with almost no duplicates.",
        "MLA": "Close to PLA.",
        "frequent first, free-running": "Worse than with teacher forcing: an early mistake shifts "
        "all that follows.",
    },
)

# PLA and MLA against an order that is fed as they are.
ALSO_AGAINST = ("frequent first, free-running",)


def further(records: Sequence[RunRecord]) -> dict[str, dict[str, list[float]]]:
    """Which labels each order loses: "recall_by_label", variant -> the recall of each label by the
    decoder's own sets, a mean over seeds; labels without a test scene have NaN, written as -1."""
    import numpy as np

    found: dict[str, list[np.ndarray]] = {}
    for record in records:
        run = record.predictions()
        there, said = run.targets > 0, run.decisions > 0
        recall = np.where(there.any(axis=0), (there & said).sum(axis=0)
                          / np.maximum(there.sum(axis=0), 1), -1.0)
        found.setdefault(record.variant, []).append(recall)
    return {"recall_by_label": {
        name: np.mean(each, axis=0).round(4).tolist() for name, each in found.items()
    }}
