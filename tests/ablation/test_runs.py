"""Keys of runs, and what a run may give back."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from hybridlab.ablation.runs import METRICS, RunResult, RunSpec, canonical

GOOD = dict(
    scores=np.zeros((3, 2)), decisions=np.zeros((3, 2), bool),
    targets=np.array([[1, 0], [0, -1], [0, 1]]), ids=["a", "b", "c"],
)


def test_a_key_depends_on_all_of_a_run_and_on_nothing_else():
    spec = RunSpec("m:f", {"a": 1, "b": 0.1}, 0)
    assert RunSpec("m:f", {"b": 0.1, "a": 1}, 0).key == spec.key
    others = [
        RunSpec("m:g", {"a": 1, "b": 0.1}, 0), RunSpec("m:f", {"a": 1, "b": 0.1}, 1),
        RunSpec("m:f", {"a": 1, "b": 0.1000000000000001}, 0), RunSpec("m:f", {"a": 1}, 0),
    ]
    assert len({spec.key, *(other.key for other in others)}) == 5
    assert len(spec.key) == 16 and set(spec.key) <= set("0123456789abcdef")


def test_a_key_is_the_same_in_every_process():
    spec = RunSpec("m:f", {"rate": 1e-3, "name": "é", "list": [1, None, True]}, 7)
    code = (
        "from hybridlab.ablation.runs import RunSpec;"
        "print(RunSpec('m:f', {'list': [1, None, True], 'name': 'é', 'rate': 0.001}, 7).key)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == spec.key
    assert canonical({"b": 1e-3, "a": "é"}) == '{"a":"\\u00e9","b":0.001}'


def test_a_result_is_brought_into_its_types():
    result = RunResult(**GOOD, parameters=np.int64(3), seconds={"train": np.float64(1.5)})
    assert (result.scores.dtype, result.decisions.dtype) == (np.float32, np.bool_)
    assert (result.targets.dtype, result.ids.dtype.kind) == (np.int8, "U")
    assert result.parameters == 3 and result.seconds == {"train": 1.5}
    with_nan = RunResult(**{**GOOD, "scores": np.full((3, 2), np.nan)})  # recorded as a failure
    assert np.isnan(with_nan.scores).all()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scores": np.zeros(3)}, r"scores has shape \(3,\)"),
        ({"scores": np.zeros((0, 2))}, "at least one sample"),
        ({"scores": np.array([["a", "b"]] * 3)}, "expected numbers"),
        ({"decisions": np.zeros((2, 2), bool)}, r"decisions has shape \(2, 2\) but scores"),
        ({"decisions": np.full((3, 2), 0.3)}, "pass probs >= thresholds"),
        ({"targets": np.full((3, 2), 2)}, "multi-hot"),
        ({"ids": [1, 2]}, r"expected \(3,\)"),
        ({"ids": [1, 2, 2]}, "names 2 samples in 3 rows"),
        ({"ids": [1.0, 2.0, 3.0]}, "whole numbers"),
        ({"parameters": -1}, "parameters is -1"),
        ({"parameters": 1.5}, "parameters is 1.5"),
        ({"seconds": {"train": float("nan")}}, r"seconds\['train'\]"),
        ({"extra": {"x": object()}}, r"extra\['x'\] is a builtins.object"),
    ],
)
def test_what_is_no_result_is_told(changes, words):
    with pytest.raises(ValueError, match=words):
        RunResult(**{**GOOD, **changes})


def test_the_metrics_named_are_those_computed():
    from hybridlab.ablation.records import measure

    metrics, undefined = measure(RunResult(**GOOD))
    assert tuple(metrics) == METRICS and undefined == []
