"""Definitions of studies: what makes one, and the words for what does not."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from hybridlab.ablation.runs import RunSpec
from hybridlab.ablation.study import Study

RUN = "some.module:run"


def study(**changes):
    given = dict(
        name="fusion-1", question="Which?", run=RUN, recipe={"lr": 0.001, "fusion": "concat"},
        variants={"plain": {}, "gate": {"fusion": "gate"}}, seeds=(0, 1), reference="plain",
    )
    return Study(**{**given, **changes})


def test_a_variant_overrides_the_recipe_and_every_seed_is_run():
    runs = study().runs()
    assert [(run.variant, run.seed) for run in runs] == [
        ("plain", 0), ("gate", 0), ("plain", 1), ("gate", 1),
    ]
    assert runs[1].spec == RunSpec(RUN, {"lr": 0.001, "fusion": "gate"}, 0)
    assert len({run.key for run in runs}) == 4
    with pytest.raises(FrozenInstanceError):
        study().name = "other"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"variants": {"plain": {}, "x": {"fusoin": "gate"}}}, "'fusoin'.*did you mean 'fusion'"),
        ({"reference": "plan"}, "'plan', which is no variant .did you mean 'plain'"),
        ({"seeds": ()}, "seeds is empty"),
        ({"seeds": (0, 1, 0)}, "0 twice"),
        ({"seeds": (0, 1.5)}, "holds 1.5"),
        ({"seeds": (True,)}, "holds True"),
        ({"variants": {"plain": {}, "same": {"lr": 0.001}}}, "'plain' and 'same' have the same"),
        ({"variants": {}}, "variants is empty"),
        ({"variants": {"plain": {}, " ": {"lr": 1}}}, "named ' '"),
        ({"recipe": {"lr": np.float64(1.0), "fusion": ""}}, r"recipe\['lr'\] is a numpy.float64"),
        ({"recipe": {"lr": math.inf, "fusion": ""}}, r"recipe\['lr'\] is inf"),
        ({"recipe": {"lr": {1: 2}, "fusion": ""}}, "the key 1"),
        ({"name": "../up"}, "name is '../up'"),
        ({"name": ""}, "name is ''"),
        ({"name": "a" * 81}, "1 to 80"),
        ({"question": " "}, "question is empty"),
        ({"metrics": ("map",)}, "metric is 'map'; choose one of mean_ap, cp"),
        ({"metrics": ("mean_ap", "cf1@0")}, "'cf1@0', where K is '0'"),
        ({"metrics": ()}, "metrics is empty"),
        ({"hypotheses": {"gat": "Better."}}, "'gat', which is no variant .did you mean 'gate'"),
        ({"run": "no colon"}, "package.module:function"),
        ({"run": lambda config, seed, store: None}, "no name that workers could import"),
    ],
)
def test_what_does_not_make_a_study_is_told(changes, words):
    with pytest.raises(ValueError, match=words):
        study(**changes)


def test_a_factorial_has_every_combination_by_a_readable_name():
    made = Study.factorial(
        "grid", "Which?", RUN, {"lr": 0.01, "fusion": "concat", "mask": True},
        {"fusion": ["concat", "gate"], "lr": [0.001, 0.01]}, seeds=range(3),
    )
    assert list(made.variants) == [
        "fusion=concat, lr=0.001", "fusion=concat, lr=0.01",
        "fusion=gate, lr=0.001", "fusion=gate, lr=0.01",
    ]
    assert made.reference == "fusion=concat, lr=0.01"  # the recipe's own values
    assert made.factors == {"fusion": ["concat", "gate"], "lr": [0.001, 0.01]}
    assert made.config("fusion=gate, lr=0.001") == {"lr": 0.001, "fusion": "gate", "mask": True}
    assert len(made.runs()) == 12
    masked = Study.factorial("grid", "Which?", RUN, {"mask": None}, {"mask": [True, None]}, [0],
                             reference={"mask": True})
    assert list(masked.variants) == ["mask=true", "mask=null"] and masked.reference == "mask=true"


@pytest.mark.parametrize(
    ("factors", "reference", "words"),
    [
        ({}, None, "factors is empty"),
        ({"lr": []}, None, "give levels"),
        ({"lr": [1, 1]}, None, "each once"),
        ({"lr": [1, "1"]}, None, "each once"),
        ({"rate": [1, 2]}, None, "'rate', which is not in the recipe"),
        ({"lr": [1, 2]}, {"fusion": "x"}, "'fusion', which is no factor"),
        ({"lr": [1, 2]}, {"lr": 3}, "'lr=3', which is no variant"),
    ],
)
def test_wrong_factors_are_told(factors, reference, words):
    with pytest.raises(ValueError, match=words):
        Study.factorial("grid", "Which?", RUN, {"lr": 1}, factors, [0], reference)


def test_a_definition_survives_json_and_back():
    made = study(hypotheses={"gate": "Better."}, metrics=("map@3", "cf1@3:logit>=0"),
                 recipe={"lr": 0.1, "fusion": "x", "sizes": (1, 2)})
    assert made.recipe["sizes"] == [1, 2]
    again = Study(**made.definition())
    assert again == made and [r.key for r in again.runs()] == [r.key for r in made.runs()]
