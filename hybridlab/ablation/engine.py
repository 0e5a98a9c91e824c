"""Run a study: skip what is done, hand the rest to an executor, keep whatever succeeds.

The disk is the only memory. A run counts when its folder is whole, so a study that was stopped,
killed or cut off goes on by being run again, and several may work in one folder at once.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hybridlab.ablation.asked import alike, asked_metrics
from hybridlab.ablation.errors import CodeMismatchError, StudyFolderError, StudyIncompleteError
from hybridlab.ablation.events import Event
from hybridlab.ablation.executors import LostJobError, local_executor
from hybridlab.ablation.fingerprint import code_fingerprint, git_facts
from hybridlab.ablation.folder import check_store, prepare
from hybridlab.ablation.records import FAILURES, RUNS, check_run
from hybridlab.ablation.report_failures import incomplete
from hybridlab.ablation.state import Failure, StudyState, failure_record, study_state
from hybridlab.ablation.study import PlannedRun, Study
from hybridlab.ablation.worker import Outcome, Task, execute, traceback_text
from hybridlab.files import NotEnoughDiskError, write_json

DEATHS = 2  # a run that has taken so many workers with it is given up
RENEWALS = 3  # pools that break in a row before a single answer comes
PATIENCE = 30.0  # seconds that a task waits for another process before it makes way


def run_study(
    study: Study,
    folder: str | Path,
    executor: Executor | None = None, workers: int = 2,
    on_event: Callable[[Event], None] | None = None,
    store: str | Path | None = None, allow_mixed_code: bool = False, most: int | None = None,
) -> StudyState:
    """Do every run of a study that is not done in its folder.

    Args:
        study: what to run.
        folder: of the study; made if it is not there. Workers need it at the same path.
        executor: anything with `submit(function, *args) -> concurrent.futures.Future`. It is not
            shut down. None: loky processes on this machine.
        workers: how many of those.
        on_event: called with each `Event`, in this thread.
        store: folder of the caches that runs share; by default `.cache` beside the folder.
        allow_mixed_code: go on where runs were done by other code; study.json records it.
        most: runs to do now, the next ones in the study's order; None does all.

    Returns:
        the state at the end, complete unless `most` says otherwise; if it was before, with an event
        "other code" where runs were done by other code (`folder.stale_runs` gives the differences).

    Raises:
        StudyIncompleteError: runs failed, or the executor gave up; all others are kept.
        CodeMismatchError: done runs, or a worker, have other code.
        besides, before anything is computed, as `folder.prepare`; and NotEnoughDiskError or
        StudyFolderError when the disk fills up, or can no longer be written, on the way.
    """
    folder = Path(folder).absolute()
    code = code_fingerprint(str(study.run), study.file)
    state, notices = prepare(study, folder, code, allow_mixed_code)
    store = Path(store).absolute() if store is not None else folder.parent / ".cache"
    tell = on_event or (lambda event: None)
    for kind, words in notices:
        tell(Event(kind, len(state.done), state.total, message=words))
    for number, run in enumerate(state.done, 1):
        tell(Event("skipped", number, state.total, run))
    if state.complete:
        return state
    check_store(store)
    pool = executor if executor is not None else local_executor(workers)
    task = Task(
        spec=study.runs()[0].spec, file=study.file, folder=folder, store=store, code=code,
        kind=getattr(pool, "kind", type(pool).__name__), git=git_facts(),
        threads=getattr(pool, "threads", None),
    )
    campaign = _Campaign(study, state, pool, task, tell, most)
    try:
        campaign.run()
    except BaseException:
        campaign.stop()
        if executor is None:
            pool.shutdown(wait=True, cancel_futures=True)
        raise
    if executor is None:
        pool.shutdown(wait=True)
    return campaign.result()


class _Campaign:
    """The runs of one call of `run_study`, between the queue, the executor and the disk."""

    def __init__(
        self, study: Study, state: StudyState, pool: Any, task: Task,
        tell: Callable[[Event], None], most: int | None = None,
    ):
        self.study, self.folder, self.pool, self.task, self.tell = (
            study, state.folder, pool, task, tell
        )
        done = {run.key for run in state.done}
        self.total, self.done = state.total, len(done)
        self.part = most is not None
        self.queue = deque([run for run in study.runs() if run.key not in done][:most])
        self.suspects: deque[PlannedRun] = deque()  # each was at work when a pool broke
        self.flying: dict[Future[Outcome], PlannedRun] = {}
        self.deaths: dict[str, int] = {}
        self.waited: set[str] = set()
        self.told: set[str] = set()  # why a metric has no value
        self.failures: dict[str, Failure] = {}
        self.broken = False
        self.alone = False  # a suspect is at work, and nothing else shall be
        self.renewals = 0  # since an answer last came
        self.fatal: Exception | None = None
        for run in self.queue:
            if run.key in state.broken:
                self._say("redone", run, state.broken[run.key])

    def run(self) -> None:
        """Until nothing is left that could be done."""
        while True:
            self._fill()
            if self.broken and self.fatal is None and not self.flying:
                continue  # a fresh pool is due
            if not self.flying:
                return
            # with a limit, as Windows hears Ctrl-C only between two waits
            done = wait(self.flying, timeout=1.0, return_when=FIRST_COMPLETED).done
            # a set; in the order of their beginning, so that what is told of a failure counts the
            # runs that were through before it
            for future in [each for each in self.flying if each in done]:
                self._land(future, self.flying.pop(future))

    def stop(self) -> None:
        """Take back what has not begun; what is done is on the disk."""
        for future in self.flying:
            future.cancel()
        with suppress(Exception):
            self._say("stopped")

    def result(self) -> StudyState:
        """The state at the end, or what went wrong."""
        if self.fatal is not None:
            raise self.fatal
        state = study_state(self.study, self.folder)
        if not state.complete and (self.failures or not self.part):
            raise incomplete(self.study, state, list(self.failures.values()))
        return state

    def _fill(self) -> None:
        """Hand over as many runs as the executor shall have at a time."""
        if self.broken and not self.flying and self.fatal is None:
            self.renewals += 1
            if self.renewals > RENEWALS:
                self._give_up(BrokenExecutor("fresh workers do not even start"))
                return
            self.pool.renew()
            self.broken = False
        self.alone = self.alone and bool(self.flying)
        while self.fatal is None and not self.broken and not self.alone:
            if self.suspects:
                # One at a time: if the pool breaks again, it is clear by whom.
                if not self.flying:
                    self.alone = True
                    self._submit(self.suspects.popleft())
                return
            capacity = getattr(self.pool, "capacity", None)
            if not self.queue or (capacity is not None and len(self.flying) >= capacity):
                return
            self._submit(self.queue.popleft())

    def _submit(self, run: PlannedRun) -> None:
        patience = PATIENCE if run.key in self.waited else 0.0
        task = replace(self.task, spec=run.spec, patience=patience)
        try:
            future = self.pool.submit(execute, task)
        except Exception as error:
            if isinstance(error, BrokenExecutor) and hasattr(self.pool, "renew"):
                self.queue.appendleft(run)
                self.broken = True
            else:
                self._give_up(error)
            return
        self.flying[future] = run
        if run.key not in self.waited and run.key not in self.deaths:
            self._say("submitted", run)

    def _land(self, future: Future[Outcome], run: PlannedRun) -> None:
        """Take in what became of a run."""
        self.renewals = 0
        if future.cancelled():
            if self.fatal is None:
                self._worker_died(run, LostJobError("the executor dropped it"))
            return
        error = future.exception()
        if error is None:
            self._take(run, future.result())
        elif isinstance(error, KeyboardInterrupt):
            raise error
        elif isinstance(error, (BrokenExecutor, LostJobError)) or _by_dask(error):
            self._worker_died(run, error)
        else:
            self._fail(run, Outcome(
                "failed", type(error).__name__, " ".join(str(error).split()),
                traceback_text(error),
            ))

    def _take(self, run: PlannedRun, outcome: Outcome) -> None:
        if outcome.kind == "done":
            self._finish(run, outcome)
        elif outcome.kind == "busy":
            self.waited.add(run.key)
            self.queue.append(run)
        elif outcome.kind == "refused":
            self._abort(CodeMismatchError(
                f"a worker has other code than this process, and refused: {outcome.message}. "
                "Bring all machines to one version and restart the workers; or the study file (or "
                "what it uses) was edited while it ran: run it again. Runs that are done are kept"
            ))
        elif outcome.kind == "no place":
            full = outcome.error == NotEnoughDiskError.__name__ or "space" in outcome.message
            kind = NotEnoughDiskError if full else StudyFolderError
            self._abort(kind(
                f"variant {run.variant!r}, seed {run.seed} could not be saved: {outcome.message}. "
                f"{self.done} of {self.total} runs are done and kept; make room or mend the "
                "permissions and run the same command again"
            ))
        else:
            self._fail(run, outcome)

    def _finish(self, run: PlannedRun, outcome: Outcome) -> None:
        self.done += 1
        self.failures.pop(run.key, None)
        leading, *_ = asked = self.study.metrics
        found = asked_metrics(self.folder / RUNS / run.key, asked, outcome.metrics)
        self._say("done", run, seconds=outcome.seconds, metrics=outcome.metrics,
                  leading=leading, value=found.values.get(leading))
        for why in (each for each in found.troubles if alike(each) not in self.told):
            self._say("undefined", run, f"{why}; this is told once")
        self.told.update(map(alike, found.troubles))

    def _worker_died(self, run: PlannedRun, error: BaseException) -> None:
        """Try a run again whose worker is gone, unless it was the one that ended it."""
        renewable = isinstance(error, BrokenExecutor) and hasattr(self.pool, "renew")
        self.broken = self.broken or renewable
        finished = check_run(self.folder / RUNS / run.key).done
        if finished is not None:  # it was through, and only its answer was lost
            self._finish(run, Outcome("done", metrics=finished["metrics"],
                                      undefined=tuple(finished["undefined"])))
            return
        if isinstance(error, BrokenExecutor) and not renewable:
            self._give_up(error)
            return
        # Dask has tried several workers by itself before it says so.
        self.deaths[run.key] = self.deaths.get(run.key, 0) + (DEATHS if _by_dask(error) else 1)
        if self.deaths[run.key] >= DEATHS:
            self._fail(run, Outcome(
                "failed", type(error).__name__,
                f"its worker died {self.deaths[run.key]} times or more (killed for its use of "
                f"memory, or crashed), so it is given up: {' '.join(str(error).split())[:300]}",
            ))
            return
        self._say("retried", run, f"its worker died ({type(error).__name__}); it is tried again")
        (self.suspects if renewable else self.queue).append(run)

    def _fail(self, run: PlannedRun, outcome: Outcome) -> None:
        failure = Failure(
            run.variant, run.seed, run.key, outcome.error, outcome.message, outcome.trace
        )
        self.failures[run.key] = failure
        now = datetime.now(UTC)
        name = f"{run.key}-{now:%Y%m%d-%H%M%S-%f}-{secrets.token_hex(2)}.json"
        with suppress(OSError):  # a disk that is full takes no record; the error still tells
            record = failure_record(failure, now.isoformat(timespec="seconds"), outcome.seconds)
            write_json(self.folder / FAILURES / name, record)
        self._say("failed", run, str(failure), seconds=outcome.seconds)

    def _give_up(self, error: BaseException) -> None:
        self._abort(StudyIncompleteError(
            f"the executor takes no more runs ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:300]}); {self.done} of {self.total} runs are done "
            "and kept: run the same command again to go on",
            study_state(self.study, self.folder), list(self.failures.values()),
        ))

    def _abort(self, error: Exception) -> None:
        """Begin nothing more; what is being computed may still come in."""
        if self.fatal is None:
            self.fatal = error
            for future in self.flying:
                future.cancel()

    def _say(
        self, kind: str, run: PlannedRun | None = None, message: str = "", **more: Any
    ) -> None:
        self.tell(Event(kind, self.done, self.total, run, message, **more))


def _by_dask(error: BaseException) -> bool:
    return type(error).__name__ == "KilledWorker"
