"""The benchmark's arithmetic and its command line (never its figures)."""

from __future__ import annotations

import json
import time

import pytest

from benchmarks import __main__ as command
from benchmarks.timing import compare


def test_a_ratio_is_the_others_time_over_ours():
    out = compare(
        "sleep", lambda: time.sleep(0.01), lambda: time.sleep(0.04), {"n": 1}, ("numpy",), rounds=3
    )
    assert 2 < out["ratio"] <= 4.5
    assert out["ours_s"] < out["other_s"] and out["sizes"] == {"n": 1} and out["versions"]["numpy"]
    assert json.loads(json.dumps(out))["name"] == "sleep"


@pytest.mark.parametrize("arguments", [[], ["nothing"]])
def test_a_name_that_is_not_there_lists_those_that_are(arguments, capsys):
    assert command.main(arguments) == 2
    assert "scenes_vs_encoder" in capsys.readouterr().err


def test_every_name_is_a_file_with_a_measure():
    from importlib import import_module

    for name in command.NAMES + command.GPU_NAMES:
        assert callable(import_module(f"benchmarks.{name}").measure)


def test_a_gpu_that_is_not_here_is_told(capsys, monkeypatch):
    monkeypatch.setattr(command, "_gpu", lambda: False)
    assert command.main(["gpu_models"]) == 2
    assert "gpu_models: needs a GPU" in capsys.readouterr().err


def test_what_a_gpu_is_asked_runs_on_a_cpu_too():
    from benchmarks import gpu_hybrid, gpu_models

    found = gpu_models.measure(
        "cpu", {"efficientnet_lite0": "tf_efficientnet_lite0"}, side=64, batch=4, steps=2, rounds=1)
    assert set(found["each"]) == {"efficientnet_lite0 training", "efficientnet_lite0 inference"}
    assert found["ratio"] == min(found["each"].values()) > 0
    assert found["sizes"]["device"] == "cpu"
    found = gpu_hybrid.measure("cpu", (8,), steps=1, rounds=1)
    assert found["ratio"] > 0 and found["images_per_second"]["8"] > 0


def test_the_page_tells_goals_and_gpus():
    from benchmarks.page import page_of

    one = {"name": "loop_overhead", "ratio": 0.98, "ours_s": 1.0, "other_s": 0.98,
           "sizes": {"b": 2}, "versions": {"torch": "2"}}
    page = page_of({"loop_overhead": one})
    assert "| 0.98 | 0.971, met | 0.98 / 1 | b 2 |" in page and "Not recorded yet" in page
    assert "**not met**" in page_of({"loop_overhead": {**one, "ratio": 0.9}})
    gpu = {**one, "sizes": {"device": "a card"}}
    page = page_of({"gpu_models": {**gpu, "each": {"resnet50 training": 1.1}},
                    "gpu_hybrid": {**gpu, "images_per_second": {"64": 900.0}}})
    assert "## On a GPU (a card)" in page and "| resnet50 training | 1.1 |" in page
    assert "900 at a batch of 64" in page and "Not recorded" not in page
