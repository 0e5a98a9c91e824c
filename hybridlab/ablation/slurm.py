"""The jobs of a SLURM cluster, through submitit (extra "slurm"), as an executor.

Unlike the workers of one machine, a job does not end with the process that sent it, on purpose: it
must outlive the login shell, and its run is found done when the same command is given again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from contextlib import suppress
from pathlib import Path
from typing import Any

from hybridlab.ablation.errors import MissingExtraError
from hybridlab.ablation.executors import LostJobError
from hybridlab.ablation.worker import THREAD_VARIABLES

POLL = 0.25  # seconds between two looks; most of them see the file system only


class RequeuedCall:
    """A call that submitit queues again, as it was, when SLURM preempts it or its time is up.

    Nothing needs to be saved on the way: runs are whole or not there.
    """

    def __init__(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]):
        self.fn, self.args, self.kwargs = fn, args, dict(kwargs)

    def __call__(self) -> Any:
        return self.fn(*self.args, **self.kwargs)

    def checkpoint(self) -> Any:
        """What submitit submits in place of the job that ends: the same call."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


class SubmititPool(Executor):
    """submitit's executor with futures of the usual kind.

    Calls that come together are sent as one job array. A job that ends without a result (killed,
    its node lost) gives LostJobError.

    Attributes:
        capacity: runs to hand over at a time; None for all, which makes one array.
        threads: of each job.
        grace: seconds for the result of a job that has ended to show on a slow file system.
    """

    kind = "submitit"

    def __init__(
        self, executor: Any, threads: int, capacity: int | None = None, grace: float = 15.0
    ):
        self.capacity, self.threads, self.grace = capacity, threads, grace
        self._executor = executor
        self._waiting: list[tuple[Future[Any], RequeuedCall]] = []
        self._jobs: dict[Future[Any], Any] = {}
        self._ended: dict[Future[Any], float] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._watch = threading.Thread(target=self._watched, name="submitit", daemon=True)
        self._watch.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As `concurrent.futures.Executor.submit`; it is sent off within a moment."""
        if self._closed.is_set():
            raise RuntimeError("cannot submit after shutdown")
        future: Future[Any] = Future()
        with self._lock:
            self._waiting.append((future, RequeuedCall(fn, args, kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Stop watching; with `cancel_futures`, cancel the jobs too, the running ones included."""
        with self._lock:
            open_futures = [future for future, _ in self._waiting] + list(self._jobs)
        if cancel_futures:
            for future in open_futures:
                future.cancel()
        elif wait:
            for future in open_futures:
                with suppress(BaseException):
                    future.exception()
        self._closed.set()
        self._watch.join()
        for future, job in self._jobs.items():
            if _taken_back(future):
                _end(job)
        for future, _ in self._waiting:
            _taken_back(future)

    def _watched(self) -> None:
        while not self._closed.wait(POLL):
            with self._lock:
                waiting, self._waiting = self._waiting, []
            self._send([(future, call) for future, call in waiting if not _taken_back(future)])
            for future in list(self._jobs):
                self._look(future)

    def _send(self, calls: list[tuple[Future[Any], RequeuedCall]]) -> None:
        if not calls:
            return
        try:
            jobs = self._executor.submit_array([call for _, call in calls])
        except Exception as error:
            for future, _ in calls:
                if not future.cancelled():
                    future.set_exception(error)
            return
        with self._lock:
            self._jobs |= {future: job for (future, _), job in zip(calls, jobs, strict=True)}

    def _look(self, future: Future[Any]) -> None:
        job = self._jobs[future]
        try:
            if future.cancelled():
                pass
            elif not job.done():
                return
            elif job.paths.result_pickle.exists():
                error = job.exception()
                if error is None:
                    future.set_result(job.result())
                else:
                    future.set_exception(error)
            elif time.monotonic() - self._ended.setdefault(future, time.monotonic()) < self.grace:
                return
            else:
                future.set_exception(LostJobError(
                    f"the job {job.job_id} ended without a result (state {job.state}); its log is "
                    f"{job.paths.stderr.name} in the study's folder slurm"
                ))
        except Exception as error:  # of submitit, or of a future that was cancelled meanwhile
            if not future.done():
                future.set_exception(error)
        if _taken_back(future):
            _end(job)
        with self._lock:
            self._jobs.pop(future, None)


def _taken_back(future: Future[Any]) -> bool:
    """Whether a future was cancelled; whoever waits for it is told."""
    if not future.cancelled():
        return False
    with suppress(RuntimeError):  # told before
        future.set_running_or_notify_cancel()
    return True


def _end(job: Any) -> None:
    with suppress(Exception):
        job.cancel(check=False)


def slurm_executor(
    partition: str | None,
    folder: str | Path,
    cpus: int = 4,
    timeout_min: int = 240,
    cluster: str = "slurm",
    at_once: int | None = None,
    **parameters: Any,
) -> SubmititPool:
    """Jobs of a SLURM partition, sent as arrays and queued again when they are preempted.

    Args:
        partition: of SLURM; None for the cluster's default.
        folder: the study's folder, on a disk that all nodes share; logs go to FOLDER/slurm.
        cpus: cores of each job, and its threads.
        timeout_min: minutes for one run; a job that is out of time is queued again.
        cluster: "slurm", or "local" for processes on this machine, to try things.
        at_once: runs at a time; None leaves it to the cluster.
        parameters: others of submitit, such as mem_gb=16, gpus_per_node=1, slurm_account="x".

    Raises:
        MissingExtraError: the extra "slurm" is not installed.
        ValueError: this machine cannot reach SLURM, or submitit refuses a parameter.
    """
    try:
        from submitit import AutoExecutor
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "submitit is not installed; install the extra: pip install 'hybridlab[slurm]'"
        ) from error
    try:
        executor = AutoExecutor(Path(folder) / "slurm", cluster=cluster)
        given: dict[str, Any] = {"timeout_min": timeout_min, **parameters}
        if cluster == "slurm":
            given |= {
                "cpus_per_task": cpus,
                "slurm_partition": partition,
                "slurm_array_parallelism": at_once or 256,
                # before Python starts: libraries read these when they are loaded
                "slurm_setup": [
                    "export OMP_WAIT_POLICY=PASSIVE",
                    *(f"export {name}={cpus}" for name in THREAD_VARIABLES),
                    *parameters.get("slurm_setup", ()),
                ],
            }
        executor.update_parameters(**given)
    except (RuntimeError, ValueError, NameError, AssertionError) as error:
        raise ValueError(
            f"submitit cannot use the cluster {cluster!r}: {' '.join(str(error).split())}; run "
            "this on a machine from which `sbatch` works"
        ) from error
    local = cluster != "slurm"
    return SubmititPool(
        executor, threads=cpus, capacity=at_once if local else None, grace=1.0 if local else 15.0
    )
