"""What a training tells while it runs: tables on disk, TensorBoard, and a line in the terminal.

Each is a `Report`: called with what a step or an epoch did.
"""

from __future__ import annotations

import csv
import io
import math
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import torch

from hybridlab.files import write_text
from hybridlab.training.reports import EpochReport, StepReport
from hybridlab.training.stage import Stage

STEPS, EPOCHS = "steps.csv", "epochs.csv"


class CsvLog:
    """`steps.csv` and `epochs.csv` in a folder, a line at a time.

    A run that is resumed goes on behind its checkpoint: lines of what is done again, which a kill
    left behind, are dropped.

    Args:
        folder: is made if need be.
        stages: whose terms of the loss get a column each.
    """

    def __init__(self, folder: Path, stages: Sequence[Stage]):
        self.terms = list(dict.fromkeys(name for each in stages for name in each.weights))
        self.folder, self.speed, self.begun = folder, _Speed(), time.perf_counter()
        self.files: dict[str, TextIO] = {}

    def __call__(self, told: StepReport | EpochReport) -> None:
        if not self.files:
            self._open(told)
        if isinstance(told, EpochReport):
            seconds = round(time.perf_counter() - self.begun, 3)
            row = [told.step, told.stage, told.epoch, told.score, int(told.best), seconds]
        else:
            row = [told.step, told.stage, told.epoch, told.loss,
                   *(told.terms.get(name, "") for name in self.terms), told.lr, told.norm,
                   round(self.speed(told.rows), 2), round(memory_mb(), 1)]
        name = EPOCHS if isinstance(told, EpochReport) else STEPS
        csv.writer(self.files[name], lineterminator="\n").writerow(row)

    def _open(self, told: StepReport | EpochReport) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        again = isinstance(told, EpochReport)  # a step that is done, but not yet validated
        last = {STEPS: told.step if again else told.step - 1, EPOCHS: told.step - 1}
        columns = {
            STEPS: ["step", "stage", "epoch", "loss", *self.terms, "lr", "gradient_norm",
                    "images_per_second", "memory_mb"],
            EPOCHS: ["step", "stage", "epoch", "score", "best", "seconds"],
        }
        for name, header in columns.items():
            path, text = self.folder / name, io.StringIO()
            rows = [header, *_up_to(path, last[name], header)]
            csv.writer(text, lineterminator="\n").writerows(rows)
            write_text(path, text.getvalue(), overwrite=True)
            self.files[name] = path.open("a", encoding="utf-8", newline="", buffering=1)

    def close(self) -> None:
        """Close both files."""
        for file in self.files.values():
            file.close()
        self.files = {}


class TensorBoardLog:
    """The same for TensorBoard: `tensorboard --logdir FOLDER`, or `%tensorboard` in a notebook.

    Args:
        folder: of event files.
    """

    def __init__(self, folder: Path):
        self.folder, self.speed = folder, _Speed()
        self.writer: Any = None

    def __call__(self, told: StepReport | EpochReport) -> None:
        if self.writer is None:
            from torch.utils.tensorboard import SummaryWriter

            # what a kill left behind this step is not shown
            self.writer = SummaryWriter(str(self.folder), purge_step=told.step)
        add = self.writer.add_scalar
        if isinstance(told, EpochReport):
            if math.isfinite(told.score):
                add("validation/score", told.score, told.step)
            self.writer.flush()
            return
        add("train/loss", told.loss, told.step)
        for name, value in told.terms.items():
            add(f"train/{name}", value, told.step)
        add("train/lr", told.lr, told.step)
        if math.isfinite(told.norm):
            add("train/gradient_norm", told.norm, told.step)
        add("speed/images_per_second", self.speed(told.rows), told.step)
        add("speed/memory_mb", memory_mb(), told.step)

    def close(self) -> None:
        """Write what is left."""
        if self.writer is not None:
            self.writer.close()


class ProgressBar:
    """One line in the terminal: stage, steps, time left, loss, speed, memory, best score.

    Args:
        seconds: between two drawings.
    """

    def __init__(self, seconds: float = 0.1) -> None:
        self.bar: Any = None
        self.seconds = seconds
        self.stage, self.best, self.speed = "", math.nan, _Speed()

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __call__(self, told: StepReport | EpochReport) -> None:
        from tqdm import tqdm

        if isinstance(told, EpochReport):
            self.best = told.score if told.best else self.best
            return
        if told.stage != self.stage or self.bar is None:
            if told.stage != self.stage:
                self.best = math.nan
            self.close()
            self.stage = told.stage
            self.bar = tqdm(total=told.steps, initial=told.step - 1, unit="step",
                            desc=f"         {told.stage}", leave=False, mininterval=self.seconds)
        shown = {"loss": f"{told.loss:.3f}", "img/s": f"{self.speed(told.rows):.0f}",
                 "MB": f"{memory_mb():.0f}"}
        if math.isfinite(self.best):
            shown["best"] = f"{self.best:.3f}"
        self.bar.set_postfix(shown, refresh=False)
        self.bar.update()

    def close(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.close()
        self.bar = None


class _Speed:
    """Images per second between calls, smoothed."""

    def __init__(self) -> None:
        self.at, self.rate = time.perf_counter(), math.nan

    def __call__(self, rows: int) -> float:
        now = time.perf_counter()
        rate = rows / max(now - self.at, 1e-9)
        self.at = now
        self.rate = rate if math.isnan(self.rate) else 0.9 * self.rate + 0.1 * rate
        return self.rate


def memory_mb() -> float:
    """The most memory that was used so far: of the GPU in use, else of this process, in MB."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 1e6
    # Linux's other count begins with the memory of the process that started this one
    with suppress(OSError, StopIteration), open("/proc/self/status", encoding="ascii") as status:
        return float(next(line.split()[1] for line in status if line.startswith("VmHWM"))) / 1e3
    try:
        import resource
    except ImportError:  # Windows keeps no such count
        return math.nan
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def _up_to(path: Path, step: int, header: list[str]) -> list[list[str]]:
    """Rows of a log up to a step; none of a file with other columns, or of half a line."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
    except OSError:
        return []
    if rows[:1] != [header]:
        return []
    return [row for row in rows[1:]
            if len(row) == len(header) and row[0].isdigit() and int(row[0]) <= step]
