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

    for name in command.NAMES:
        assert callable(import_module(f"benchmarks.{name}").measure)
