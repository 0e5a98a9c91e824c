"""The workers of one machine: processes by loky, each with its share of the cores."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from hybridlab.ablation.worker import THREAD_VARIABLES

_LOOK = 0.5  # seconds between two looks of a worker at who started it


class LostJobError(RuntimeError):
    """A worker, or a job of a cluster, ended without a word."""


class LocalPool(Executor):
    """Worker processes on this machine.

    A worker that dies (out of memory, say) breaks loky's whole pool; `renew` makes a fresh one.

    Results depend a little on the threads: so many partial sums, added in another order, round
    differently, and training carries that on. The number follows from cores and workers, so one
    study done with other workers, or on another machine, may differ in the last digits: give
    `threads` to keep it. Manifests hold it, and a report says where runs of a study differ in it.

    Attributes:
        kind: for the manifests.
        capacity: runs to hand over at a time, so that a break concerns few.
        threads: of each worker.
    """

    kind = "loky"

    def __init__(self, workers: int, threads: int | None = None):
        if workers < 1:
            raise ValueError(f"workers is {workers}; give 1 or more")
        self.capacity = workers
        self.threads = threads_per_worker(workers) if threads is None else threads
        self._pool = self._made()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As `concurrent.futures.Executor.submit`."""
        return self._pool.submit(fn, *args, **kwargs)

    def renew(self) -> None:
        """Go on with fresh workers; whatever the old ones were doing is dropped."""
        self._pool.shutdown(wait=True, kill_workers=True)
        self._pool = self._made()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the workers; with `cancel_futures` at once, in the middle of what they do."""
        self._pool.shutdown(wait=wait, kill_workers=cancel_futures)

    def _made(self) -> Any:
        import loky

        count = str(self.threads)
        env = {"OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE")}
        # Set before the child loads any library; told to it after, they would not be heard.
        env |= {name: count for name in THREAD_VARIABLES}
        # loky would replace a worker whose memory has grown by 300 MB, which loading an encoder
        # does: the next run would wait for torch to be imported anew.
        env["LOKY_MAX_MEMORY_LEAK_SIZE"] = "1e15"
        return loky.ProcessPoolExecutor(
            self.capacity, env=env, initializer=_begin, initargs=(os.getpid(),)
        )


def local_executor(workers: int = 2) -> LocalPool:
    """loky processes on this machine; each may use cores // workers threads, at least 1.

    Raises:
        ValueError: fewer than one worker.
    """
    return LocalPool(workers)


def threads_per_worker(workers: int) -> int:
    """Cores that this process may use, shared among workers; 1 where they are fewer."""
    import loky

    return max(1, loky.cpu_count() // workers)


def _begin(starter: int) -> None:
    """What a worker does first; `starter` is the process that started it."""
    # Ctrl-C goes to all processes of a terminal; the one that started us decides what to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Linux could send a signal when the parent ends, but does so when the thread ends that
    # started the worker, while its process lives on.
    watch = threading.Thread(target=_end_with, args=(starter,), name="starter", daemon=True)
    watch.start()


def _end_with(starter: int) -> None:
    """End this process, in the middle of what it does, once the one that started it is gone.

    Killed, it could not tell; without it, a run would go on for hours and nobody would take it in.
    """
    while os.getppid() == starter:  # at once, if it is gone already
        time.sleep(_LOOK)
    os._exit(1)
