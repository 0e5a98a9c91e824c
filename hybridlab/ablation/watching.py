"""A look at a study while it runs: progress, failures, time left, and running intervals.

Only the study's folder is read, and nothing is written there: it is the same for runs of this
machine and of a cluster, and for a study that nobody runs any more.
"""

from __future__ import annotations

import math
import textwrap
import time
from dataclasses import dataclass, field
from pathlib import Path

from hybridlab.ablation.analysis import analyse
from hybridlab.ablation.costs import CostEstimate, at_once, estimate_cost
from hybridlab.ablation.definition import load_definition
from hybridlab.ablation.findings import Analysis
from hybridlab.ablation.measuring import Kept
from hybridlab.ablation.records import RUNS
from hybridlab.ablation.report_command import LEAST
from hybridlab.ablation.state import Failure, study_state
from hybridlab.ablation.tables import duration, interval, signed

PROVISIONAL = (
    "PROVISIONAL: seeds are missing. Do not stop because a difference looks good, nor add seeds "
    "until it does: who looks after every seed and stops at the first interval that leaves out 0 "
    "finds differences that are not there far more often than 1 time in 20. Let all seeds run that "
    "were planned."
)
_BAR = 24
_LATE = 3  # times the longest run without a sign of life: worth a word


@dataclass(frozen=True)
class VariantProgress:
    """How far a variant is.

    Attributes:
        name: of the variant.
        done, failed: its runs.
        score: mean so far with its interval, such as "54.1 [52.0, 56.3]"; a dash without a run.
        difference: to the reference so far, over the seeds that both have.
    """

    name: str
    done: int
    failed: int
    score: str = "–"
    difference: str = "–"


@dataclass(frozen=True)
class Glimpse:
    """What a look at the folder gave.

    Attributes:
        name, question: of the study.
        seeds: runs of each variant, when all are done.
        done, total: runs.
        failures: runs that failed when last tried, and are not done.
        variants: one for each.
        cost: of what is left.
        parallel: runs that went on at a time lately; NaN without any.
        quiet: seconds since a run was last done or failed; NaN before the first.
        analysis: of the runs so far, with few resamples; None where nothing can be compared yet.
    """

    name: str
    question: str
    seeds: int
    done: int
    total: int
    failures: tuple[Failure, ...]
    variants: tuple[VariantProgress, ...]
    cost: CostEstimate
    parallel: float
    quiet: float
    analysis: Analysis | None

    @property
    def complete(self) -> bool:
        """Every run is done."""
        return self.done == self.total

    @property
    def ended(self) -> bool:
        """Nothing is left that was not tried."""
        return self.done + len(self.failures) == self.total


@dataclass
class Watcher:
    """Look at a study's folder again and again; what was measured of a run is measured once.

    Attributes:
        folder: of the study.
    """

    folder: Path
    kept: Kept = field(default_factory=dict, repr=False)

    def look(self) -> Glimpse:
        """How the study stands now.

        Raises:
            StudyFileError: the folder holds no study.
        """
        study = load_definition(self.folder)
        state = study_state(study, self.folder)
        analysis = self._analysis()
        failed = [failure.variant for failure in state.failed]
        done = [run.variant for run in state.done]
        return Glimpse(
            study.name, study.question, len(study.seeds), len(done), state.total, state.failed,
            tuple(
                VariantProgress(name, done.count(name), failed.count(name),
                                *_figures(analysis, name))
                for name in study.variants
            ),
            estimate_cost(study, self.folder, elsewhere=not done), at_once(study, self.folder),
            self._quiet(), analysis,
        )

    def _analysis(self) -> Analysis | None:
        try:
            return analyse(self.folder, resamples=LEAST, kept=self.kept)
        except ValueError:  # no run yet, or none that the metric can be computed of
            return None

    def _quiet(self) -> float:
        times = []
        for path in [*(self.folder / RUNS).glob("[!.]*"), *self.folder.glob("failures/*.json")]:
            try:
                times.append(path.stat().st_mtime)
            except OSError:  # renamed a moment ago
                continue
        return max(0.0, time.time() - max(times)) if times else math.nan


def told(glimpse: Glimpse, folder: Path, width: int = 100) -> list[str]:
    """Lines for a terminal."""
    return [
        glimpse.question, progress_line(glimpse), "", *_table(glimpse, width),
        *(f"failed: {each.variant}, seed {each.seed}: {each}"[:3 * width]
          for each in glimpse.failures[:5]),
        *([f"and {len(glimpse.failures) - 5} more failures"] if len(glimpse.failures) > 5 else []),
        "", *textwrap.wrap(closing(glimpse, folder), width, break_on_hyphens=False),
    ]


def progress_line(glimpse: Glimpse) -> str:
    """Runs that are done, failures, and the time that is left."""
    filled = _BAR * glimpse.done // max(1, glimpse.total)
    line = f"[{'#' * filled}{'.' * (_BAR - filled)}] {glimpse.done} of {glimpse.total} runs done"
    if glimpse.failures:
        line += f", {len(glimpse.failures)} failed"
    if glimpse.ended:
        return line
    if math.isnan(glimpse.cost.seconds):
        return f"{line}; time left: not known before the first run is done"
    usual, most = glimpse.cost.wall(1.0 if math.isnan(glimpse.parallel) else glimpse.parallel)
    line += f"; about {duration(usual)} left (at most some {duration(most)})"
    longest = max(each.most for each in glimpse.cost.variants if each.source)
    if glimpse.quiet > _LATE * longest:
        line += (f"; nothing was done for {duration(glimpse.quiet)}, longer than any run took: "
                 "does it still run?")
    return line


def closing(glimpse: Glimpse, folder: Path) -> str:
    """What to keep in mind, or to do next."""
    if glimpse.complete:
        return f"all runs are done: `hybridlab report {folder}` says what they show"
    if glimpse.ended:
        return "nothing is left but what failed: the same command tries it again"
    return PROVISIONAL


def headings(glimpse: Glimpse) -> tuple[str, str, str, str]:
    """Of the columns of variants."""
    found = glimpse.analysis
    score, reference = (found.metric_name, found.reference) if found else ("score", "reference")
    so_far = "" if glimpse.complete else " so far"
    return "variant", "runs", f"{score}{so_far}", f"difference to {reference}{so_far}"


def runs_of(glimpse: Glimpse, variant: VariantProgress) -> str:
    """ "3 of 5, 1 failed"."""
    failed = f", {variant.failed} failed" if variant.failed else ""
    return f"{variant.done} of {glimpse.seeds}{failed}"


def _table(glimpse: Glimpse, width: int) -> list[str]:
    rows = [headings(glimpse), *(
        (each.name, runs_of(glimpse, each), each.score, each.difference)
        for each in glimpse.variants
    )]
    least = max(16, width - 70)
    rows = [(_cut(row[0], least), row[1], row[2], _cut(row[3], 40)) for row in rows]
    widths = [max(len(row[at]) for row in rows) for at in range(4)]
    return ["  ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)).rstrip()
            for row in rows]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[:width - 1]}…"


def _figures(analysis: Analysis | None, name: str) -> tuple[str, str]:
    """Score and difference so far, as text."""
    if analysis is None:
        return "–", "–"
    row = analysis.row(name)
    score = interval(row.mean, row.low, row.high)
    if name == analysis.reference:
        return score, "reference"
    other = row.comparison
    if other is None:
        return score, "–"
    if len(other.seeds) < 2:  # an interval over test samples alone would look too sure
        return score, f"{signed(other.value)} (one seed)"
    return score, f"{interval(other.value, other.low, other.high, '+')} ({len(other.seeds)} seeds)"
