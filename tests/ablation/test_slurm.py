"""submitit's local executor stands in for SLURM: killed jobs, preempted jobs, arrays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import wait

import pytest

from hybridlab.ablation.engine import run_study
from hybridlab.ablation.errors import MissingExtraError
from hybridlab.ablation.executors import LostJobError
from hybridlab.ablation.slurm import slurm_executor
from hybridlab.ablation.state import load_results

from .conftest import arrays_of, executions


@pytest.fixture
def pool(tmp_path):
    made = slurm_executor(None, tmp_path / "out", cpus=1, cluster="local", at_once=3)
    yield made
    made.shutdown(cancel_futures=True)


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGUSR2], ids=["killed", "preempted"])
def test_a_job_that_is_killed_or_preempted_costs_no_run_and_counts_none_twice(
    pool, write_study, tmp_path, sign
):
    study = write_study({"plain": {}, "less": {"level": 1}}, seeds=(0, 1), sleep=0.7)
    store, ended, events = tmp_path / "store", [], []

    def tell(event):
        events.append(event.kind)
        if event.kind != "submitted" or ended:
            return
        deadline = time.monotonic() + 30
        while not ended and time.monotonic() < deadline:
            for path in store.glob("*-*.*"):
                if path.read_text() == "begun":
                    ended.append((path.name, int(path.name.split(".")[1].split("-")[0])))
                    os.kill(ended[0][1], sign)
                    break
            time.sleep(0.02)

    state = run_study(study, tmp_path / "out", pool, on_event=tell, store=store)
    assert state.complete and len(ended) == 1
    assert events.count("done") == 4
    # a preempted job queues itself again; one that was killed is sent again
    assert events.count("retried") == (1 if sign == signal.SIGKILL else 0)
    assert len(list((tmp_path / "out" / "runs").iterdir())) == 4
    times = executions(store)
    assert sorted(times.values()) == [1, 1, 1, 2] and times[ended[0][0].split(".")[0]] == 2
    assert load_results(tmp_path / "out")[0].manifest()["worker"] == "submitit"
    run_study(study, tmp_path / "alone", workers=1, store=tmp_path / "store 2")
    assert arrays_of(tmp_path / "out") == arrays_of(tmp_path / "alone")


def test_futures_hold_results_errors_and_losses_and_can_be_cancelled(tmp_path):
    pool = slurm_executor(None, tmp_path, cpus=1, cluster="local")
    try:
        calls = [(int, "7"), (int, "x"), (os._exit, 3), (time.sleep, 60)]
        futures = [pool.submit(fn, argument) for fn, argument in calls]
        wait(futures[:3], timeout=60)
        assert futures[0].result(0) == 7
        assert "invalid literal" in str(futures[1].exception(0))
        assert isinstance(futures[2].exception(0), LostJobError)
        assert futures[3].cancel()
        assert wait([futures[3]], timeout=10).not_done == set()
    finally:
        pool.shutdown(cancel_futures=True)
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(int, "1")


def test_runs_go_to_slurm_as_one_array_with_their_threads(tmp_path, monkeypatch):
    # commands of SLURM that only note how they were called; no job ever ends
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, text in {
        "sbatch": 'cat "$1" > "$NOTES"; echo Submitted batch job 77',
        "srun": "exit 0",
        "sacct": "echo 'JobID|State|NodeList'; echo '77_0|RUNNING|n'; echo '77_1|RUNNING|n'",
        "scancel": 'echo "cancel $@" >> "$NOTES"',
    }.items():
        (commands / name).write_text(f"#!/bin/sh\n{text}\n")
        (commands / name).chmod(0o755)
    notes = tmp_path / "notes"
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("NOTES", str(notes))
    pool = slurm_executor("gpu", tmp_path / "study", cpus=3, timeout_min=30, mem_gb=8)
    try:
        futures = [pool.submit(int, text) for text in "12"]
        deadline = time.monotonic() + 20
        while not (notes.exists() and "srun" in notes.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.5)
        assert not any(future.done() for future in futures)
    finally:
        pool.shutdown(cancel_futures=True)
    text = notes.read_text()
    for part in ("--array=0-1", "--partition=gpu", "--cpus-per-task=3", "--time=30", "--mem=8GB",
                 "export OMP_NUM_THREADS=3", "--signal=USR2@", "cancel 77_0", "cancel 77_1"):
        assert part in text, text
    assert pool.capacity is None and pool.threads == 3


def test_no_slurm_and_no_submitit_are_told(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"cannot use the cluster 'slurm'.*`sbatch` works"):
        slurm_executor("gpu", tmp_path)
    with pytest.raises(ValueError, match="colour"):
        slurm_executor(None, tmp_path, cluster="local", colour="red")
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(MissingExtraError, match=r"install the extra: .*hybridlab\[slurm\]"):
        slurm_executor("gpu", tmp_path)


def test_the_engine_imports_no_cluster_package_by_itself():
    code = (
        "import sys; import hybridlab.ablation.engine, hybridlab.ablation.dask, "
        "hybridlab.ablation.slurm, hybridlab.ablation.command;"
        "print([n for n in ('torch', 'distributed', 'submitit', 'sklearn') if n in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
