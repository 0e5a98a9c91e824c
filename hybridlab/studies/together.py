"""Generalised zero-shot: trained heads for the labels seen, words for the others, all candidates.

    hybridlab reproduce 04

Heads are trained on scenes from which every annotation of the 16 held-out labels is removed: the
first meaning of "never trained". Whether CLIP was shown the 16 in its pretraining, the second
meaning, is the other factor. Each image gets its three best labels of all 80, so the groups
compete; OF1 is then measured on the 16 here and on the other 64 in `together_others`.

Logits of heads and cosines of words are put on one scale by Platt's method, fitted on validation
scenes and seen labels only. "Calibrated" is calibrated stacking (Chao et al. 2016, arXiv
1605.04253): a constant comes off the seen labels, chosen on validation scenes by labels that play
the unseen ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hybridlab.ablation.findings import Analysis
from hybridlab.ablation.runs import RunResult
from hybridlab.ablation.study import Study
from hybridlab.data.scenes import SPLITS, SceneDataset, label_matrix
from hybridlab.data.world import SceneConfig
from hybridlab.evaluation.inputs import Floats
from hybridlab.evaluation.top_k import top_k_decisions
from hybridlab.studies.checkpoints import ALL, WITHOUT, clip_of
from hybridlab.studies.checkpoints import RECIPE as CHECKPOINTS
from hybridlab.studies.heads import head_logits
from hybridlab.studies.unseen import LABELS, SCORES, SPLIT, features_of, texts_of
from hybridlab.zeroshot.platt import fit_global_platt
from hybridlab.zeroshot.splits import (
    LabelSplit,
    harmonic_mean,
    lower_seen,
    seen_unseen_decisions,
)

WORDS, BOTH, STACKED = "words alone", "head and words", "head and words (calibrated)"
ANNOTATED = "head on all annotations"  # what the 16 would reach if they had been annotated
METHODS = (WORDS, BOTH, STACKED, ANNOTATED)
TOP = 3
STEPS = np.arange(-2.0, 8.01, 0.25)  # constants that are tried, in logits
TURNS = 4  # times that a quarter of the seen labels plays the unseen ones
RECIPE: dict[str, Any] = {
    **CHECKPOINTS, "method": BOTH, "labels": "unseen", "world_seed": 0, "train": 2000, "val": 600,
    "test": 1000, "linear_epochs": 60,
}


def run(config: Mapping[str, Any], seed: int, store: Path) -> RunResult:
    """Train the heads, join them with the words, and decide for three labels of each image.

    Raises:
        ValueError: an unknown method, group of labels or checkpoint.
    """
    for name, known in (("method", METHODS), ("labels", LABELS)):
        if config[name] not in known:
            raise ValueError(f"{name} is {config[name]!r}; choose one of {', '.join(known)}")
    clip, seconds = clip_of(config, seed, store)
    world = SceneConfig(seed=config["world_seed"])
    data = {split: SceneDataset(config[split], split, world) for split in SPLITS}
    truth = {split: label_matrix(each) for split, each in data.items()}
    text_emb = texts_of(clip)
    words = {
        split: SCORES["best patch"](features_of(clip, data[split], store), text_emb).numpy()
        for split in ("val", "test")
    }
    hidden = () if config["method"] == ANNOTATED else SPLIT.unseen
    head = head_logits(clip, data, hidden, seed, config["linear_epochs"], store)
    seen = list(SPLIT.seen)
    for each in (words, head):
        # the truth of the unseen labels is not looked at
        platt = fit_global_platt(each["val"][:, seen], truth["val"][:, seen])
        for split in each:
            each[split] = platt.logits(each[split])
    scores, by = _judged(config["method"], words, head, truth["val"])
    decisions = top_k_decisions(scores, TOP)
    found = seen_unseen_decisions(decisions, truth["test"], SPLIT, "of1")
    columns = list(LABELS[config["labels"]])
    return RunResult(
        scores[:, columns].astype(np.float32), decisions[:, columns],
        truth["test"][:, columns].astype(np.int8), np.arange(len(scores)),
        seconds={"pretraining": seconds},
        extra={"taken_off": by, "of1_seen": found.seen, "of1_unseen": found.unseen,
               "of1_harmonic": found.harmonic},
    )


def _judged(
    method: str, words: Mapping[str, Floats], head: Mapping[str, Floats], val_truth: np.ndarray
) -> tuple[Floats, float]:
    """Scores of the test scenes (N, L), and what was taken off the seen labels."""
    if method == WORDS:
        return words["test"], 0.0
    if method == ANNOTATED:
        return head["test"], 0.0
    joined = stacked(head["test"], words["test"], SPLIT)
    if method == BOTH:
        return joined, 0.0
    seen = list(SPLIT.seen)
    by = choose_by(head["val"][:, seen], words["val"][:, seen], val_truth[:, seen])
    return lower_seen(joined, SPLIT, by), by


def stacked(head: Floats, words: Floats, split: LabelSplit) -> Floats:
    """The head's score for labels seen, the words' for the others; (N, L) each."""
    joined = words.copy()
    joined[:, list(split.seen)] = head[:, list(split.seen)]
    return joined


def choose_by(head: Floats, words: Floats, truth: np.ndarray) -> float:
    """What to take off the seen labels, by the mean harmonic OF1 over labels that play unseen ones.

    A quarter of the seen labels is scored by words as if it were unseen, each quarter in turn. A
    head of one label does not depend on the others, so nothing is trained anew. CLIP was shown all
    of them: where it was not shown the truly unseen ones, this takes off too little or too much.

    Shape:
        head, words, truth (N, L): seen labels only
    """
    labels = range(truth.shape[1])
    splits = [
        LabelSplit(tuple(at for at in labels if at % TURNS != turn), tuple(labels[turn::TURNS]))
        for turn in range(TURNS)
    ]
    joined = [stacked(head, words, split) for split in splits]

    def score(by: float) -> float:
        return float(np.mean([
            seen_unseen_decisions(
                top_k_decisions(lower_seen(scores, split, by), TOP), truth, split
            ).harmonic
            for scores, split in zip(joined, splits, strict=True)
        ]))

    return float(max(STEPS, key=score))  # of equals the first


def harmonic_means(unseen: Analysis, others: Analysis) -> dict[str, tuple[float, ...]]:
    """Variant -> the harmonic mean of its metric on both groups of labels, for each seed.

    Args:
        unseen, others: of the studies `together` and `together_others`, by one metric.

    Raises:
        ValueError: two metrics, or seeds that differ.
    """
    if unseen.metric != others.metric:
        raise ValueError(f"the analyses are of {unseen.metric} and {others.metric}; give one twice")
    found = {}
    for row in unseen.rows:
        other = others.row(row.name)
        if row.seeds != other.seeds:
            raise ValueError(
                f"{row.name!r} has seeds {row.seeds} and {other.seeds}; run both studies to the end"
            )
        found[row.name] = tuple(map(harmonic_mean, other.values, row.values))
    return found


def together_study(
    name: str, question: str, labels: str, hypotheses: Mapping[str, str]
) -> Study:
    """All methods on both kinds of checkpoint, measured on one group of labels."""
    return Study.factorial(
        name=name,
        question=question,
        run="hybridlab.studies.together:run",
        recipe={**RECIPE, "labels": labels},
        factors={"method": list(METHODS), "pretrained": [ALL, WITHOUT]},
        seeds=range(5),
        metrics=("of1", "mean_ap"),
        hypotheses=hypotheses,
    )


def variant(method: str, pretrained: str) -> str:
    """The name of a variant."""
    return f"method={method}, pretrained={pretrained}"


# Written before the first run.
STUDY = together_study(
    "together",
    "Do words find labels without annotations where trained heads compete with them?",
    "unseen",
    {
        variant(WORDS, ALL): "Better than with heads: words compete with words only.",
        variant(STACKED, ALL): "Better: without the constant, heads take the three places.",
        variant(ANNOTATED, ALL): "Better by far: annotations are worth more than words.",
        variant(BOTH, WITHOUT): "Near 0: words that were never read find nothing.",
        variant(STACKED, WITHOUT): "No better than 5 points: a constant cannot mend a ranking.",
        variant(ANNOTATED, WITHOUT): "As good as with all emoji: features need no words.",
    },
)
