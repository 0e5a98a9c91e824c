"""The metrics that a study asks for, of one run that is done: to be told while it goes on.

A run is stored with the metrics of `runs.METRICS`; others, such as map@10, are computed when the
study is analysed. That one of them cannot be computed should not come out only then.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hybridlab.ablation.records import Predictions, read_predictions
from hybridlab.evaluation.named import named_metric

_FIGURE = re.compile(r"(?<![\w@.-])-?\d+(\.\d+)?(e[+-]?\d+)?\b")  # and no "3" of "cf1@3"


class Asked(NamedTuple):
    """Name -> value of each metric that has one, and sentences on those that have none.

    Of two sentences that are alike but for figures, one is enough (`alike`).
    """

    values: dict[str, float]
    troubles: list[str]


def alike(sentence: str) -> str:
    """The same text for sentences that differ in figures only, such as the range of scores."""
    return _FIGURE.sub("#", sentence)


def asked_metrics(
    path: Path, metrics: Sequence[str], known: Mapping[str, float | None]
) -> Asked:
    """Every metric of a run, from its done.json where it stands there, else from its predictions.

    Args:
        path: the run's folder.
        metrics: by name, as `Study.metrics`.
        known: what done.json has; None for one that is undefined.
    """
    values: dict[str, float] = {}
    troubles: list[str] = []
    undefined: list[str] = []
    read: Predictions | None = None
    for name in metrics:
        if name in known:
            value = np.nan if (stored := known[name]) is None else float(stored)
        else:
            try:
                read = read or read_predictions(path)
                scores, decisions, targets, _ = read
                weigh = named_metric(name).prepare(scores, decisions, targets)
                value = float(weigh(np.ones((1, len(targets)), np.int32))[0])
            except ValueError as error:
                troubles.append(f"{name} cannot be computed: {error}")
                continue
        if np.isnan(value):
            undefined.append(name)
        else:
            values[name] = value
    if undefined:
        troubles.append(
            f"{', '.join(undefined)} is not defined on its test samples (no label has a positive "
            "there, say) and is recorded as null"
        )
    return Asked(values, troubles)
