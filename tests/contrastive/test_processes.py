"""Two gloo processes, each with a part of the batch, against one process with all of it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from hybridlab.contrastive.processes import gather_keys, gather_with_gradients

from . import two_processes
from .two_processes import CASES, run


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """What each of two processes found; started once for all tests."""
    folder = tmp_path_factory.mktemp("two")
    # loopback: gloo otherwise looks this machine's name up, which not every machine can
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    if sys.platform == "darwin":
        environment["GLOO_SOCKET_IFNAME"] = "lo0"
    started = [
        subprocess.Popen(
            [sys.executable, two_processes.__file__, str(rank), str(folder / "store"),
             str(folder / f"{rank}.pt")],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for rank in range(2)
    ]
    try:
        told = [process.communicate(timeout=240)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0, 0], "\n".join(told)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


EXACT = [name for name, case in CASES.items() if case.gather == "gradients"]


@pytest.mark.parametrize("name", EXACT)
def test_two_processes_equal_one(pair, name):
    alone = run(CASES[name])
    limit = 1e-6 if CASES[name].dtype == torch.float32 else 1e-12
    assert set(alone) == set(pair[0]["cases"][name])
    for rank in range(2):
        for key, expected in alone.items():
            found = pair[rank]["cases"][name][key]
            torch.testing.assert_close(found, expected, atol=limit, rtol=limit)
    if "no rows at all" not in name:
        assert all(float(value.abs().max()) > 1e-4 for value in alone.values())


def test_gathering_without_gradients_divides_the_encoders_gradients_by_the_processes(pair):
    alone, both = run(CASES["clip"]), [each["cases"]["without gradients"] for each in pair]
    for found in both:
        torch.testing.assert_close(found["loss"], alone["loss"])  # nothing to be seen in the loss
        torch.testing.assert_close(found["numbers.log_scale"], alone["numbers.log_scale"])
        for tower in ("image", "text"):
            for name in (f"{tower}.weight", f"{tower}.bias"):
                torch.testing.assert_close(2 * found[name], alone[name])


def test_a_gathered_row_hears_from_every_process(pair):
    assert pair[0]["gather"].tolist() == [3.0, 30.0]
    assert pair[1]["gather"].tolist() == [300.0]


def test_keys_come_in_the_order_of_the_rows(pair):
    for found in pair:
        assert found["keys"] == ["key 0", ("a", 0), "key 1", ("a", 1)]


def test_what_one_process_refuses_stops_both(pair):
    first, second = (each["refused"] for each in pair)
    for name, word in (("nan", "image_emb holds NaN"), ("nan, siglip", "text_emb holds NaN"),
                       ("mask", r"expected bool (4, 4)"), ("type", "image_emb is a ndarray"),
                       ("whole numbers", "expected floating point")):
        assert "process 1 of 2 refuses its input" in first[name]
        assert word in second[name]
    for found in (first, second):
        assert "3 x 4, 1 x 4" in found["width"]
        assert "3 x 4, 4 x 4" in found["rows"]


def test_without_a_group_they_do_what_they_do_for_one():
    rows = torch.ones(2, 3, requires_grad=True)
    assert gather_with_gradients(rows) is rows
    assert gather_keys(("a", "b")) == ["a", "b"]
    for bad in (torch.tensor(1.0), torch.ones(2, dtype=torch.int64)):
        with pytest.raises(ValueError, match="floating point with rows"):
            gather_with_gradients(bad)
