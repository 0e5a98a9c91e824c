"""The lessons of the course: number, title, question, and which lessons each one builds on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Lesson:
    """One notebook.

    Attributes:
        number: as in its file name, 0 to 14.
        title: two or three words.
        question: what it answers.
        needs: numbers of the lessons to read before.
    """

    number: int
    title: str
    question: str
    needs: tuple[int, ...] = ()

    @property
    def part(self) -> int:
        """0: the way in; 1: the hybrid classifier; 2: the hybrid family."""
        return 0 if self.number == 0 else 1 if self.number <= 9 else 2


_PROJECT = Path(__file__).resolve().parent.parent

LESSONS: tuple[Lesson, ...] = (
    Lesson(0, "Start here", "Does my machine work, and where does this course go?"),
    Lesson(1, "Many labels at once", "How do I know that a multi-label classifier is good?", (0,)),
    Lesson(2, "Label decoding", "Do labels help to predict labels?", (1,)),
    Lesson(3, "CLIP from scratch", "How do pictures and words meet in one space?", (1,)),
    Lesson(4, "Zero-shot labels", "Can words alone label a picture?", (3,)),
    Lesson(5, "Fusion", "What does each view add?", (2, 4)),
    Lesson(6, "Staged training", "How do I train this without wrecking what is pretrained?", (5,)),
    Lesson(7, "Thresholds", "When is a probability a yes?", (5,)),
    Lesson(8, "Ablations", "Which part earned its place?", (6, 7)),
    Lesson(9, "Your own data", "Does it hold outside the course?", (6, 7)),
    Lesson(10, "Captions", "How does a picture become a sentence?", (5,)),
    Lesson(11, "Video", "What do many frames add to one?", (2,)),
    Lesson(12, "Video captions", "How does a film become a sentence?", (10, 11)),
    Lesson(13, "Questions", "How are questions about a picture answered?", (5, 11)),
    Lesson(14, "Graphs and memory", "When are graphs, memories and many tasks worth it?", (10, 13)),
)


def notebook_of(lesson: Lesson, folder: str | Path) -> Path | None:
    """The lesson's notebook in a folder; None while it is still to come."""
    return next(iter(sorted(Path(folder).glob(f"{lesson.number:02d}_*.ipynb"))), None)


def recorded(study: str) -> dict[str, Any]:
    """The figures of a recorded study, as `hybridlab reproduce` wrote them.

    Looked for in `results` beside the notebook, then in the project that this package stands in.

    Raises:
        FileNotFoundError: they are in neither place; the message says how to make them.
    """
    project = _PROJECT / "notebooks"
    for place in (Path.cwd(), Path.cwd() / "notebooks", project):
        file = place / "results" / f"{study}.json"
        if file.is_file():
            return json.loads(file.read_text(encoding="utf-8"))
    raise FileNotFoundError(
        f"no figures of the study {study!r}: notebooks/results/{study}.json comes with the "
        "project; clone it, or make the file with `hybridlab reproduce`"
    )


def benchmark(name: str) -> dict[str, Any]:
    """A recorded benchmark, as `python -m benchmarks NAME --record` wrote it.

    Raises:
        FileNotFoundError: no such benchmark was recorded here; the message says how to.
    """
    for place in (Path.cwd(), Path.cwd().parent, _PROJECT):
        file = place / "benchmarks" / "results.json"
        if file.is_file() and name in (found := json.loads(file.read_text(encoding="utf-8"))):
            return found[name]
    raise FileNotFoundError(
        f"no figures of the benchmark {name!r}: benchmarks/results.json comes with the project; "
        f"clone it, or measure with `python -m benchmarks {name} --record` in its folder"
    )
