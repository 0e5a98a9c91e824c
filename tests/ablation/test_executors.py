"""Worker processes of this machine: their threads, and life after one of them dies."""

from __future__ import annotations

import os
import signal
import sys
import time
from concurrent.futures import BrokenExecutor

import pytest

from hybridlab.ablation.executors import local_executor, threads_per_worker
from hybridlab.ablation.worker import limit_threads


def test_cores_are_shared_out_and_nobody_has_less_than_one():
    import loky

    cores = loky.cpu_count()
    assert threads_per_worker(1) == cores
    assert threads_per_worker(cores) == threads_per_worker(10 * cores) == 1
    with pytest.raises(ValueError, match="workers is 0"):
        local_executor(0)


def test_workers_know_their_threads_before_they_load_a_library():
    pool = local_executor(2)
    try:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            assert pool.submit(os.getenv, name).result(60) == str(threads_per_worker(2))
        assert pool.submit(os.getenv, "OMP_WAIT_POLICY").result(60) == "PASSIVE"
        # Ctrl-C at a terminal reaches the workers too; who started them decides
        pid = pool.submit(os.getpid).result(60)
        os.kill(pid, signal.SIGINT)
        assert pool.submit(abs, -1).result(60) == 1
        with pytest.raises(BrokenExecutor):
            pool.submit(os.kill, pid, signal.SIGKILL).result(60)
            pool.submit(abs, -1).result(60)
        pool.renew()
        assert pool.submit(abs, -2).result(60) == 2
    finally:
        pool.shutdown(cancel_futures=True)


def test_threads_are_limited_also_in_libraries_that_are_loaded(monkeypatch):
    from threadpoolctl import threadpool_info, threadpool_limits

    class Torch:
        asked = None

        @classmethod
        def set_num_threads(cls, count):
            cls.asked = count

    monkeypatch.setitem(sys.modules, "torch", Torch)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "9")
    with threadpool_limits():  # puts back what it found
        limit_threads(1)
        assert os.environ["OMP_NUM_THREADS"] == "1" and Torch.asked == 1
        assert {library["num_threads"] for library in threadpool_info()} <= {1}


def test_a_worker_that_has_grown_is_kept():
    """Loading an encoder is no leak: a fresh worker would import torch anew."""
    pool = local_executor(1)
    try:
        first = pool.submit(os.getpid).result()
        pool.submit(exec, "import builtins; builtins.kept = b'x' * 400_000_000").result()
        time.sleep(1.1)  # loky looks once a second
        assert {pool.submit(os.getpid).result() for _ in range(3)} == {first}
    finally:
        pool.shutdown()
