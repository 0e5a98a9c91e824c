"""What label dependency adds to the opinions of good heads: one run of the studies `evidence_*`.

A decoder that reads the CNN's map differs from independent heads in two ways: it writes labels one
by one, and it looks otherwise. Here it reads nothing but the heads' opinions of the image, the L
logits, so that what it gains on them is label dependency. Beside it stands the plainest way to use
the same: a small network from all L opinions to all L labels at once ("stacked").

Opinions of the training scenes are cross-fitted in two folds (trap 6): each comes from heads that
were fitted without the scene.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hybridlab.ablation.runs import RunResult
from hybridlab.ablation.study import Study
from hybridlab.evaluation.thresholds import global_threshold
from hybridlab.studies.decoding import AMONG, BEST_ORDER, DECISIONS, METRICS, _heads, _only, _Scenes
from hybridlab.studies.decoding import RECIPE as DECODING
from hybridlab.training.decoding import decode_all, fit_decoder
from hybridlab.training.features import Tensors, cached
from hybridlab.training.held import Held
from hybridlab.training.independent_heads import fit_heads, head_probs

METHODS = ("heads", "stacked", "decoder")
# Greedy decoding and max over steps are all that is asked of a decoder here.
_OF_SEARCH = ("beams", "length_power", "marginal")
RECIPE: dict[str, Any] = {
    **{name: value for name, value in DECODING.items() if name not in _OF_SEARCH},
    "method": "decoder", "look": "mean", "layers": 1, "read": "linear",
    "epochs": 30, "folds": 2, **BEST_ORDER,
}


def run(config: Mapping[str, Any], seed: int, store: Path) -> RunResult:
    """Train and test one method on the heads' opinions.

    Args:
        config: `RECIPE` with some values changed; "decisions" and "among" as in `decoding`.
        seed: of the weights, the batches and the folds.
        store: folder for features and trained parts.

    Raises:
        ValueError: an unknown setting or value, or fewer than two folds.
    """
    if strange := set(config) ^ set(RECIPE):
        raise ValueError(f"unknown or missing settings {sorted(strange)}; see RECIPE")
    if config["method"] not in METHODS or config["folds"] < 2:
        raise ValueError(
            f"method is {config['method']!r} and folds {config['folds']}; choose one of "
            f"{', '.join(METHODS)} and 2 folds or more"
        )
    for name, known in (("decisions", DECISIONS), ("among", AMONG)):
        if config[name] not in known:
            raise ValueError(f"{name} is {config[name]!r}; choose one of {', '.join(known)}")
    shop = _Scenes({name: config.get(name, value) for name, value in DECODING.items()}, store)
    targets = shop.targets("test")
    val, test = _heads(shop, seed)
    decisions = None
    if config["method"] != "heads":
        opinions = {"train": _cross_fitted(shop, seed, config["folds"]),
                    "val": _tokens(val), "test": _tokens(test)}
        val, test, decisions = _second(shop, config["method"], opinions, seed)
    if decisions is None or config["decisions"] == "threshold":
        decisions = test >= global_threshold(val, shop.targets("val"))
    judged = _only(config["among"], targets, shop)
    return RunResult(
        test.astype(np.float32), decisions, judged.astype(np.int8), np.arange(len(targets)),
        extra={"labels": float(decisions.sum(axis=1).mean())},
    )


def _tokens(probs: np.ndarray) -> Tensor:
    """Opinions (N, L) as tokens (N, 1, L): log-odds, which a linear layer reads well."""
    return torch.logit(torch.from_numpy(probs).clamp(1e-6, 1 - 1e-6))[:, None]


def _cross_fitted(shop: _Scenes, seed: int, folds: int) -> Tensor:
    """Opinions of the training scenes (N, 1, L), each from heads that have not seen the scene."""
    recipe = shop.head_recipe("look")

    def compute() -> Tensors:
        tokens, targets = shop.tokens("train"), torch.from_numpy(shop.targets("train"))
        held = Held((shop.tokens("val"),), torch.from_numpy(shop.targets("val")))
        order = torch.randperm(len(tokens), generator=torch.Generator().manual_seed(seed))
        probs = torch.empty_like(targets)
        for unseen in order.tensor_split(folds):
            seen = torch.ones(len(tokens), dtype=torch.bool)
            seen[unseen] = False
            head = fit_heads(tokens[seen], targets[seen], held, recipe, seed, "look")
            probs[unseen] = head_probs(head, tokens[unseen])
        return {"probs": probs}

    kept = cached(shop.store, shop.key("opinions", seed, folds, repr(recipe)), compute)
    return _tokens(kept["probs"].numpy())


def _second(
    shop: _Scenes, method: str, opinions: Mapping[str, Tensor], seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Probabilities on "val" and "test" of what reads the opinions, and a decoder's own sets."""
    held = Held((opinions["val"],), torch.from_numpy(shop.targets("val")))
    targets = torch.from_numpy(shop.targets("train"))
    if method == "stacked":
        head = fit_heads(opinions["train"], targets, held, shop.recipe, seed, "mean")
        return (head_probs(head, opinions["val"]).numpy(),
                head_probs(head, opinions["test"]).numpy(), None)
    decoder = fit_decoder(opinions["train"], targets, held, shop.recipe, seed)
    said = {split: decode_all(decoder, opinions[split]) for split in ("val", "test")}
    return said["val"].probs.numpy(), said["test"].probs.numpy(), said["test"].chosen.numpy()


def evidence_study(
    dial: float, hypotheses: Mapping[str, str], regime: str = "", **changes: Any
) -> Study:
    """The study at one co-occurrence; of a regime, with some settings changed for all."""
    return Study(
        name=f"evidence_{regime or f'{round(100 * dial):03d}'}",
        question="What does label dependency add to the opinions of good heads, at a "
        f"co-occurrence of {dial:g}{f' ({regime})' if regime else ''}?",
        run="hybridlab.studies.evidence:run",
        recipe={**RECIPE, "cooccurrence": dial, **changes},
        variants={
            "independent heads": {"method": "heads"},
            "stacked heads": {"method": "stacked"},
            "decoder on opinions, its own sets": {},
            "decoder on opinions, one threshold": {"decisions": "threshold"},
        },
        reference="independent heads",
        seeds=range(5),
        metrics=METRICS,
        hypotheses=hypotheses,
    )
