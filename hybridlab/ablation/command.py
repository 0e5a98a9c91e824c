"""`hybridlab ablate STUDY`: run a study, or go on with it; write one, estimate it, watch it.

Nothing heavy is imported up here, so that `hybridlab --help` answers at once.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from hybridlab.ablation.events import Event
    from hybridlab.ablation.study import Study

STUDIES = Path("runs/studies")


@dataclass(frozen=True)
class Ablate:
    """Run a study: every variant with every seed; what is done already is skipped."""

    study: Annotated[Positional[str], arg(metavar="STUDY")]
    """A study file (.py), or the dotted name of a module that holds a STUDY."""
    new: bool = False
    """Write STUDY.py, to begin with, and a report to fill in; nothing is run."""
    estimate: bool = False
    """Say how long the study takes with so many workers; where nothing is known of its runs, the
    first two are done, and count."""
    watch: bool = False
    """Look on while it runs, here or on a cluster; STUDY may also be the study's folder."""
    folder: Annotated[Path | None, arg(metavar="PATH")] = None
    """Where the runs are kept; by default runs/studies/NAME."""
    workers: Annotated[int, arg(metavar="N")] = 2
    """Processes on this machine; cores are shared out among them."""
    dask: Annotated[str | None, arg(metavar="ADDRESS")] = None
    """Hand the runs to the Dask scheduler at this address instead."""
    slurm: Annotated[str | None, arg(metavar="PARTITION")] = None
    """Hand the runs to this partition of SLURM instead, as a job array."""
    seeds: Annotated[tuple[int, ...] | None, arg(metavar="SEED [SEED ...]")] = None
    """Other seeds than the study's; more can be added later, none taken away."""
    store: Annotated[Path, arg(metavar="PATH")] = Path("runs/.cache")
    """Folder of the caches that runs share."""
    allow_mixed_code: bool = False
    """Go on although runs were done by other code than now; the study records it."""

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"workers is {self.workers}; give 1 or more")
        if self.dask is not None and self.slurm is not None:
            raise ValueError("give --dask or --slurm, not both")
        if self.new + self.estimate + self.watch > 1:
            raise ValueError("give one of --new, --estimate and --watch")

    def run(self) -> int:
        if self.new:
            return self._new()
        if self.watch:
            from hybridlab.ablation.watch_command import watch

            return watch(self._watched_folder())
        with stopped_by_sigterm():
            return self._estimate() if self.estimate else self._run()

    def _new(self) -> int:
        from hybridlab.ablation.new_study import new_study

        study, report = new_study(self.study, STUDIES)
        print(
            f"{study}: 3 variants x 5 seeds, which run as they stand (some 4 to 8 minutes on two "
            f"cores)\n{report}: the report, to be filled in\nnext: change the study, write what "
            f"you expect under hypotheses, then `hybridlab ablate {study} --estimate`"
        )
        return 0

    def _study(self) -> Study:
        from hybridlab.ablation.study import load_study

        study = load_study(self.study)
        return study if self.seeds is None else study.with_seeds(self.seeds)

    def _watched_folder(self) -> Path:
        given = Path(self.study)
        if self.folder is None and given.is_dir():
            return given
        return self.folder or STUDIES / self._study().name

    def _estimate(self) -> int:
        import math

        from hybridlab.ablation.cost_text import cost_lines
        from hybridlab.ablation.costs import PILOT, estimate_cost
        from hybridlab.ablation.engine import run_study
        from hybridlab.ablation.executors import LocalPool, threads_per_worker

        study = self._study()
        folder = self.folder or STUDIES / study.name
        cost = estimate_cost(study, folder)
        if math.isnan(cost.seconds):
            _warn_of_hypotheses(study)
            runs = study.runs()[:PILOT]
            told = " and ".join(f"{run.variant}, seed {run.seed}" for run in runs)
            print(f"nothing is known of its runs: the first {len(runs)} are done ({told}), in "
                  f"{folder}; they count, and their scores are not shown", flush=True)
            # One after another, with the threads that each of so many workers will have: the first
            # makes what runs share, and the second tells what a run takes that finds it.
            pool = LocalPool(1, threads_per_worker(self.workers))
            stopped = True
            try:
                run_study(study, folder, pool, on_event=_print_times, store=self.store,
                          allow_mixed_code=self.allow_mixed_code, most=PILOT)
                stopped = False
            finally:
                pool.shutdown(wait=not stopped, cancel_futures=stopped)
            cost = estimate_cost(study, folder)
        print("\n".join(cost_lines(cost, self.workers)))
        return 0

    def _run(self) -> int:
        from hybridlab.ablation.engine import run_study
        from hybridlab.ablation.errors import StudyIncompleteError

        study = self._study()
        folder = self.folder or STUDIES / study.name
        executor: Executor | None = None
        if self.dask is not None:
            from hybridlab.ablation.dask import dask_executor

            executor = dask_executor(self.dask)
        elif self.slurm is not None:
            from hybridlab.ablation.slurm import slurm_executor

            executor = slurm_executor(self.slurm, folder)
        print(f"{study.question}\n{len(study.variants)} variants x {len(study.seeds)} seeds "
              f"in {folder}", flush=True)
        if not folder.exists():
            _warn_of_hypotheses(study)
        stopped = True
        try:
            state = run_study(
                study, folder, executor, self.workers, print_event, self.store,
                self.allow_mixed_code,
            )
            stopped = False
        except StudyIncompleteError as error:
            stopped = False
            if not error.state.done:
                raise  # nothing was done: the command failed
            print(f"hybridlab: {error}", file=sys.stderr)
            return 1
        finally:
            if executor is not None:
                executor.shutdown(wait=False, cancel_futures=stopped)
        print(f"all {state.total} runs are done, in {folder}")
        return 0


def _warn_of_hypotheses(study: Study) -> None:
    """Say which hypotheses stand there empty, before the first run."""
    empty = [name for name, words in study.hypotheses.items() if not words.strip()]
    if empty:
        print(f"note: no hypothesis is written for {', '.join(map(repr, empty))}. One that is "
              "written after the first run is reported as such: stop now (Ctrl-C), write it, and "
              "give the same command again", file=sys.stderr, flush=True)


def _print_times(event: Event) -> None:
    """As `print_event`, without scores: they should not lead whoever still writes hypotheses."""
    from dataclasses import replace

    print_event(replace(event, value=None))


@contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """In this block SIGTERM (`kill PID`, a shutdown) stops as Ctrl-C does, and leaves no workers.

    Does nothing in other threads than the main one, which alone hears signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt("SIGTERM")

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        # None: set by other means than Python's, and cannot be put back
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


def print_event(event: Event) -> None:
    """One line for an event that a reader at a terminal wants to see."""
    if event.kind in ("skipped", "submitted"):
        return
    count = f"[{event.done}/{event.total}]"
    if event.run is None and event.kind != "stopped":
        print(f"{count} {event.message}", flush=True)
        return
    if event.run is None:
        print(f"{count} stopped; runs that are done are kept, and the same command goes on",
              flush=True)
        return
    words = {
        "done": "done" + (f" in {event.seconds:.1f} s" if event.seconds else ", by another"),
        "redone": f"is done anew: {event.message}",
        "failed": f"failed: {event.message}",
        "retried": event.message,
        "undefined": event.message,
    }[event.kind]
    score = ""
    if event.kind == "done" and event.value is not None:
        from hybridlab.evaluation.named import named_metric

        score = f", {named_metric(event.leading).printed} {100 * event.value:.1f}"
    print(f"{count} {event.run.variant}, seed {event.run.seed}: {words}{score}", flush=True)
