"""When is a probability a yes? One run of the studies `deciding_...` of lesson 07.

The model of a seed is the same for all rules: the frozen hybrid. Some scenes of a large pool of
validation scenes choose the thresholds, and the test scenes judge. `extra` has the same figures on
the scenes that chose: the difference is how much a rule flatters itself. It has those of
cross-fitting, too, which guess at the test scenes without looking at them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
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
from hybridlab.evaluation.top_k import top_k_decisions
from hybridlab.studies.settings import check_settings
from hybridlab.studies.small_world import RECIPE as SMALL_WORLD
from hybridlab.studies.small_world import workshop_of
from hybridlab.zeroshot.platt import fit_per_label_platt

# Some 2,460 scenes have 100 positives of a label.
RECIPE: dict[str, Any] = {
    **{name: value for name, value in SMALL_WORLD.items() if name != "method"},
    "rule": "one threshold", "positives": 20, "val": 2500, "test": 2000, "beta": 0.0,
}
FOLDS, FEW = 5, 5
METRICS = ("of1", "cf1", "macro_f1")
TUNED = "tuned on the test scenes (never do this)"


class Split(NamedTuple):
    """What a rule may look at: logits, probabilities, targets and CLIP's cosines, each (N, L)."""

    logits: np.ndarray
    probs: np.ndarray
    targets: np.ndarray
    cosines: np.ndarray

    def at(self, rows: np.ndarray) -> Split:
        """The same of some scenes."""
        return Split(*(each[rows] for each in self))


Decide = Callable[[np.ndarray], np.ndarray]  # probabilities (N, L) -> yes or no
Rule = Callable[[Split], Decide]  # fitted on some scenes


def _above(limits: np.ndarray | float) -> Decide:
    return lambda probs: probs >= limits


def _calibrated_half(seen: Split) -> np.ndarray:
    """Platt scaling of each label; then a yes at half of the best F1 that the calibrated
    probabilities themselves expect (trap 19). As thresholds on the uncalibrated probabilities."""
    platt = fit_per_label_platt(seen.logits, seen.targets)
    honest = platt(seen.logits)
    half = np.array([expected_best_f1(column) / 2 for column in honest.T])
    logit = np.log(half / (1 - half))
    return 1 / (1 + np.exp(-(logit - platt.bias) / platt.scale))


def expected_best_f1(probs: np.ndarray) -> float:
    """The largest 2 E[TP] / (yes + E[positives]) over all cuts of honest probabilities (N,)."""
    ranked = np.sort(probs)[::-1]
    return float((2 * np.cumsum(ranked) / (np.arange(1, len(ranked) + 1) + ranked.sum())).max())


def _by_clip(seen: Split) -> np.ndarray:
    start = float(np.clip(global_threshold(seen.probs, seen.targets), 1e-6, 1 - 1e-6))
    return clip_adjusted(start, seen.cosines, seen.probs, seen.targets).values


def _own(seen: Split, least: int, shrinkage: float) -> Decide:
    return _above(per_label_thresholds(seen.probs, seen.targets, least, shrinkage).values)


RULES: dict[str, Rule] = {
    "one threshold": lambda seen: _above(global_threshold(seen.probs, seen.targets)),
    "0.5": lambda seen: _above(0.5),
    "three labels for each scene": lambda seen: lambda probs: top_k_decisions(probs, 3),
    "as many labels as there are": lambda seen: _above(by_cardinality(seen.probs, seen.targets)),
    "best F1 of each label": lambda seen: _own(seen, 1, 0.0),
    "best F1 of each label, or one threshold below 5 positives": lambda seen: _own(seen, FEW, 0.0),
    "best F1 of each label, shrunk": lambda seen: _own(seen, FEW, 5.0),
    "half of the best F1, calibrated": lambda seen: _above(_calibrated_half(seen)),
    "best OF1 of all combinations": lambda seen: _above(for_of1(seen.probs, seen.targets).values),
    "climbed for CF1": lambda seen: _above(for_cf1(seen.probs, seen.targets).values),
    "precision of 0.8 or more": lambda seen: _above(
        at_precision(seen.probs, seen.targets, 0.8).values),
    "adjusted by CLIP": lambda seen: _above(_by_clip(seen)),
    TUNED: lambda seen: _own(seen, 1, 0.0),
}


