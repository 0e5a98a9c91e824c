"""A Dask cluster of worker processes, one of them killed in the middle of a run."""

from __future__ import annotations

import os
import signal
import sys
from itertools import pairwise

import pytest
from distributed import Client, LocalCluster

from hybridlab.ablation.dask import DaskPool, dask_executor
from hybridlab.ablation.engine import run_study
from hybridlab.ablation.errors import MissingExtraError, StudyIncompleteError
from hybridlab.ablation.state import load_results
from hybridlab.ablation.study import load_study

from .conftest import arrays_of, executions


@pytest.fixture(scope="module")
def address():
    with LocalCluster(
        n_workers=3, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        yield cluster.scheduler_address


def test_a_worker_killed_mid_run_costs_no_run_and_counts_none_twice(
    address, write_study, tmp_path, four
):
    study = write_study(four, seeds=(0, 1, 2), sleep=0.4)
    store, killed, events = tmp_path / "store", [], []

    def tell(event):
        events.append(event)
        if event.kind == "done" and not killed:
            begun = {path for path in store.glob("*-*.*") if path.read_text() == "begun"}
            if not begun:
                return  # on a busy machine the others have not begun yet: wait for the next
            # the youngest: it will not be through before it is killed
            victim = int(max(begun, key=lambda path: path.stat().st_mtime).name
                         .split(".")[1].split("-")[0])
            os.kill(victim, signal.SIGKILL)
            killed.append(victim)

    pool = dask_executor(address)
    try:
        state = run_study(study, tmp_path / "out", pool, on_event=tell, store=store)
    finally:
        pool.shutdown()
    assert state.complete and len(killed) == 1
    # every run is there once, and only what the killed worker was doing was begun twice
    assert len(load_results(tmp_path / "out")) == 12
    assert len(list((tmp_path / "out" / "runs").iterdir())) == 12
    assert [event.kind for event in events].count("done") == 12
    times = executions(store)
    assert len(times) == 12
    lost = [path.name for path in store.glob("*-*.*") if path.read_text() == "begun"]
    assert len(lost) == 1 and f".{killed[0]}-" in lost[0]
    assert sorted(times.values()) == [1] * 11 + [2]
    assert times[lost[0].split(".")[0]] == 2
    assert load_results(tmp_path / "out")[0].manifest()["worker"] == "dask"

    run_study(study, tmp_path / "alone", workers=1, store=tmp_path / "store 2")
    assert arrays_of(tmp_path / "out") == arrays_of(tmp_path / "alone")


def test_a_run_that_kills_every_worker_is_given_up_and_the_rest_is_done(
    address, write_study, tmp_path
):
    variants = {"plain": {}, "dies": {"trouble": "die", "level": 1}, "calm": {"level": 2}}
    with Client(address) as client:
        client.run_on_scheduler(lambda dask_scheduler: setattr(
            dask_scheduler, "allowed_failures", 1))  # two dead workers instead of four
        with pytest.raises(StudyIncompleteError, match="'dies' failed in its only seed: KilledW"):
            run_study(write_study(variants, seeds=(0,), sleep=0.2), tmp_path / "out",
                      DaskPool(client), store=tmp_path / "store")
    assert {r.variant for r in load_results(tmp_path / "out")} == {"plain", "calm"}


def test_no_scheduler_and_no_dask_are_told(monkeypatch):
    with pytest.raises(ConnectionError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        dask_executor("tcp://127.0.0.1:9", timeout=0.5)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"install the extra: .*hybridlab\[cluster\]"):
        dask_executor("tcp://127.0.0.1:9")


_SPANS = '''
import os, secrets, time
import numpy as np
from hybridlab.ablation.runs import RunResult
from hybridlab.ablation.study import Study

def run(config, seed, store):
    start = time.time()
    time.sleep(0.15)
    (store / f"{os.getpid()}.{secrets.token_hex(4)}").write_text(f"{start} {time.time()}")
    targets = np.eye(4, dtype=np.int8)
    return RunResult(targets + 0.0, targets > 0, targets, np.arange(4), parameters=1)

STUDY = Study("spans", "Do runs overlap?", run, {"a": 0}, {"x": {}, "y": {"a": 1}},
              (0, 1, 2, 3), "x")
'''


def test_runs_never_overlap_in_a_process_that_has_two_threads(tmp_path):
    """Training draws from the process's one generator: two at once would not be repeatable."""
    (tmp_path / "spans.py").write_text(_SPANS)
    with LocalCluster(
        n_workers=1, threads_per_worker=2, processes=True, dashboard_address=":0"
    ) as cluster, Client(cluster) as client:
        run_study(load_study(tmp_path / "spans.py"), tmp_path / "out", DaskPool(client),
                  store=tmp_path / "store")
    found = [(path.name.split(".")[0], *map(float, path.read_text().split()))
             for path in (tmp_path / "store").iterdir()]
    assert len(found) == 8 and len({pid for pid, _, _ in found}) == 1
    spans = sorted((start, end) for _, start, end in found)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    records = load_results(tmp_path / "out")
    assert {record.manifest()["threads"] for record in records} == {2}
