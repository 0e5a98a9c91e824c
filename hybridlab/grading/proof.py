"""Proof that checks judge well: wrong answers fail with their diagnosis, right ones pass, mutants
of the solutions fail.

`tools/prove.py` prints it; a sample runs with the tests. One piece of work is one answer or one
mutant under some seeds, and pieces run in several processes.
"""

from __future__ import annotations

import multiprocessing
import random
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from hybridlab.grading import blocks
from hybridlab.grading.answers import Answer, read, replaced
from hybridlab.grading.answers import source as source_of
from hybridlab.grading.grader import grade
from hybridlab.grading.learner import Source
from hybridlab.grading.manifest import Exercise, exercise, file_name
from hybridlab.grading.mutants import mutants
from hybridlab.grading.verdict import told

WRONG, RIGHT, MUTANT = "wrong answer", "right answer", "mutant"
LEAST = {WRONG: 4, RIGHT: 2}  # answers that every exercise has
KILLED = 0.95  # share of the mutants
FIRST_SEED = 1000


@dataclass(frozen=True)
class Piece:
    """One answer or mutant, and the seeds that it is graded with.

    Attributes:
        exercise: its id.
        kind: `WRONG`, `RIGHT` or `MUTANT`.
        name: of the answer or mutant.
        source: what is graded.
        says: of a wrong answer, what its verdict must say.
        seeds: of the random inputs.
    """

    exercise: str
    kind: str
    name: str
    source: Source
    says: str
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Outcome:
    """What grading a piece showed.

    Attributes:
        piece: what was graded.
        fault: why it is not as it should be (a mutant that passes, say), or "".
        seconds: that it took.
    """

    piece: Piece
    fault: str
    seconds: float


@dataclass(frozen=True)
class Folder:
    """Where solutions and known answers stand.

    Attributes:
        solutions: the folder of the solutions.
        answers: the folder of the known answers.
        survivors: the folder of the explanations of mutants that pass, NAME.toml for each lesson:
            a table for each exercise, mutant -> why it passes.
    """

    solutions: Path
    answers: Path
    survivors: Path

    @classmethod
    def of(cls, project: Path) -> Folder:
        """Of the project."""
        tests = project / "tests" / "exercises"
        return cls(project / "solutions", tests / "answers", tests / "survivors")

    def solution(self, entry: Exercise) -> Source:
        """The file with an exercise's solution."""
        return Source.read(self.solutions / file_name(entry.lesson))

    def known(self, entry: Exercise) -> list[Answer]:
        """The known answers to an exercise.

        Raises:
            ValueError: fewer than every exercise has.
        """
        path = self.answers / file_name(entry.lesson)
        found = [each for each in read(path) if each.exercise == entry.id]
        for kind, least in LEAST.items():
            count = sum(each.right == (kind == RIGHT) for each in found)
            if count < least:
                raise ValueError(
                    f"{path.name} has {count} {kind}s to exercise {entry.id}; give {least} or more"
                )
        return found

    def explained(self, entry: Exercise) -> dict[str, str]:
        """The mutants of an exercise that are known to pass, and why."""
        path = (self.survivors / file_name(entry.lesson)).with_suffix(".toml")
        if not path.exists():
            return {}
        return dict(tomllib.loads(path.read_text(encoding="utf-8")).get(entry.id, {}))


def answers_of(entry: Exercise, folder: Folder, wrong_seeds: int, right_seeds: int) -> list[Piece]:
    """All known answers to an exercise, the solution first."""
    solution = folder.solution(entry)
    return [
        Piece(entry.id, RIGHT, "the solution", solution, "", _seeds(right_seeds)),
        *(
            Piece(
                entry.id, RIGHT if each.right else WRONG, each.title,
                source_of(each, entry, solution), each.says,
                _seeds(right_seeds if each.right else wrong_seeds),
            )
            for each in folder.known(entry)
        ),
    ]


def mutants_of(
    entry: Exercise, folder: Folder, seeds: int, sample: int | None = None
) -> list[Piece]:
    """The mutants of an exercise's solution, or a sample of them: the same each time."""
    solution = folder.solution(entry)
    block = blocks.find(solution.text, entry.id)
    found = mutants(block.text) if block else []
    if sample is not None and sample < len(found):
        found = random.Random(entry.id).sample(found, sample)
    return [
        Piece(entry.id, MUTANT, each.name, replaced(entry, solution, each.code), "",
              _seeds(seeds))
        for each in found
    ]


