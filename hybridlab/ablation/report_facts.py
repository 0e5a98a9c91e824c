"""What reports on a study are compared with, and how a part of one earns its points."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hybridlab.ablation.analysis import analyse
from hybridlab.ablation.definition import load_definition, read_definition
from hybridlab.ablation.findings import Analysis
from hybridlab.ablation.measuring import Kept
from hybridlab.ablation.report_figures import Known, known_figures
from hybridlab.ablation.report_markdown import Section, plain
from hybridlab.ablation.study import Study

# Each part: its heading in the template, and others that are taken for it.
HEADINGS = {
    "question": ("Question", "Research question", "Introduction"),
    "hypothesis": ("Hypothesis", "Hypotheses", "Expectation", "Expectations"),
    "recipe": ("Recipe", "Setup", "Method", "Methods", "Experimental setup"),
    "seeds": ("Seeds", "Seeds and pairing"),
    "results": ("Results", "Result", "Findings"),
    "multiplicity": ("Multiplicity", "Multiple comparisons", "Correction"),
    "cost": ("Cost", "Costs"),
    "claim": ("Claim", "Claims", "Conclusion", "Conclusions", "What may be claimed"),
    "threats": ("Threats", "Threats to validity", "Limitations"),
    "repeat": ("How to repeat it", "How to repeat", "Reproduction", "Reproducibility", "Command"),
}
TODO = re.compile(r"\bTODO\b")


class Mark(NamedTuple):
    """What one part of a report earns.

    Attributes:
        part: its name.
        points, of: earned, and there to be earned.
        told: what is missing and what to write; empty where nothing is.
    """

    part: str
    points: int
    of: int
    told: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckedReport:
    """All marks of a report.

    Attributes:
        marks: in the order of the parts.
        notes: about the file as a whole.
    """

    marks: tuple[Mark, ...]
    notes: tuple[str, ...] = ()

    @property
    def points(self) -> int:
        """Earned."""
        return sum(each.points for each in self.marks)

    @property
    def of(self) -> int:
        """There to be earned."""
        return sum(each.of for each in self.marks)

    def lines(self) -> list[str]:
        """For a terminal."""
        told = [f"note: {note}" for note in self.notes]
        for each in self.marks:
            told.append(f"{each.points} of {each.of}  {each.part}")
            told += [f"        {line}" for line in each.told]
        return [*told, f"{self.points} of {self.of} points"]


class StudyFacts(NamedTuple):
    """What reports on a study are compared with; made by `study_facts`, once for many reports."""

    study: Study
    analyses: tuple[Analysis, ...]
    known: dict[str, Known]
    reworded: tuple[dict[str, Any], ...]

    @property
    def first(self) -> Analysis:
        return self.analyses[0]


def study_facts(folder: str | Path) -> StudyFacts:
    """The study of a folder, analysed by each of its metrics.

    Raises:
        StudyFileError: the folder holds no study.
        ValueError: no run of it is done.
    """
    folder = Path(folder)
    study = load_definition(folder)
    kept: Kept = {}
    analyses = [analyse(folder, metric=study.metrics[0], kept=kept)]
    for metric in study.metrics[1:]:
        try:
            analyses.append(analyse(folder, metric=metric, kept=kept))
        except ValueError:  # it cannot be computed: then no report can hold it
            continue
    stored = read_definition(folder) or {}
    return StudyFacts(study, tuple(analyses), known_figures(analyses),
                  tuple(stored.get("reworded", ())))


def mark(part: str, checks: Sequence[tuple[int, bool, str]]) -> Mark:
    """A mark of several conditions: (points, whether it holds, what to write)."""
    return Mark(
        part, sum(points for points, holds, _ in checks if holds),
        sum(points for points, _, _ in checks),
        tuple(told for _, holds, told in checks if not holds and told),
    )


def missing(part: str, of: int) -> Mark:
    """No point of `of` for a part whose heading is not there."""
    return Mark(part, 0, of, (f"there is no heading “{HEADINGS[part][0]}”; write ## "
                              f"{HEADINGS[part][0]} and what belongs there",))


def is_filled(section: Section, least: int = 3) -> bool:
    """Whether it has at least so many words, and no TODO is left in it."""
    words = re.findall(r"[^\W_]{2,}", plain(section.text))
    return len(words) >= least and not TODO.search(section.text)


def todo(section: Section) -> str:
    """What to say of a TODO that is left in a section; "" if none is."""
    return "a TODO is left in it; " if TODO.search(section.text) else ""


def short(text: str, most: int = 160) -> str:
    """In one line of at most so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most - 1]}…"
