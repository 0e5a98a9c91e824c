"""Check of lesson 06's freezing (6.1, trap 15)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hybridlab.grading import verdict as kinds
from hybridlab.grading.comparing import Wrong
from hybridlab.grading.trial import Trial

Modules = list[dict[str, Any]]
Found = dict[str, list[str]]

_NAME = "what_learns"
_KEYS = ("gradients", "training")
_NORMS = ("BatchNorm1d", "BatchNorm2d")
_WHAT = {"gradients": "the parameters that need gradients", "training": "the modules in training "
         "mode"}
_CRASHES = {
    "KeyError": "A module is a dictionary with the keys 'name', 'kind' and 'parameters'.",
    "AttributeError": "A module is a dictionary here: module['name'], not module.name.",
}
_EXAMPLE: Modules = [
    {"name": "body.0", "kind": "Linear", "parameters": ["body.0.weight", "body.0.bias"]},
    {"name": "body.1", "kind": "BatchNorm1d", "parameters": ["body.1.weight", "body.1.bias"]},
    {"name": "head", "kind": "Linear", "parameters": ["head.weight", "head.bias"]},
]


def check_what_learns(trial: Trial) -> None:
    """Any parts; norms that learn but do not measure; names that begin alike; all and nothing."""
    with trial.part("the worked example", _CRASHES):
        _judged(trial, _EXAMPLE, ["head"], "the example")
    with trial.part("any model", _CRASHES):
        modules = _model(trial.rng)
        for learning in (["head"], ["body.2", "head"], ["body"]):
            _judged(trial, modules, learning, f"a model of which {_listed(learning)} learns")
        order = [modules[at] for at in trial.rng.permutation(len(modules))]
        _judged(trial, order, ["body"], "the same model, its modules in another order")
    with trial.part("norms keep their statistics", _CRASHES):
        modules = _model(trial.rng)
        norm = next(each["name"] for each in modules if each["kind"] in _NORMS)
        _judged(trial, modules, [norm], "a model of which one norm learns")
        for kind in ("LayerNorm", "GroupNorm"):
            other = [{"name": "norm", "kind": kind, "parameters": ["norm.weight"]}]
            _judged(trial, other, ["norm"], f"a {kind}, which has no statistics")
    with trial.part("names that begin alike", _CRASHES):
        modules = [{"name": name, "kind": "Linear", "parameters": [f"{name}.weight"]}
                   for name in ("head", "head.1", "header.0", "the.head", "head2")]
        _judged(trial, modules, ["head"], "modules whose names begin alike")
        _judged(trial, modules, ["head.1"], "the same, a part of a part learning")
    with trial.part("all and nothing", _CRASHES):
        modules = _model(trial.rng)
        _judged(trial, modules, [""], 'a model of which "" learns')
        _judged(trial, modules, [], "a model of which nothing learns")
        _judged(trial, [], ["head"], "a model without modules")


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names)


def _model(rng: np.random.Generator) -> Modules:
    """A body of linear layers, norms and dropout in some order, and a head of two layers."""
    kinds_of = ["Linear", str(rng.choice(_NORMS)), "Linear", "Dropout", "LayerNorm"]
    modules: Modules = []
    for at in rng.permutation(len(kinds_of)):
        kind, name = kinds_of[at], f"body.{len(modules)}"
        has = [] if kind == "Dropout" else [f"{name}.weight", f"{name}.bias"]
        modules.append({"name": name, "kind": kind, "parameters": has})
    for at, kind in enumerate(("Dropout", "Linear")):
        has = [f"head.{at}.weight", f"head.{at}.bias"] if kind == "Linear" else []
        modules.append({"name": f"head.{at}", "kind": kind, "parameters": has})
    return modules


def _learns(name: str, learning: Sequence[str]) -> bool:
    return any(part in ("", name) or name.startswith(part + ".") for part in learning)


def _answer(
    modules: Modules, learning: Sequence[str],
    learns: Callable[[str, Sequence[str]], bool] = _learns,
    norms: Sequence[str] = _NORMS, norms_learn: bool = True,
) -> Found:
    found: Found = {key: [] for key in _KEYS}
    for module in modules:
        if not learns(module["name"], learning):
            continue
        if norms_learn or module["kind"] not in _NORMS:
            found["gradients"] += module["parameters"]
        if module["kind"] not in norms:
            found["training"].append(module["name"])
    return found


def _wrongly(modules: Modules, learning: Sequence[str]) -> list[tuple[str, Found]]:
    every = [(
        "The part \"\" names everything.",
        _answer(modules, learning,
                lambda name, parts: _learns(name, [part for part in parts if part])),
    ), (
        "Your BatchNorms are in training mode: every batch moves the statistics that pretraining "
        "measured, and all layers above see other numbers.", _answer(modules, learning, norms=()),
    ), (
        "You left out the scale and shift of BatchNorms that learn; only their statistics rest.",
        _answer(modules, learning, norms_learn=False),
    ), (
        "All norms rest in your result. LayerNorm and GroupNorm have no statistics; the kinds that "
        "rest are BatchNorm1d and BatchNorm2d.",
        _answer(modules, learning, norms=(*_NORMS, "LayerNorm", "GroupNorm")),
    ), (
        "A name that merely begins alike learns in your result: compare up to a dot, "
        "name.startswith(part + \".\").",
        _answer(modules, learning,
                lambda name, parts: any(name.startswith(part) for part in parts)),
    ), (
        "A name that holds the part somewhere learns in your result; it must be the beginning, up "
        "to a dot.",
        _answer(modules, learning, lambda name, parts: any(part in name for part in parts)),
    ), (
        "Only modules with exactly the name of a part learn in your result; what is within them "
        "learns, too.",
        _answer(modules, learning, lambda name, parts: name in parts or "" in parts),
    ), (
        "You have it the other way round: those parts rest, and all else learns.",
        _answer(modules, learning, lambda name, parts: not _learns(name, parts)),
    )]
    right = _answer(modules, learning)
    return [(words, value) for words, value in every if value != right]


def _judged(trial: Trial, modules: Modules, learning: list[str], what: str) -> None:
    got = trial.call(_NAME, modules, learning)
    if not isinstance(got, dict) or set(got) != set(_KEYS):
        has = f"a dictionary with {sorted(map(str, got))}" if isinstance(got, dict) else repr(got)
        raise Wrong(kinds.WRONG_FORM, f"got {has:.200}, expected a dictionary with the keys "
                    "'gradients' and 'training'", 'Begin with {"gradients": [], "training": []}.')
    right = _answer(modules, learning)
    for key in _KEYS:
        names = list(got[key]) if isinstance(got[key], list | tuple) else None
        if names is None or not all(isinstance(each, str) for each in names):
            raise Wrong(kinds.WRONG_FORM, f"{key!r} is {got[key]!r:.120}, expected a list of names")
        got[key] = names
    if dict(got) == right:
        return
    advice = next((words for words, value in _wrongly(modules, learning) if dict(got) == value), "")
    for key in _KEYS:
        if got[key] == right[key]:
            continue
        more = [each for each in got[key] if each not in right[key]]
        fewer = [each for each in right[key] if each not in got[key]]
        told = "; ".join(
            words for words, some in ((f"{', '.join(more)} should not be there", more),
                                      (f"{', '.join(fewer)} should", fewer)) if some
        ) or "the names are right, but not their order, or some stand there twice"
        raise Wrong(kinds.WRONG_VALUE, f"{_WHAT[key]} of {what}: {told}", advice)
