"""`hybridlab ablate STUDY`: run a study, or go on with it.

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

STUDIES = Path("runs/studies")


@dataclass(frozen=True)
class Ablate:
    """Run a study: every variant with every seed; what is done already is skipped."""

    study: Annotated[Positional[str], arg(metavar="STUDY")]
    """A study file (.py), or the dotted name of a module that holds a STUDY."""
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

    def run(self) -> int:
        with stopped_by_sigterm():
            return self._run()

    def _run(self) -> int:
        from hybridlab.ablation.engine import run_study
        from hybridlab.ablation.errors import StudyIncompleteError
        from hybridlab.ablation.study import load_study

        study = load_study(self.study)
        if self.seeds is not None:
            study = study.with_seeds(self.seeds)
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