def judged(piece: Piece) -> Outcome:
    """Grade a piece with each of its seeds, until one shows a fault."""
    began = time.perf_counter()
    entry = exercise(piece.exercise)
    fault = next((fault for seed in piece.seeds if (fault := _fault(piece, entry, seed))), "")
    return Outcome(piece, fault, time.perf_counter() - began)


def prove(pieces: Sequence[Piece], jobs: int = 1) -> Iterator[Outcome]:
    """Judge pieces, as they are done.

    Args:
        jobs: processes; 1 works in this one.
    """
    if jobs == 1:
        yield from map(judged, pieces)
        return
    context = multiprocessing.get_context("spawn")  # each with a fork server of its own
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        for done in as_completed([pool.submit(judged, piece) for piece in pieces]):
            yield done.result()


def _seeds(count: int) -> tuple[int, ...]:
    return tuple(range(FIRST_SEED, FIRST_SEED + count))


def _fault(piece: Piece, entry: Exercise, seed: int) -> str:
    verdict = grade(entry, piece.source, seed, only_first=True)
    if piece.kind == RIGHT:
        return "" if verdict.right else f"it fails with seed {seed}:\n{told(verdict)}"
    if verdict.right:
        return f"it passes with seed {seed}"
    if piece.says and piece.says not in told(verdict):
        verdict = grade(entry, piece.source, seed)  # all parts, as a learner sees them
        if piece.says not in told(verdict):
            return f"with seed {seed} nobody says {piece.says!r}:\n{told(verdict)}"
    return ""


@dataclass
class Report:
    """What was proven of one exercise.

    Attributes:
        exercise: its id.
        explained: mutants that are known to pass, and why.
        answers: how many wrong and right answers were judged, by kind.
        faults: answers that are not judged as they should be.
        mutants, survivors: how many mutants there were, and which passed.
        complete: all mutants were tried, not a sample.
    """

    exercise: str
    explained: dict[str, str]
    complete: bool = True
    answers: dict[str, int] = field(default_factory=lambda: {WRONG: 0, RIGHT: 0})
    faults: list[Outcome] = field(default_factory=list)
    mutants: int = 0
    survivors: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """One more outcome."""
        if outcome.piece.kind == MUTANT:
            self.mutants += 1
            self.survivors += [outcome] * bool(outcome.fault)
        else:
            self.answers[outcome.piece.kind] += 1
            self.faults += [outcome] * bool(outcome.fault)

    @property
    def unexplained(self) -> list[Outcome]:
        """Survivors that nobody has explained."""
        return [each for each in self.survivors if each.piece.name not in self.explained]

    @property
    def outdated(self) -> list[str]:
        """Explanations of mutants that do not survive, or are no more."""
        passed = {each.piece.name for each in self.survivors}
        return [name for name in self.explained if name not in passed] if self.complete else []

    @property
    def sound(self) -> bool:
        """Nothing is wrong with it."""
        return not (self.faults or self.unexplained or self.outdated)


def reports(
    entries: Sequence[Exercise], folder: Folder, pieces: Sequence[Piece], jobs: int = 1,
    complete: bool = True, done: Callable[[Outcome], None] | None = None,
) -> list[Report]:
    """Judge pieces and gather what they show, exercise by exercise."""
    found = {entry.id: Report(entry.id, folder.explained(entry), complete) for entry in entries}
    for outcome in prove(pieces, jobs):
        found[outcome.piece.exercise].add(outcome)
        if done:
            done(outcome)
    return list(found.values())


def killed(found: Sequence[Report]) -> tuple[int, int, int]:
    """How many mutants were killed, how many there were, and how many survivors are equivalent:
    explained by words that begin with "equivalent"."""
    total = sum(report.mutants for report in found)
    survivors = sum(len(report.survivors) for report in found)
    same = sum(
        report.explained.get(each.piece.name, "").startswith("equivalent")
        for report in found for each in report.survivors
    )
    return total - survivors, total, same