def run(config: Mapping[str, Any], seed: int, store: Path) -> RunResult:
    """Decide by a rule.

    Args:
        config: `RECIPE` with some values changed. "rule": one of `RULES`. "positives": of a label,
            as a mean over labels, in the scenes that thresholds are fitted on.
        seed: of the model, of which validation scenes are drawn, and of the folds.
        store: folder that runs share.

    Returns:
        decisions on the test scenes. In `extra`: "fitted_on", how many scenes chose;
        "labels_below_5", of how many labels those hold fewer positives; and OF1, CF1 and macro-F1
        as "fitted_of1" and so on (on the scenes that chose), "elsewhere_..." (on others: the test
        scenes, or the validation scenes if those of the test chose) and "crossed_..." (each of the
        scenes that chose by thresholds that were fitted without it; not if the test chose).

    Raises:
        ValueError: an unknown rule or setting, or fewer scenes than the positives need.
    """
    check_settings(config, RECIPE, rule=tuple(RULES))
    settings = {name: value for name, value in config.items() if name not in ("rule", "positives")}
    splits = _scored(json.dumps(settings, sort_keys=True), seed, store)
    pool, new = splits["val"], splits["test"]
    seen = pool.at(drawn_rows(pool.targets, config["positives"], seed))
    tuned, rule = config["rule"] == TUNED, RULES[config["rule"]]
    chose, others = (new, pool) if tuned else (seen, new)
    decide = rule(chose)
    told = {"fitted": decide(chose.probs), "elsewhere": decide(others.probs)}
    if not tuned:
        told["crossed"] = crossed(rule, chose, seed)
    extra: dict[str, Any] = {
        "fitted_on": len(chose.targets),
        "labels_below_5": int(((chose.targets > 0).sum(axis=0) < FEW).sum()),
    }
    for where, decided in told.items():
        scores = f1_of(decided, (others if where == "elsewhere" else chose).targets)
        extra |= {f"{where}_{name}": value for name, value in scores._asdict().items()}
    return RunResult(
        new.probs.astype(np.float32), decide(new.probs), new.targets, np.arange(len(new.targets)),
        extra=extra,
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


def crossed(rule: Rule, seen: Split, seed: int) -> np.ndarray:
    """Decisions (N, L), each scene's by a rule that was fitted without it: as `cross_fitted`, for
    rules that look at more than probabilities."""
    decided = np.zeros(seen.probs.shape, np.bool_)
    shuffled = np.random.default_rng([seed, FOLDS]).permutation(len(decided))
    for rows in np.array_split(shuffled, FOLDS):
        decided[rows] = rule(seen.at(np.setdiff1d(shuffled, rows)))(seen.probs[rows])
    return decided


@lru_cache(maxsize=1)  # the rules of a seed follow each other
def _scored(settings: str, seed: int, store: Path) -> dict[str, Split]:
    shop = workshop_of(json.loads(settings), seed, store)
    cosines = shop.zero_shot("global")
    return {
        split: Split(
            logits.numpy().astype(np.float64), torch.sigmoid(logits.double()).numpy(),
            shop.targets[split].numpy().astype(np.int8), cosines[split].numpy(),
        )
        for split, logits in (("val", shop.fused.val), ("test", shop.fused.test))
    }


def deciding_study(positives: int, hypotheses: Mapping[str, str]) -> Study:
    """All rules, fitted on scenes with so many positives of a label, against one threshold."""
    return Study(
        name=f"deciding_{positives:03d}",
        question=f"Which rule for thresholds holds on new scenes when a label has {positives} "
        "positives to choose by, and how much does each flatter itself?",
        run="hybridlab.studies.deciding:run",
        recipe={**RECIPE, "positives": positives},
        variants={rule: {} if rule == RECIPE["rule"] else {"rule": rule} for rule in RULES},
        reference=RECIPE["rule"],
        seeds=range(5),
        metrics=METRICS,
        hypotheses=hypotheses,
    )
