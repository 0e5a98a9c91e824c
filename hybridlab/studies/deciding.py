"""When is a probability a yes? Rules for thresholds, fitted on few or many positives (lesson 07).

    hybridlab reproduce 07

The model is the same for all rules of a seed: the frozen hybrid. Its scores on a part of a large
pool of validation scenes choose the thresholds; the test scenes judge. `extra` has the same figures
on the scenes that the thresholds were fitted on: the difference is how much a rule flatters itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from hybridlab.ablation.runs import RunResult
from hybridlab.ablation.study import Study
from hybridlab.evaluation.threshold_rules import (
    at_precision,
    by_cardinality,
    clip_adjusted,
    f1_of,
    for_cf1,
    for_of1,
)
from hybridlab.evaluation.thresholds import global_threshold, per_label_thresholds
from hybridlab.studies.small_world import RECIPE as SMALL_WORLD
from hybridlab.studies.small_world import workshop_of
from hybridlab.workshop import Workshop
from hybridlab.zeroshot.platt import fit_per_label_platt

RECIPE: dict[str, Any] = {
    **{name: value for name, value in SMALL_WORLD.items() if name != "method"},
    "rule": "one threshold", "positives": 20, "val": 2400, "test": 2000, "beta": 0.0,
}


class Split(NamedTuple):
    """What a rule may look at: logits, probabilities, targets and CLIP's cosines, each (N, L)."""

    logits: np.ndarray
    probs: np.ndarray
    targets: np.ndarray
    cosines: np.ndarray


Limits = np.ndarray | float
Rule = Callable[[Split, Split], tuple[Limits, Limits]]  # fitted, new -> thresholds of both


def _same(fit: Callable[[Split], Limits]) -> Rule:
    def rule(fitted: Split, new: Split) -> tuple[Limits, Limits]:
        limits = fit(fitted)
        return limits, limits

    return rule


def _on_test(fitted: Split, new: Split) -> tuple[Limits, Limits]:
    """What not to do: thresholds that have seen the scenes which judge them."""
    limits = per_label_thresholds(new.probs, new.targets, 1, 0.0).values
    return limits, limits


def _by_calibration(fitted: Split, new: Split) -> tuple[Limits, Limits]:
    """Platt scaling of each label; then a yes at half of the best F1 that the calibrated
    probabilities themselves expect (trap 19). As thresholds on the uncalibrated probabilities."""
    platt = fit_per_label_platt(fitted.logits, fitted.targets)
    honest = platt(fitted.logits)
    half = np.array([_expected_best_f1(column) / 2 for column in honest.T])
    logit = np.log(half / (1 - half))
    limits = 1 / (1 + np.exp(-(logit - platt.bias) / platt.scale))
    return limits, limits


def _expected_best_f1(probs: np.ndarray) -> float:
    """The largest 2 E[TP] / (yes + E[positives]) over all cuts of honest probabilities."""
    ranked = np.sort(probs)[::-1]
    return float((2 * np.cumsum(ranked) / (np.arange(1, len(ranked) + 1) + ranked.sum())).max())


RULES: dict[str, Rule] = {
    "0.5": lambda fitted, new: (0.5, 0.5),
    "one threshold": _same(lambda fitted: global_threshold(fitted.probs, fitted.targets)),
    "as many as there are": _same(lambda fitted: by_cardinality(fitted.probs, fitted.targets)),
    "best F1 of each label": _same(
        lambda fitted: per_label_thresholds(fitted.probs, fitted.targets, 1, 0.0).values),
    "best F1 of each label, shrunk": _same(
        lambda fitted: per_label_thresholds(fitted.probs, fitted.targets).values),
    "half of the best F1, calibrated": _by_calibration,
    "best OF1 of all combinations": _same(
        lambda fitted: for_of1(fitted.probs, fitted.targets).values),
    "climbed for CF1": _same(lambda fitted: for_cf1(fitted.probs, fitted.targets).values),
    "precision of 0.8 or more": _same(
        lambda fitted: at_precision(fitted.probs, fitted.targets, 0.8).values),
    "adjusted by CLIP": _same(lambda fitted: clip_adjusted(
        float(np.clip(global_threshold(fitted.probs, fitted.targets), 1e-6, 1 - 1e-6)),
        fitted.cosines, fitted.probs, fitted.targets).values),
    "tuned on the test scenes (never do this)": _on_test,
}


