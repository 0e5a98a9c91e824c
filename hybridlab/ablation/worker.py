"""What a worker does with one run, in whatever process or on whatever machine it is.

`execute` never raises for a run that fails: it returns an `Outcome` of plain values, which travel
through any executor.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
import traceback
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from hybridlab.ablation.fingerprint import code_fingerprint, differences
from hybridlab.ablation.records import RUNS, check_run, save_run
from hybridlab.ablation.runs import RunResult, RunSpec
from hybridlab.ablation.study_file import find_function

LOCKS = "locks"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_PACKAGES = (
    "hybridlab", "numpy", "scipy", "scikit-learn", "torch", "torchvision", "timm",
    "open_clip_torch", "torchmetrics",
)
# Runs seed and use what a process has once, such as torch's global generator and its threads: two
# of them in two threads of a process, as a Dask worker has by default, would draw from each other.
_one_at_a_time = threading.RLock()
# What a full or read-only disk answers: the next run would meet the same.
_NO_PLACE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


@dataclass(frozen=True)
class Task:
    """All that a worker is told.

    Attributes:
        spec: the run.
        file: the study file, if the function stands in it.
        folder: of the study.
        store: folder of the caches that runs share.
        code: fingerprint of the code that the study is run with.
        kind: of the worker, for the manifest: "loky", "dask", "submitit", ...
        git: `git_facts` of whoever runs the study.
        threads: for arithmetic in this worker; None leaves them as they are.
        patience: seconds to wait while another process does the same run.
    """

    spec: RunSpec
    file: Path | None
    folder: Path
    store: Path
    code: dict[str, str]
    kind: str = "local"
    git: dict[str, Any] | None = None
    threads: int | None = None
    patience: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What became of a task.

    Attributes:
        kind: "done", "failed", "busy" (another process is at it), "refused" (other code), or
            "no place" (the disk is full or read-only).
        error: class of the error.
        message: in words.
        trace: the traceback as text.
        seconds: wall-clock time.
        metrics: of a run that is done.
        undefined: metrics that are not defined for it.
        computed: this task computed it; False where it was found done.
    """

    kind: str
    error: str = ""
    message: str = ""
    trace: str = ""
    seconds: float = 0.0
    metrics: dict[str, float | None] = field(default_factory=dict)
    undefined: tuple[str, ...] = ()
    computed: bool = False


def execute(task: Task) -> Outcome:
    """Do one run, unless it is done already or another process is at it.

    The lock only spares double work. Where the file system has none, or it fails between
    machines, two workers may do the same run; they give the same, and one folder is kept.
    """
    path = task.folder / RUNS / task.spec.key
    done = check_run(path).done
    if done is not None:
        return _found(done)
    try:
        changed = differences(task.code, code_fingerprint(task.spec.function, task.file))
    except (OSError, ValueError, SyntaxError) as error:
        return _failed(error, 0.0)
    if changed:
        return Outcome("refused", "CodeMismatchError", "; ".join(changed))
    lock = _lock(task)
    try:
        if lock is not None:
            lock.acquire(timeout=task.patience, poll_interval=0.1)
    except Timeout:
        return Outcome("busy")
    except (OSError, NotImplementedError):
        lock = None  # no locks on this file system
    try:
        done = check_run(path).done  # by whoever held the lock
        return _found(done) if done is not None else _compute(task)
    finally:
        if lock is not None:
            lock.release()


def limit_threads(threads: int) -> None:
    """Let arithmetic in this process use so many threads, in libraries loaded now or later."""
    for name in THREAD_VARIABLES:
        os.environ[name] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return
    threadpool_limits(threads)  # NumPy's, which read their variable when they were loaded


def _compute(task: Task) -> Outcome:
    with _one_at_a_time:
        return _computed(task)


def _computed(task: Task) -> Outcome:
    started, clock = _now(), time.perf_counter()
    saving = False
    try:
        if task.threads is not None:
            limit_threads(task.threads)
        function = find_function(task.spec.function, task.file)
        result = function(deepcopy(task.spec.config), task.spec.seed, task.store)
        seconds = time.perf_counter() - clock
        if not isinstance(result, RunResult):
            raise TypeError(
                f"{task.spec.function} returned a {type(result).__name__}; "
                "return a hybridlab.ablation.runs.RunResult"
            )
        saving = True
        manifest = _manifest(task, result, started, seconds)
        done = save_run(task.folder / RUNS, task.spec, result, manifest, seconds)
    except SystemExit as error:
        if task.kind == "submitit":
            raise  # how a job that is preempted leaves, to be queued again
        return _failed(error, time.perf_counter() - clock)
    except Exception as error:
        seconds = time.perf_counter() - clock
        if isinstance(error, OSError) and (error.errno == errno.ENOSPC or (
            saving and error.errno in _NO_PLACE
        )):
            return Outcome("no place", type(error).__name__, str(error), seconds=seconds)
        return _failed(error, seconds)
    return Outcome(
        "done", seconds=seconds, metrics=done["metrics"], undefined=tuple(done["undefined"]),
        computed=True,
    )


def _found(done: dict[str, Any]) -> Outcome:
    return Outcome("done", metrics=done["metrics"], undefined=tuple(done["undefined"]))


def _failed(error: BaseException, seconds: float) -> Outcome:
    message = " ".join(str(error).split()) or "no message"
    return Outcome(
        "failed", type(error).__name__, message, traceback_text(error), seconds=seconds
    )


def traceback_text(error: BaseException) -> str:
    """The traceback as Python prints it."""
    return "".join(traceback.format_exception(error))


def _lock(task: Task) -> FileLock | None:
    return lock_in(task.folder, task.spec.key)


def lock_in(folder: Path, name: str) -> FileLock | None:
    """A lock among all processes that work in a study's folder; None if it cannot be made."""
    try:
        (folder / LOCKS).mkdir(exist_ok=True)
    except OSError:
        return None
    # The operating system's own lock: it goes with the process that held it, however that ended.
    # A lock made of a file's existence would outlive a killed worker.
    return FileLock(folder / LOCKS / name, fallback_to_soft=False)


def _manifest(task: Task, result: RunResult, started: str, seconds: float) -> dict[str, Any]:
    """Facts of the run that hold on any machine: no paths, no names of hosts."""
    torch = sys.modules.get("torch")
    cuda = torch is not None and torch.cuda.is_available()
    variable = os.environ.get(THREAD_VARIABLES[0], "")
    return {
        "function": task.spec.function,
        "config": task.spec.config,
        "seed": task.spec.seed,
        "versions": {"python": sys.version.split()[0], **_versions()},
        "device": torch.cuda.get_device_name() if torch is not None and cuda else "cpu",
        "git": task.git,
        "code": task.code,
        "started": started,
        "ended": _now(),
        "seconds": {"total": seconds, **result.seconds},
        "threads": (
            torch.get_num_threads() if torch is not None
            else int(variable) if variable.isdigit() else None
        ),
        "worker": task.kind,
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
