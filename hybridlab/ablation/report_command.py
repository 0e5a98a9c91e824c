"""`hybridlab report STUDY_FOLDER`: a page about a study, or its table; a check of a report on it.

Nothing heavy is imported up here, so that `hybridlab --help` answers at once.
"""

from __future__ import annotations

import errno
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, UseAppendAction, arg

if TYPE_CHECKING:
    from hybridlab.ablation.findings import Analysis

PAGE = "report.html"
LEAST = 200
_READ_ONLY = {errno.EACCES, errno.EPERM, errno.EROFS}


@dataclass(frozen=True)
class Report:
    """Say what a study shows: a page with tables and pictures, or the table alone."""

    folder: Annotated[Positional[Path], arg(metavar="STUDY_FOLDER")]
    """A study's folder, such as runs/studies/NAME."""
    metric: Annotated[str | None, arg(metavar="NAME")] = None
    """The metric that variants are judged by, such as of1, map@10 or cf1@3; by default the first of
    the study."""
    reference: Annotated[str | None, arg(metavar="NAME")] = None
    """The variant that others are compared with; by default the study's."""
    out: Annotated[Path | None, arg(metavar="FILE")] = None
    """Where to write; a file of that name is never replaced. By default the page is
    STUDY_FOLDER/report.html, written anew each time, and a table goes to standard output."""
    format: Literal["html", "markdown", "latex", "csv"] = "html"
    """A page, or the table of variants (and of effects) as text."""
    without: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="VARIANT")] = ()
    """Leave this variant out, and say so; may be given several times."""
    resamples: Annotated[int | None, arg(metavar="N")] = None
    """Of the bootstrap; by default 1,000, and 10,000 for verdicts that these leave open."""
    author: str = ""
    """Your name, under the title of the page."""
    check: Annotated[Path | None, arg(metavar="REPORT.md")] = None
    """Check your own report on the study instead: whether it is whole, and says what the study
    says. Nothing is written."""

    def __post_init__(self) -> None:
        others = (self.metric, self.reference, self.out, self.resamples)
        if self.check and (self.without or self.author or self.format != "html" or any(
                each is not None for each in others)):
            raise ValueError("--check compares with the study as it is: give it no other option")
        if self.resamples is not None and self.resamples < LEAST:
            raise ValueError(
                f"resamples is {self.resamples}; give {LEAST} or more (1000 is usual)"
            )

    def run(self) -> int:
        return self._page() if self.check is None else self._check(self.check)

    def _check(self, report: Path) -> int:
        from hybridlab.ablation.report_check import check_report

        checked = check_report(report, self.folder)
        print("\n".join(checked.lines()))
        return 0 if checked.points == checked.of else 1

    def _page(self) -> int:
        from hybridlab.ablation.analysis import analyse
        from hybridlab.ablation.claims import lost_runs
        from hybridlab.ablation.definition import load_definition
        from hybridlab.ablation.report import write_report
        from hybridlab.ablation.tables import as_format
        from hybridlab.files import write_text

        if self.out is not None and self.out.exists():
            raise FileExistsError(f"{self.out} exists and is kept; choose another name")
        own = self.out is None and self.format == "html"
        if own and self.folder.is_dir() and not os.access(self.folder, os.W_OK):
            raise PermissionError(self._read_only())  # before the work, not after
        metrics = tuple(load_definition(self.folder).metrics)
        metric = self.metric or metrics[0]

        def judged_by(name: str) -> Analysis:
            return analyse(
                self.folder, self.reference, name, self.resamples, without=self.without
            )

        analysis = judged_by(metric)
        if self.format == "html":
            others = [judged_by(each) for each in metrics if each != metric]
            try:
                path = write_report(
                    analysis, self.out or self.folder / PAGE, others, own, self.author
                )
            except OSError as error:
                if own and error.errno in _READ_ONLY:
                    raise PermissionError(self._read_only()) from error
                raise
            print(f"the report is in {path}")
        else:
            text = as_format(analysis, self.format)
            if self.out is not None:
                write_text(self.out, text)
                print(f"the table is in {self.out}")
            else:
                print(text, end="")
        if self.format != "html":  # the page has them
            for note in analysis.notes:
                print(f"note: {note}", file=sys.stderr)
        if analysis.troubles:
            lost = "; ".join(lost_runs(analysis))
            print(f"runs that are not in the figures: {lost}", file=sys.stderr)
        return 0

    def _read_only(self) -> str:
        return (
            f"{self.folder} cannot be written in, so the page has no place there; name another "
            "with --out FILE.html"
        )