def run(config: Mapping[str, Any], seed: int, store: Path) -> RunResult:
    """Decide by a rule.

    Args:
        config: `RECIPE` with some values changed. "rule": one of `RULES`. "positives": of a label,
            on average over labels, in the scenes that thresholds are fitted on.
        seed: of the model, and of which validation scenes are drawn.
        store: folder that runs share.

    Raises:
        ValueError: an unknown rule or setting, or fewer scenes than the positives need.
    """
    if config["rule"] not in RULES:
        raise ValueError(f"rule is {config['rule']!r}; choose one of {', '.join(RULES)}")
    shop = workshop_of({name: value for name, value in config.items()
                        if name not in ("rule", "positives")}, seed, store)
    pool, new = _split(shop, "val"), _split(shop, "test")
    rows = drawn_rows(pool.targets, config["positives"], seed)
    fitted = Split(*(each[rows] for each in pool))
    on_fitted, on_new = RULES[config["rule"]](fitted, new)
    there, decisions = fitted.probs >= on_fitted, new.probs >= on_new
    scores = f1_of(there, fitted.targets)
    return RunResult(
        new.probs.astype(np.float32), decisions, new.targets, np.arange(len(new.targets)),
        extra={"fitted_on": len(rows), **{f"fitted_{name}": value
                                          for name, value in scores._asdict().items()}},
    )


def drawn_rows(targets: np.ndarray, positives: float, seed: int) -> np.ndarray:
    """Rows of so many scenes that a label has that many positives, as a mean over labels.

    Raises:
        ValueError: there are not so many scenes.
    """
    wanted = round(positives / max(float((targets > 0).mean()), 1e-9))
    if not 1 <= wanted <= len(targets):
        raise ValueError(
            f"{positives} positives of a label need {wanted} scenes, and there are {len(targets)}; "
            "give more validation scenes or fewer positives"
        )
    return np.random.default_rng(seed).permutation(len(targets))[:wanted]


def _split(shop: Workshop, split: str) -> Split:
    logits = {"val": shop.fused.val, "test": shop.fused.test}[split]
    return Split(
        logits.numpy().astype(np.float64), torch.sigmoid(logits.double()).numpy(),
        shop.targets[split].numpy().astype(np.int8), shop.zero_shot("global")[split].numpy(),
    )


# Written before the first run.
STUDY = Study.factorial(
    name="deciding",
    question="Which rule for thresholds holds on new scenes, and how much does it flatter itself?",
    run="hybridlab.studies.deciding:run",
    recipe=RECIPE,
    factors={"rule": list(RULES), "positives": [5, 20, 80]},
    seeds=range(5),
    metrics=("of1", "cf1", "macro_f1"),
    hypotheses={
        "rule=best F1 of each label, positives=5": "Behind one threshold in OF1: five positives "
        "choose a cut by chance.",
        "rule=best F1 of each label, shrunk, positives=5": "No difference to one threshold.",
        "rule=best F1 of each label, shrunk, positives=80": "Ahead of one threshold in CF1.",
        "rule=half of the best F1, calibrated, positives=5": "Ahead of the best F1 of each label: "
        "two numbers for a label where the other looks at every cut.",
        "rule=climbed for CF1, positives=80": "CF1 highest, macro-F1 far behind.",
        "rule=adjusted by CLIP, positives=20": "No difference to one threshold: what CLIP likes is "
        "in the logits already.",
        "rule=tuned on the test scenes (never do this), positives=20": "Ahead of all, and worth "
        "nothing.",
    },
)
